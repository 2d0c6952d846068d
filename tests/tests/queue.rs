//! Executors that let only so much wait.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use pool_core::{Executor, TaskErrorKind, TaskFuture};
use pool_tests::{
    Gate, Scratch, builder, cubes, fails_with, isolated,
    tasks::{bytes, count, cube, pass, work},
};

/// Fills an executor up with calls that wait for the gate.
fn fill(executor: &Executor, gate: &Gate) -> Vec<TaskFuture<i64>> {
    let mut taken = Vec::new();
    while let Ok(future) = executor.try_submit(pass, (gate.clone(), 1)) {
        taken.push(future);
        assert!(taken.len() < 1000, "there is no limit");
    }
    taken
}

#[test]
fn one_more_than_the_limit_is_refused_with_its_arguments() {
    isolated(|| {
        let scratch = Scratch::new();
        let gate = scratch.gate("gate");
        for (workers, limit) in [(1, 0), (1, 3), (2, 5)] {
            let executor = builder(workers).queue_limit(limit).build().unwrap();
            let mut taken = fill(&executor, &gate);
            assert_eq!(taken.len(), workers + limit);
            let rejected = executor.try_submit(cube, 3).unwrap_err();
            assert_eq!(rejected.kind(), TaskErrorKind::QueueFull);
            let text = rejected.to_string();
            assert!(
                text.contains("cube") && text.contains("queue_limit"),
                "{text}"
            );
            assert_eq!(rejected.into_args(), 3);
            let error = fails_with(executor.submit(cube, 3).result(), TaskErrorKind::QueueFull);
            assert!(error.to_string().contains("calls are pending"), "{error}");
            // One that is cancelled makes room, if any waits.
            if limit > 0 {
                assert!(taken.pop().unwrap().cancel());
                let again = executor.try_submit(cube, 3).unwrap();
                assert!(executor.try_submit(cube, 3).is_err());
                assert!(again.cancel());
            }
            executor.kill();
        }
    });
}

#[test]
fn room_comes_back_with_every_end_of_a_call() {
    isolated(|| {
        let executor = builder(2).queue_limit(4).build().unwrap();
        for round in 0..200 {
            let scratch = Scratch::new();
            let gate = scratch.gate("gate");
            let taken = fill(&executor, &gate);
            assert_eq!(taken.len(), 6, "in round {round}");
            if round % 3 == 0 {
                taken[0].kill();
            }
            gate.open();
            for (index, future) in taken.into_iter().enumerate() {
                if index % 3 == 1 {
                    future.cancel();
                }
                future.wait();
            }
        }
    });
}

#[test]
fn bytes_are_limited_too() {
    isolated(|| {
        let executor = builder(1).queue_bytes(100_000).build().unwrap();
        let scratch = Scratch::new();
        let gate = scratch.gate("gate");
        let held = executor.submit(pass, (gate.clone(), 1));
        let weights: Vec<_> = (0..3)
            .map(|_| executor.submit(count, vec![0; 40_000]))
            .collect();
        let rejected = executor.try_submit(bytes, vec![7; 10]).unwrap_err();
        assert_eq!(rejected.into_args(), [7; 10]);
        gate.open();
        held.result().unwrap();
        for future in weights {
            assert_eq!(future.result().unwrap(), 40_000);
        }
        // What is larger than all of it is taken, alone; its memory may go into its result.
        for size in [1, 100_000, 5_000_000] {
            let echo = executor.try_submit(bytes, vec![1; size]).unwrap();
            assert_eq!(echo.result().unwrap().len(), size);
        }
        assert!(executor.try_submit(bytes, vec![1; 10]).is_ok());
    });
}

#[test]
fn maps_and_broadcasts_are_never_refused() {
    isolated(|| {
        let executor = builder(2).queue_limit(0).build().unwrap();
        let scratch = Scratch::new();
        let gate = scratch.gate("gate");
        let mut map = executor.map(cube, 0..5000).start();
        let taken = fill(&executor, &gate);
        assert_eq!(taken.len(), 2, "what a map has in flight does not count");
        let everywhere = executor.broadcast(cube, 2);
        gate.open();
        let mapped: Vec<i64> = map.by_ref().collect::<Result<_, _>>().unwrap();
        assert_eq!(mapped, cubes(5000));
        for future in everywhere {
            assert_eq!(future.result().unwrap(), 8);
        }
    });
}

#[test]
fn a_closed_executor_gives_arguments_back() {
    isolated(|| {
        let executor = builder(1).build().unwrap();
        executor.close();
        let rejected = executor.try_submit(bytes, vec![1, 2]).unwrap_err();
        assert_eq!(rejected.kind(), TaskErrorKind::ShutDown);
        assert_eq!(rejected.into_args(), [1, 2]);
    });
}

#[test]
fn threads_race_for_the_last_place() {
    isolated(|| {
        let executor = builder(2).queue_limit(3).build().unwrap();
        let (taken, pending) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let Ok(future) = executor.try_submit(work, 0) else {
                            thread::yield_now();
                            continue;
                        };
                        assert!(pending.fetch_add(1, Ordering::SeqCst) < 5 + 4);
                        future.wait();
                        pending.fetch_sub(1, Ordering::SeqCst);
                        future.result().unwrap();
                        taken.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(taken.load(Ordering::SeqCst) > 100);
        assert_eq!(fill(&executor, &Scratch::new().gate("never")).len(), 5);
        executor.kill();
    });
}
