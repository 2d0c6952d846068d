//! What runs when a call is done.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use pool_core::{Executor, TaskErrorKind};
use pool_tests::{
    Misdeed, PATIENCE, Scratch, fails_with, isolated, processes,
    suite::{held, pids},
    sys::refuse_threads,
    tasks::{cube, even, hang, misbehave, nothing, pid},
    until,
};

fn executor(workers: usize) -> Arc<Executor> {
    Arc::new(pool_tests::executor(workers))
}

/// The next message, which must come.
#[track_caller]
fn next<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(PATIENCE).expect("the callback runs")
}

#[test]
fn called_with_the_value_the_error_or_the_cancellation() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let (held, gate) = held(&executor, &scratch);
        let (sender, results) = channel();
        for x in 0..3 {
            let future = executor.submit(even, x);
            if x == 2 {
                assert!(future.cancel());
            }
            let sender = sender.clone();
            future.on_done(move |result| sender.send((x, result)).unwrap());
        }
        let (x, result) = next(&results);
        assert_eq!(x, 2);
        fails_with(result, TaskErrorKind::Cancelled);
        gate.open();
        held.result().unwrap();
        // In no certain order: several threads tell of what is done.
        let mut ended = [next(&results), next(&results)];
        ended.sort_by_key(|(x, _)| *x);
        let [(0, even), (1, odd)] = ended else {
            panic!("one of them was called twice");
        };
        assert_eq!(even.unwrap(), 0);
        fails_with(odd, TaskErrorKind::Panicked);
        drop(sender);
        drop(executor);
        assert!(results.recv().is_err(), "each was called once, and dropped");
    });
}

#[test]
fn added_to_a_finished_future_it_runs_at_once() {
    isolated(|| {
        let executor = executor(1);
        let (sender, results) = channel();
        for x in 0..2 {
            let future = executor.submit(even, x);
            future.wait();
            let sender = sender.clone();
            future.on_done(move |result| sender.send(result.is_ok()).unwrap());
        }
        assert!(next(&results));
        assert!(!next(&results));
    });
}

#[test]
fn one_after_another_on_a_thread_of_their_own() {
    isolated(|| {
        let executor = executor(2);
        let (sender, threads) = channel();
        let alone = Arc::new(Mutex::new(()));
        for x in 0..50 {
            let (sender, alone) = (sender.clone(), alone.clone());
            executor.submit(cube, x).on_done(move |_| {
                let _alone = alone.try_lock().expect("no other callback runs");
                thread::yield_now();
                sender.send(thread::current().id()).unwrap();
            });
        }
        let first = next(&threads);
        assert_ne!(first, thread::current().id());
        assert!((1..50).all(|_| next(&threads) == first));
    });
}

#[test]
fn f58_a_panic_in_one_costs_nothing_else() {
    isolated(|| {
        let executor = executor(1);
        let (sender, values) = channel();
        for x in 0..20 {
            let sender = sender.clone();
            executor.submit(cube, x).on_done(move |result| {
                assert!(x % 2 == 0, "a callback panics on purpose");
                sender.send(result.unwrap()).unwrap();
            });
        }
        for x in (0..20).step_by(2) {
            assert_eq!(next(&values), cube(x));
        }
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    });
}

#[test]
fn a_panic_in_one_is_told_on_standard_error() {
    isolated(|| {
        let executor = executor(1);
        executor
            .submit(cube, 2)
            .on_done(|result| panic!("a callback panics over {result:?}"));
        // It is a file, as this process is that of a test.
        let printed = || fs::read_to_string("/proc/self/fd/2").unwrap();
        until("the panic hook has told it", || {
            let printed = printed();
            let place = printed.split_once(concat!("panicked at ", file!(), ":"));
            place.is_some_and(|(_, rest)| rest.contains("a callback panics over Ok(8)\n"))
        });
        drop(executor);
        assert_eq!(printed().matches("panicked at").count(), 1, "told once");
    });
}

#[test]
fn a_slow_one_delays_no_call_and_no_death() {
    isolated(|| {
        let executor = executor(1);
        let (release, blocked) = channel::<()>();
        let (sender, started) = channel();
        executor.submit(cube, 1).on_done(move |_| {
            sender.send(()).unwrap();
            let _ = blocked.recv();
        });
        next(&started);
        let dead = executor.submit(misbehave, Misdeed::Kill);
        let result = dead.result_timeout(PATIENCE).unwrap();
        Misdeed::Kill.is_told_by(&result.unwrap_err());
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
        drop(release);
    });
}

/// Submits the next call of a chain from the callback of the last.
fn chain(executor: &Arc<Executor>, left: i64, done: impl Fn(i64) + Send + 'static) {
    let next_executor = executor.clone();
    executor.submit(cube, left).on_done(move |result| {
        assert_eq!(result.unwrap(), cube(left));
        if left == 0 {
            done(left);
        } else {
            chain(&next_executor, left - 1, done);
        }
    });
}

#[test]
fn f59_chains_of_calls() {
    isolated(|| {
        let executor = executor(2);
        let (sender, ended) = channel();
        for _ in 0..3 {
            let sender = sender.clone();
            chain(&executor, 100, move |x| sender.send(x).unwrap());
        }
        assert_eq!([(); 3].map(|()| next(&ended)), [0; 3]);
    });
}

#[test]
fn a_call_from_a_callback_may_die() {
    isolated(|| {
        let executor = executor(1);
        let (sender, results) = channel();
        let inner = executor.clone();
        executor.submit(cube, 1).on_done(move |_| {
            let misdeed = Misdeed::RaiseSegv;
            inner.submit(misbehave, misdeed).on_done(move |result| {
                sender.send(result.unwrap_err()).unwrap();
            });
        });
        Misdeed::RaiseSegv.is_told_by(&next(&results));
        let worker = executor.submit(pid, ()).result().unwrap();
        assert_eq!(executor.worker_pids(), [worker]);
    });
}

#[test]
fn the_result_may_be_awaited_in_a_callback() {
    isolated(|| {
        let executor = executor(1);
        let (sender, values) = channel();
        let inner = executor.clone();
        executor.submit(cube, 2).on_done(move |result| {
            let again = inner.submit(cube, result.unwrap()).result();
            let all: Result<Vec<_>, _> = inner.map(cube, 0..10).collect();
            sender.send((again.unwrap(), all.unwrap().len())).unwrap();
        });
        assert_eq!(next(&values), (512, 10));
    });
}

#[test]
fn the_end_from_a_callback() {
    isolated(|| {
        let ends: [fn(&Executor); 5] = [
            Executor::shutdown,
            Executor::shutdown_now,
            Executor::kill,
            Executor::close,
            |executor| assert!(executor.shutdown_timeout(Duration::from_secs(20))),
        ];
        for end in ends {
            let executor = executor(2);
            let (sender, ended) = channel();
            let inner = executor.clone();
            executor.submit(cube, 1).on_done(move |_| {
                end(&inner);
                end(&inner);
                let after = inner.submit(cube, 1).result();
                sender.send(after.unwrap_err().kind()).unwrap();
            });
            assert_eq!(next(&ended), TaskErrorKind::ShutDown);
        }
    });
}

#[test]
fn the_last_handle_dropped_in_a_callback() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let log = scratch.log("hanging");
        let hanging = executor.submit(hang, log.clone());
        log.reaches(1);
        let (sender, dropped) = channel();
        let inner = executor.clone();
        executor.submit(cube, 1).on_done(move |_| {
            inner.kill();
            drop(inner);
            sender.send(()).unwrap();
        });
        drop(executor);
        next(&dropped);
        fails_with(hanging.result(), TaskErrorKind::Killed);
    });
}

#[test]
fn one_may_wait_for_a_worker_that_has_to_be_initialized() {
    isolated(|| {
        let builder = Executor::builder().workers(1).initializer(nothing, ());
        let executor = Arc::new(builder.build().unwrap());
        let (sender, results) = channel();
        let inner = executor.clone();
        executor
            .submit(misbehave, Misdeed::Kill)
            .on_done(move |_| sender.send(inner.submit(cube, 3).result()).unwrap());
        assert_eq!(next(&results).unwrap(), 27);
    });
}

/// A callback of an executor, which runs until it is released, by a message or by the end of who would
/// send it; what tells that it runs, and has run, and what releases it.
fn running_callback(executor: &Executor) -> (Receiver<i64>, Sender<()>) {
    let (release, released) = channel::<()>();
    let (sender, told) = channel();
    executor.submit(cube, 2).on_done(move |result| {
        sender.send(result.unwrap()).unwrap();
        let _ = released.recv();
        sender.send(0).unwrap();
    });
    assert_eq!(next(&told), 8);
    (told, release)
}

#[test]
fn whoever_ends_the_executor_waits_for_them() {
    isolated(|| {
        let executor = executor(1);
        let (told, release) = running_callback(&executor);
        let (sender, ended) = channel();
        thread::scope(|scope| {
            // Dropped where a check fails, or the scope would never end.
            let release = release;
            for end in [Executor::shutdown, Executor::shutdown_now] {
                let (executor, sender) = (&executor, sender.clone());
                scope.spawn(move || {
                    end(executor);
                    sender.send(()).unwrap();
                });
            }
            let early = ended.recv_timeout(Duration::from_millis(30));
            early.expect_err("both wait for it");
            release.send(()).unwrap();
            (0..2).for_each(|_| next(&ended));
            assert_eq!(told.try_recv(), Ok(0));
        });
    });
}

#[test]
fn one_that_hangs_is_left_to_itself_after_a_kill() {
    isolated(|| {
        let executor = executor(1);
        let (told, release) = running_callback(&executor);
        let in_time = executor.shutdown_timeout(Duration::from_millis(30));
        assert!(!in_time, "it has not run to its end");
        assert_eq!(processes(), Vec::<String>::new());
        executor.kill();
        executor.shutdown();
        drop(executor);
        assert!(told.try_recv().is_err(), "it runs");
        release.send(()).unwrap();
        assert_eq!(next(&told), 0);
    });
}

#[test]
fn after_the_end_they_run_one_after_another_as_well() {
    isolated(|| {
        let executor = executor(1);
        let futures: Vec<_> = (0..20).map(|x| executor.submit(cube, x)).collect();
        executor.shutdown();
        let (sender, results) = channel();
        let alone = Arc::new(Mutex::new(()));
        for future in futures {
            let (sender, alone) = (sender.clone(), Arc::clone(&alone));
            future.on_done(move |result| {
                let _alone = alone.try_lock().expect("no other one runs");
                thread::yield_now();
                sender.send(result.unwrap()).unwrap();
            });
        }
        (0..20).for_each(|x| assert_eq!(next(&results), cube(x)));
    });
}

#[test]
fn one_that_is_added_by_one_is_waited_for() {
    isolated(|| {
        let executor = executor(1);
        let done = executor.submit(cube, 1);
        assert!(done.wait_timeout(PATIENCE));
        let (sender, ran) = channel();
        executor.submit(cube, 2).on_done(move |_| {
            until("the processes are gone", || processes().is_empty());
            done.on_done(move |result| {
                let (_never, nothing) = channel::<()>();
                let _ = nothing.recv_timeout(Duration::from_millis(30));
                sender.send(result.unwrap()).unwrap();
            });
        });
        executor.shutdown();
        assert_eq!(ran.try_recv(), Ok(1));
    });
}

#[test]
fn no_thread_has_to_be_had_for_it() {
    isolated(|| {
        let executor = executor(2);
        // What the executor has started has begun: it has told of a death.
        let killed = executor.submit(misbehave, Misdeed::Kill);
        fails_with(killed.result(), TaskErrorKind::WorkerDied);
        assert_eq!(pids(&executor).len(), 2);
        let (sender, begun) = channel();
        let future = executor.submit(cube, 1);
        executor
            .submit(cube, 1)
            .on_done(move |result| sender.send(result).unwrap());
        next(&begun).unwrap();
        pollster::block_on(future).unwrap();
        let _refusal = refuse_threads();
        let (sender, results) = channel();
        let (release, released) = channel::<()>();
        executor.submit(cube, 2).on_done(move |result| {
            released.recv().unwrap();
            sender.send(result).unwrap();
        });
        let killed = executor.submit(misbehave, Misdeed::Kill);
        fails_with(killed.result(), TaskErrorKind::WorkerDied);
        release.send(()).unwrap();
        assert_eq!(next(&results).unwrap(), 8);
    });
}
