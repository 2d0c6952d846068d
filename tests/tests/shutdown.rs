//! Every way to end an executor, whatever it is doing.

use std::{sync::Arc, thread, time::Duration};

use pool_core::{Executor, TaskErrorKind, TaskFuture};
use pool_tests::{
    Misdeed, Scratch, executor, fails_with, isolated, processes, rounds,
    suite::loaded,
    tasks::{bytes, cube, even, misbehave, note, pid, zeros},
    until,
};

/// Every way to end an executor that nothing hangs in.
const ENDS: [fn(&Executor); 5] = [
    Executor::shutdown,
    Executor::shutdown_now,
    Executor::kill,
    |executor| assert!(executor.shutdown_timeout(Duration::from_secs(20))),
    Executor::close,
];

#[test]
fn nothing_is_taken_after_it() {
    isolated(|| {
        for end in ENDS {
            let executor = executor(2);
            assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
            end(&executor);
            let refused = executor.submit(cube, 3);
            assert!(refused.is_done(), "at once");
            let error = fails_with(refused.result(), TaskErrorKind::ShutDown);
            assert!(error.to_string().contains("cube"), "{error}");
            fails_with(
                executor.submit_ref(cube, &3).result(),
                TaskErrorKind::ShutDown,
            );
            let mut map = executor.map(cube, 0..3);
            fails_with(map.next().unwrap(), TaskErrorKind::ShutDown);
            assert!(map.next().is_none());
        }
    });
}

#[test]
fn shutdown_waits_for_all_that_is_pending() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let (running, gate, queued, log) = loaded(&executor, &scratch, 50);
        thread::scope(|scope| {
            let ended = scope.spawn(|| executor.shutdown());
            until("it is closed", || {
                let refused = executor.submit(pid, ());
                refused.is_done() && refused.result().is_err()
            });
            assert!(!ended.is_finished());
            gate.open();
        });
        assert!(running.iter().all(TaskFuture::is_done));
        assert!(queued.iter().all(TaskFuture::is_done));
        assert_eq!(log.lines().len(), 50);
        assert!(queued.into_iter().all(|future| future.result().is_ok()));
        assert!(executor.worker_pids().is_empty());
        assert_eq!(processes(), Vec::<String>::new());
    });
}

#[test]
fn close_returns_at_once_and_all_is_finished() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let (running, gate, queued, log) = loaded(&executor, &scratch, 50);
        executor.close();
        assert!(running.iter().all(|future| !future.is_done()));
        gate.open();
        assert!(running.into_iter().all(|future| future.result().is_ok()));
        assert!(queued.into_iter().all(|future| future.result().is_ok()));
        assert_eq!(log.lines().len(), 50);
        assert!(executor.shutdown_timeout(Duration::from_secs(20)));
    });
}

#[test]
fn close_now_cancels_what_has_not_started_and_returns_at_once() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let (running, gate, queued, log) = loaded(&executor, &scratch, 50);
        assert!(!executor.is_closed());
        executor.close_now();
        assert!(executor.is_closed());
        assert!(queued.iter().all(TaskFuture::is_cancelled));
        assert!(running.iter().all(|future| !future.is_done()));
        gate.open();
        assert!(running.into_iter().all(|future| future.result().is_ok()));
        executor.shutdown();
        assert!(executor.is_closed());
        assert!(log.lines().is_empty());
    });
}

#[test]
fn shutdown_now_cancels_what_has_not_started() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let (running, gate, queued, log) = loaded(&executor, &scratch, 50);
        thread::scope(|scope| {
            scope.spawn(|| executor.shutdown_now());
            until("the queue is cancelled", || {
                queued.iter().all(TaskFuture::is_cancelled)
            });
            assert!(running.iter().all(|future| !future.is_done()));
            gate.open();
        });
        assert!(running.into_iter().all(|future| future.result().is_ok()));
        for future in queued {
            fails_with(future.result(), TaskErrorKind::Cancelled);
        }
        assert_eq!(log.lines().len(), 0);
    });
}

#[test]
fn f55_dropped_with_work_pending_it_finishes_it() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let (running, gate, queued, log) = loaded(&executor, &scratch, 50);
        let dropping = thread::spawn(move || drop(executor));
        gate.open();
        dropping.join().unwrap();
        assert!(running.into_iter().all(|future| future.result().is_ok()));
        assert!(queued.into_iter().all(|future| future.result().is_ok()));
        assert_eq!(log.lines().len(), 50);
        assert_eq!(processes(), Vec::<String>::new());
    });
}

#[test]
fn an_executor_never_used() {
    isolated(|| {
        for end in ENDS {
            end(&executor(3));
        }
        drop(executor(3));
        let executor = executor(3);
        drop(executor.map(cube, 0..10));
        drop(executor.submit(cube, 1));
    });
}

#[test]
fn f54_ended_twice_and_from_two_threads() {
    isolated(|| {
        for first in ENDS {
            for second in ENDS {
                let executor = executor(2);
                let futures: Vec<_> = (0..20).map(|x| executor.submit(cube, x)).collect();
                thread::scope(|scope| {
                    scope.spawn(|| first(&executor));
                    scope.spawn(|| second(&executor));
                });
                first(&executor);
                second(&executor);
                drop(executor);
                assert!(futures.iter().all(TaskFuture::is_done));
            }
        }
    });
}

#[test]
fn right_after_a_map_of_one_more_than_workers() {
    isolated(|| {
        for end in ENDS {
            for _ in 0..rounds() {
                let executor = executor(2);
                let map = executor.map(cube, 0..3).start();
                end(&executor);
                assert!((1..=4).contains(&map.count()));
            }
        }
    });
}

#[test]
fn cancel_of_the_only_call_right_before_it() {
    isolated(|| {
        for end in ENDS {
            for _ in 0..rounds() {
                let executor = executor(1);
                let future = executor.submit(cube, 2);
                let was_cancelled = future.cancel();
                end(&executor);
                drop(executor);
                let result = future.try_result().unwrap();
                assert!(!was_cancelled || result.is_err());
            }
        }
    });
}

#[test]
fn after_failed_and_fatal_calls() {
    isolated(|| {
        for end in ENDS {
            let executor = executor(2);
            let good = executor.submit(cube, 2);
            good.wait();
            let failed = executor.submit(even, 1);
            let dead = executor.submit(misbehave, Misdeed::ExitAtOnce);
            end(&executor);
            drop(executor);
            assert!(failed.try_result().unwrap().is_err());
            assert!(dead.try_result().unwrap().is_err());
            assert_eq!(good.try_result().unwrap().unwrap(), 8);
        }
    });
}

#[test]
fn results_that_had_come_are_kept() {
    isolated(|| {
        for end in ENDS {
            let executor = executor(2);
            let futures: Vec<_> = (0..100).map(|x| executor.submit(cube, x)).collect();
            futures.iter().for_each(TaskFuture::wait);
            end(&executor);
            drop(executor);
            for (x, future) in (0..).zip(futures) {
                assert_eq!(future.result().unwrap(), cube(x));
            }
        }
    });
}

#[test]
fn while_others_submit() {
    isolated(|| {
        for end in ENDS {
            for _ in 0..rounds() {
                let executor = Arc::new(executor(2));
                let submitters: Vec<_> = (0..3)
                    .map(|_| {
                        let executor = executor.clone();
                        thread::spawn(move || {
                            loop {
                                match executor.submit(cube, 3).result() {
                                    Ok(value) => assert_eq!(value, 27),
                                    Err(error) => break error.kind(),
                                }
                            }
                        })
                    })
                    .collect();
                assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
                end(&executor);
                for submitter in submitters {
                    let kind = submitter.join().unwrap();
                    assert!(
                        matches!(
                            kind,
                            TaskErrorKind::ShutDown
                                | TaskErrorKind::Cancelled
                                | TaskErrorKind::Killed
                        ),
                        "{kind:?}"
                    );
                }
            }
        }
    });
}

#[test]
fn many_executors_one_after_another() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("ran");
        for round in 1..=20 * rounds() {
            let executor = executor(1 + round % 3);
            executor.submit(note, log.clone()).result().unwrap();
        }
        assert_eq!(log.lines().len(), 20 * rounds());
    });
}

#[test]
fn while_large_values_are_on_their_way() {
    isolated(|| {
        for end in ENDS {
            for is_cancelled in [false, true] {
                let executor = executor(2);
                let large: Vec<_> = (0..4)
                    .map(|_| executor.submit(bytes, vec![1; 8 << 20]))
                    .collect();
                let zeros: Vec<_> = (0..4).map(|_| executor.submit(zeros, 8 << 20)).collect();
                for future in large.iter().filter(|_| is_cancelled) {
                    future.cancel();
                }
                end(&executor);
                drop(executor);
                assert!(large.iter().chain(&zeros).all(TaskFuture::is_done));
            }
        }
    });
}
