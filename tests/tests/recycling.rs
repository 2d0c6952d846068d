//! Workers that are replaced although nothing happened to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    time::Duration,
};

use pool_core::{ErrorKind, Executor, ExecutorBuilder, TaskErrorKind, task};
use pool_tests::{
    Gate, Log, Misdeed, PATIENCE, Scratch, cubed_or_stopped, cubes, fails_with, isolated, maps,
    processes, rounds,
    suite::pids,
    sys,
    tasks::{cube, misbehave, pid},
    until, values,
};

#[task]
fn note(log: Log) {
    log.add(process::id());
}

#[task]
fn fail_to_leave() -> Result<(), String> {
    Err("no".into())
}

#[task]
fn wait_for(gate: Gate) -> u32 {
    gate.pass();
    process::id()
}

/// Workers that run so many calls each.
fn recycled(workers: usize, tasks: u64) -> ExecutorBuilder {
    Executor::builder()
        .workers(workers)
        .max_tasks_per_worker(tasks)
}

/// How many calls each process ran.
fn calls_of_each(pids: impl IntoIterator<Item = u32>) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for pid in pids {
        *counts.entry(pid).or_default() += 1;
    }
    counts
}

#[test]
fn as_many_calls_as_allowed_then_another_process() {
    isolated(|| {
        let executor = recycled(1, 3).build().unwrap();
        let mut seen = BTreeSet::new();
        for _ in 0..5 {
            let pids: Vec<u32> = (0..3)
                .map(|_| executor.submit(pid, ()).result().unwrap())
                .collect();
            assert_eq!(BTreeSet::from_iter(&pids).len(), 1, "{pids:?}");
            assert!(seen.insert(pids[0]), "a new process, after {seen:?}");
            until("the old process is gone", || !sys::exists(pids[0]));
        }
        until("there is one worker", || pids(&executor).len() == 1);
    });
}

#[test]
fn one_call_for_each_process() {
    isolated(|| {
        let executor = recycled(2, 1).build().unwrap();
        let pids: Vec<u32> = executor
            .map(pid, [(); 20])
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(BTreeSet::from_iter(pids).len(), 20);
    });
}

#[test]
fn a_long_map_loses_nothing() {
    isolated(|| {
        let executor = recycled(2, 10).build().unwrap();
        let pids: Vec<u32> = executor
            .map(pid, [(); 1000])
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(pids.len(), 1000);
        for (pid, calls) in calls_of_each(pids) {
            assert!(calls <= 10, "process {pid} ran {calls}");
        }
        maps(&executor, 500);
    });
}

#[test]
fn crashes_between_do_not_confuse_the_count() {
    isolated(|| {
        let executor = recycled(2, 4).build().unwrap();
        for round in 0..30 {
            if round % 5 == 0 {
                let error = executor.submit(misbehave, Misdeed::Abort).result();
                fails_with(error, TaskErrorKind::WorkerDied);
            }
            assert_eq!(executor.submit(cube, round).result().unwrap(), round.pow(3));
        }
    });
}

#[test]
fn initialized_and_seen_off_each_time() {
    isolated(|| {
        let scratch = Scratch::new();
        let (begun, ended) = (scratch.log("begun"), scratch.log("ended"));
        let executor = recycled(1, 2)
            .initializer(note, begun.clone())
            .on_worker_exit(note, ended.clone())
            .build()
            .unwrap();
        let pids: Vec<u32> = executor
            .map(pid, [(); 7])
            .collect::<Result<_, _>>()
            .unwrap();
        executor.shutdown();
        let ran = BTreeSet::from_iter(pids);
        assert_eq!(ran.len(), 4);
        let ended = ended.numbers();
        assert_eq!(ended, begun.numbers()[..ended.len()], "each once, in turn");
        assert!(ran.is_subset(&ended.into_iter().collect()));
    });
}

#[test]
fn a_last_call_that_fails_or_dies_costs_nothing() {
    isolated(|| {
        let failing = recycled(1, 1)
            .on_worker_exit(fail_to_leave, ())
            .build()
            .unwrap();
        let dying = recycled(1, 1)
            .on_worker_exit(misbehave, Misdeed::Abort)
            .restart_limit(1000, Duration::from_secs(1))
            .build()
            .unwrap();
        for executor in [failing, dying] {
            for x in 0..5 {
                assert_eq!(executor.submit(cube, x).result().unwrap(), x.pow(3));
            }
        }
    });
}

#[test]
fn a_last_call_that_hangs_is_stopped() {
    isolated(|| {
        let scratch = Scratch::new();
        let never = scratch.gate("never");
        let executor = recycled(1, 1)
            .on_worker_exit(wait_for_in_vain, never)
            .exit_timeout(Duration::from_millis(50))
            .build()
            .unwrap();
        let first = executor.submit(pid, ()).result().unwrap();
        assert_ne!(executor.submit(pid, ()).result().unwrap(), first);
    });
}

#[task]
fn wait_for_in_vain(gate: Gate) {
    gate.pass();
}

#[test]
fn queued_work_is_finished_after_the_end_was_asked_for() {
    isolated(|| {
        for _ in 0..rounds() {
            let executor = recycled(2, 3).build().unwrap();
            let futures: Vec<_> = (0..40).map(|x| executor.submit(cube, x)).collect();
            executor.close();
            for (x, future) in (0..).zip(futures) {
                assert_eq!(future.result().unwrap(), i64::pow(x, 3));
            }
        }
    });
}

#[test]
fn closed_right_after_a_failed_call_it_finishes_the_rest() {
    isolated(|| {
        let settings = [(2, 1), (2, 2), (4, 1), (4, 2)];
        for (workers, tasks) in settings {
            for round in 0..rounds() * 2 {
                let executor = recycled(workers, tasks).build().unwrap();
                let before: Vec<_> = (0..3).map(|x| executor.submit(cube, x)).collect();
                let misdeed = if round % 2 == 0 {
                    Misdeed::Panic
                } else {
                    Misdeed::Abort
                };
                let failed = executor.submit(misbehave, misdeed);
                let after: Vec<_> = (0..6).map(|x| executor.submit(cube, x)).collect();
                // Its worker may be about to end as it is closed, and the failure be known or not.
                if round % 4 < 2 {
                    failed.wait();
                }
                executor.close();
                misdeed.is_told_by(&failed.result().unwrap_err());
                assert_eq!(values(before), cubes(3), "{workers} workers, {tasks} tasks");
                assert_eq!(values(after), cubes(6), "{workers} workers, {tasks} tasks");
                assert!(executor.shutdown_timeout(PATIENCE));
                assert_eq!(processes(), Vec::<String>::new());
            }
        }
    });
}

#[test]
fn dropped_or_killed_while_workers_come_and_go() {
    isolated(|| {
        for round in 0..rounds() * 4 {
            let executor = recycled(2, 1).build().unwrap();
            let futures: Vec<_> = (0..10).map(|x| executor.submit(cube, x)).collect();
            for future in futures.iter().take(round % 10) {
                future.wait();
            }
            let is_killed = round % 2 == 1;
            if is_killed {
                executor.kill();
            } else {
                drop(executor);
            }
            cubed_or_stopped(futures, is_killed);
        }
    });
}

#[test]
fn an_old_worker_ends_after_what_it_runs() {
    isolated(|| {
        let scratch = Scratch::new();
        let gate = scratch.gate("go on");
        let age = Duration::from_millis(50);
        let executor = Executor::builder()
            .workers(1)
            .max_worker_age(age)
            .build()
            .unwrap();
        let long = executor.submit(wait_for, gate.clone());
        until("it runs", || long.is_running());
        let queued: Vec<_> = (0..5).map(|x| executor.submit(cube, x)).collect();
        let old = executor.worker_pids();
        assert!(!long.wait_timeout(age * 2), "it runs on");
        assert_eq!(executor.worker_pids(), old);
        gate.open();
        assert!(old.contains(&long.result().unwrap()));
        for (x, future) in (0..).zip(queued) {
            assert_eq!(future.result().unwrap(), i64::pow(x, 3));
        }
        until("another worker came", || executor.worker_pids() != old);
    });
}

#[test]
fn very_short_lives_get_work_done() {
    isolated(|| {
        let executor = Executor::builder()
            .workers(2)
            .max_worker_age(Duration::from_millis(1))
            .build()
            .unwrap();
        maps(&executor, 200);
    });
}

#[test]
fn endless_limits_are_none() {
    isolated(|| {
        let executor = recycled(1, u64::MAX)
            .max_worker_age(Duration::MAX)
            .build()
            .unwrap();
        let before = pids(&executor);
        for x in 0..100 {
            assert_eq!(executor.submit(cube, x).result().unwrap(), x.pow(3));
        }
        assert_eq!(pids(&executor), before);
    });
}

#[test]
fn no_calls_and_no_time_are_refused() {
    isolated(|| {
        for (builder, option) in [
            (recycled(1, 0), "max_tasks_per_worker"),
            (
                Executor::builder().max_worker_age(Duration::ZERO),
                "max_worker_age",
            ),
        ] {
            let error = builder.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOption);
            assert!(error.to_string().contains(option), "{error}");
        }
    });
}

#[test]
fn a_panic_of_the_application_ends_workers_that_come_and_go() {
    isolated(|| {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let executor = recycled(2, 1).build().unwrap();
            let _futures: Vec<_> = (0..50).map(|x| executor.submit(cube, x)).collect();
            panic!("of the test");
        }));
        assert!(unwound.is_err());
    });
}
