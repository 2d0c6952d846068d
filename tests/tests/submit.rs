//! Calls and their results.

use std::{
    cell::RefCell, collections::BTreeMap, io, panic::panic_any, process, sync::Arc, thread,
    time::Duration,
};

use pool_core::{AnyError, Executor, TaskErrorKind, task, task_ref};
use pool_tests::{
    Isolated, Scratch, cubes, executor, fails_with, isolated, processes, rounds,
    suite::pids,
    tasks::{add, cube, even, hold, note, nothing, parse, pid, sum, sum_of, work},
};
use pool_tests_dependency as dependency;

#[test]
fn the_value_comes_back() {
    isolated(|| {
        let executor = Executor::new().unwrap();
        assert_eq!(executor.submit(cube, 3).result().unwrap(), 27);
        assert_eq!(executor.submit(add, (1, 2)).result().unwrap(), 3);
        executor.submit(nothing, ()).result().unwrap();
        assert_eq!(executor.submit_ref(cube, &4).result().unwrap(), 64);
        assert_eq!(executor.submit_ref(add, &(3, 4)).result().unwrap(), 7);
        assert_eq!(cube(3), 27, "the function still works here");
    });
}

#[test]
fn many_futures_have_each_its_own_value() {
    isolated(|| {
        let executor = executor(2);
        let futures: Vec<_> = (0..1000).map(|x| executor.submit(cube, x)).collect();
        for (x, future) in (0..1000).rev().zip(futures.into_iter().rev()) {
            assert_eq!(future.result().unwrap(), cube(x));
        }
    });
}

#[test]
fn a_task_runs_in_another_process() {
    isolated(|| {
        let executor = executor(1);
        let worker = executor.submit(pid, ()).result().unwrap();
        assert_ne!(worker, process::id());
        assert_eq!(executor.worker_pids(), [worker]);
    });
}

#[test]
fn tasks_of_all_kinds() {
    #[task]
    fn inner(x: i64) -> i64 {
        -x
    }
    isolated(|| {
        let executor = executor(1);
        assert_eq!(executor.submit(inner, 1).result().unwrap(), -1);
        let twice = executor.submit(dependency::twice, "ab".to_owned());
        assert_eq!(twice.result().unwrap(), "abab");
        let sum = executor.submit(dependency::inner::sum, (1, 2));
        assert_eq!(sum.result().unwrap(), 3);
        for (task, expected) in [(task_ref(cube), 8), (task_ref(inner), -2)] {
            assert_eq!(executor.submit(task, 2).result().unwrap(), expected);
            assert_eq!(executor.submit_ref(task, &2).result().unwrap(), expected);
        }
    });
}

#[test]
fn f51_an_unmarked_function_fails_its_own_future() {
    fn unmarked(x: i64) -> i64 {
        x
    }
    isolated(|| {
        let executor = executor(1);
        for future in [
            executor.submit(unmarked, 1),
            executor.submit(task_ref(unmarked), 1),
        ] {
            let text = fails_with(future.result(), TaskErrorKind::UnknownTask).to_string();
            assert!(text.contains("unmarked"), "{text}");
            assert!(text.contains("#[task]"), "{text}");
        }
        let mut map = executor.map(unmarked, 0..3);
        fails_with(map.next().unwrap(), TaskErrorKind::UnknownTask);
        drop(map);
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    });
}

#[task]
fn refuse(text: String) -> Result<i64, String> {
    Err(text)
}

#[task]
fn read_nowhere() -> Result<(), AnyError> {
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "end of input"))?;
    Ok(())
}

#[task]
fn out_of_time() -> Result<(), AnyError> {
    Err(io::Error::new(io::ErrorKind::TimedOut, "timed out"))?;
    Ok(())
}

#[test]
fn a_returned_error_is_a_value() {
    isolated(|| {
        let executor = executor(1);
        let refused = executor.submit(refuse, "no".to_owned()).result().unwrap();
        assert_eq!(refused, Err("no".to_owned()));
        let empty = executor.submit(refuse, String::new()).result().unwrap();
        assert_eq!(empty, Err(String::new()), "an empty error is an error");
        let parsed = executor.submit(parse, "12".to_owned()).result().unwrap();
        assert_eq!(parsed.unwrap(), 12);
        let parsed = executor.submit(parse, "x".to_owned()).result().unwrap();
        let expected = "x".parse::<i64>().unwrap_err().to_string();
        assert_eq!(parsed.unwrap_err().to_string(), expected);
    });
}

#[test]
fn a_tasks_own_timeout_or_end_of_input_is_no_fate_of_the_pool() {
    isolated(|| {
        let executor = executor(1);
        let ended = executor.submit(read_nowhere, ()).result().unwrap();
        assert_eq!(ended.unwrap_err().to_string(), "end of input");
        let late = executor.submit(out_of_time, ()).result().unwrap();
        assert_eq!(late.unwrap_err().to_string(), "timed out");
    });
}

#[task]
fn panics(message: String) {
    panic!("{message}");
}

#[task]
fn panics_with_a_number() {
    panic_any(5);
}

#[test]
fn a_panic_is_told_whole() {
    Isolated::new().env("RUST_BACKTRACE", "0").run(|| {
        let executor = executor(1);
        let worker = executor.submit(pid, ()).result().unwrap();
        let future = executor.submit(panics, "out of ink".to_owned());
        let error = fails_with(future.result(), TaskErrorKind::Panicked);
        assert_eq!(error.task(), "submit::panics");
        assert_eq!(error.panic_message(), Some("out of ink"));
        assert_eq!(error.worker_pid(), Some(worker));
        assert_eq!((error.signal(), error.exit_code()), (None, None));
        assert_eq!(error.backtrace(), None, "none was asked for");
        let location = error.panic_location().unwrap();
        assert!(location.contains("submit.rs:"), "{location}");
        assert_eq!(
            error.to_string(),
            format!("task 'submit::panics' panicked at {location}: out of ink (worker {worker})")
        );
        let again = executor.submit(pid, ()).result().unwrap();
        assert_eq!(again, worker, "a panic costs no worker");
    });
}

#[test]
fn an_empty_panic_is_a_panic() {
    isolated(|| {
        let executor = executor(1);
        let future = executor.submit(panics, String::new());
        let error = fails_with(future.result(), TaskErrorKind::Panicked);
        assert_eq!(error.panic_message(), Some(""));
        let odd = executor.submit(panics_with_a_number, ()).result();
        fails_with(odd, TaskErrorKind::Panicked);
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    });
}

#[test]
fn a_backtrace_is_told_when_asked_for() {
    Isolated::new().env("RUST_BACKTRACE", "1").run(|| {
        let executor = executor(1);
        let future = executor.submit(panics, "out of ink".to_owned());
        let error = fails_with(future.result(), TaskErrorKind::Panicked);
        let backtrace = error.backtrace().expect("it was asked for");
        assert!(backtrace.contains("panics"), "{backtrace}");
    });
}

#[test]
fn one_error_leaves_the_rest() {
    isolated(|| {
        let executor = executor(2);
        let futures: Vec<_> = (0..200).map(|x| executor.submit(even, x)).collect();
        for (x, future) in (0..).zip(futures) {
            let result = future.result();
            if x % 2 == 0 {
                assert_eq!(result.unwrap(), x);
            } else {
                let error = fails_with(result, TaskErrorKind::Panicked);
                assert_eq!(error.panic_message(), Some(&*format!("{x} is odd")));
            }
        }
    });
}

#[test]
fn many_threads_submit_map_and_cancel() {
    isolated(|| {
        let executor = executor(3);
        thread::scope(|scope| {
            for seed in 0..10 {
                let executor = &executor;
                scope.spawn(move || {
                    for x in 0..30 * i64::try_from(rounds()).unwrap() {
                        let future = executor.submit(cube, seed + x);
                        let dropped = executor.submit(cube, x);
                        let cancelled = executor.submit(cube, x);
                        let is_cancelled = cancelled.cancel();
                        assert_eq!(future.result().unwrap(), cube(seed + x));
                        drop(dropped);
                        assert_eq!(is_cancelled, cancelled.result().is_err());
                        let mut map = executor.map(cube, x..x + 20);
                        assert_eq!(map.next().unwrap().unwrap(), cube(x));
                        assert_eq!(map.next().unwrap().unwrap(), cube(x + 1));
                    }
                });
            }
        });
    });
}

#[test]
fn built_used_and_dropped_in_three_threads() {
    isolated(|| {
        let executor = thread::spawn(|| executor(2)).join().unwrap();
        let executor = Arc::new(executor);
        let shared = executor.clone();
        let values = thread::spawn(move || {
            let values: Result<Vec<i64>, _> = shared.map(cube, 0..100).collect();
            values.unwrap()
        });
        assert_eq!(values.join().unwrap().len(), 100);
        let before = pids(&executor);
        assert_eq!(
            pids(&executor),
            before,
            "workers outlive the thread that built them"
        );
        thread::spawn(move || drop(executor)).join().unwrap();
    });
}

/// Makes calls in a destructor at the very end of a thread.
struct Late(Arc<Executor>);

impl Drop for Late {
    fn drop(&mut self) {
        let Self(executor) = self;
        assert_eq!(executor.submit(cube, 3).result().unwrap(), 27);
        let text = "x".repeat(100);
        let twice = executor.submit_ref(dependency::twice, &text).result();
        assert_eq!(twice.unwrap(), text.repeat(2));
        let cubed = executor.map(cube, 0..10).map(Result::unwrap);
        assert!(cubed.eq(cubes(10)));
        let numbers = executor.share_slice(&[1, 2, 3]).unwrap();
        let shared = executor.submit(sum, numbers).result();
        assert_eq!(shared.unwrap(), sum_of(&[1, 2, 3]));
        let awaited = pollster::block_on(executor.submit(cube, 4));
        assert_eq!(awaited.unwrap(), 64);
    }
}

#[test]
fn calls_at_the_very_end_of_a_thread() {
    thread_local!(static LATE: RefCell<Option<Late>> = const { RefCell::new(None) });
    isolated(|| {
        let executor = Arc::new(executor(1));
        let (late, used) = (Late(executor.clone()), executor);
        let thread = thread::spawn(move || {
            LATE.set(Some(late));
            // What calls need of the thread comes to be after that, and so goes before it.
            let numbers = used.share_slice(&[1]).unwrap();
            used.submit(sum, numbers).result().unwrap();
        });
        thread.join().unwrap();
    });
}

#[test]
fn never_more_processes_than_workers() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(3);
        let (log, gate) = (scratch.log("running"), scratch.gate("gate"));
        let futures: Vec<_> = (0..45)
            .map(|_| executor.submit(hold, (log.clone(), gate.clone())))
            .collect();
        log.reaches(3);
        assert_eq!(log.lines().len(), 3, "no more run than there are workers");
        assert_eq!(executor.worker_pids().len(), 3);
        let processes = processes();
        assert!(
            processes.len() <= 4,
            "workers and a fork server: {processes:?}"
        );
        gate.open();
        for future in futures {
            assert!(log.numbers().contains(&future.result().unwrap()));
        }
    });
}

#[test]
fn as_many_run_at_once_as_there_are_workers() {
    isolated(|| {
        for workers in [1, 2, 5, 13] {
            let executor = executor(workers);
            for _ in 0..rounds() {
                assert_eq!(pids(&executor).len(), workers);
            }
        }
    });
}

#[test]
fn a_long_call_starves_nobody() {
    isolated(|| {
        let executor = executor(2);
        for round in 0..rounds() {
            let scratch = Scratch::new();
            let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
            let held = executor.submit(hold, (log.clone(), gate.clone()));
            let short: Vec<_> = (0..100).map(|x| executor.submit(cube, x)).collect();
            for (x, future) in (0..).zip(short) {
                let result = future.result_timeout(Duration::from_secs(10));
                let result = result.unwrap_or_else(|f| panic!("round {round}, call {x}: {f:?}"));
                assert_eq!(result.unwrap(), cube(x));
            }
            gate.open();
            held.result().unwrap();
        }
    });
}

#[test]
fn work_is_spread() {
    isolated(|| {
        let executor = executor(4);
        let mut shares = BTreeMap::new();
        for worker in executor.map(work, (0..1000).map(|_| 1)) {
            *shares.entry(worker.unwrap()).or_insert(0) += 1;
        }
        assert_eq!(shares.len(), 4, "{shares:?}");
        assert!(shares.values().all(|&share| share > 100), "{shares:?}");
    });
}

#[test]
fn idle_workers_are_used_again() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(3);
        let log = scratch.log("ran");
        for _ in 0..30 {
            executor.submit(note, log.clone()).result().unwrap();
        }
        let mut workers = log.numbers();
        assert_eq!(workers.len(), 30, "each ran once");
        workers.sort_unstable();
        workers.dedup();
        assert!(workers.len() <= 3);
    });
}
