//! Very many calls, threads and workers at once.

use std::{fs::read_dir, thread};

use pool_core::{Executor, TaskFuture};
use pool_tests::{
    Isolated, Scratch, isolated,
    suite::{held, pids},
    tasks::{cube, hold},
    threads, threads_with_executor,
};

/// How many descriptors this process has open.
fn descriptors() -> usize {
    read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_million_calls_pending_at_once() {
    Isolated::new().large().run(|| {
        let executor = Executor::builder().workers(2).build().unwrap();
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
        let held = [(); 2].map(|()| executor.submit(hold, (log.clone(), gate.clone())));
        log.reaches(2);
        // A worker may begin before the application has heard of it, and has its descriptors.
        assert_eq!(executor.worker_pids().len(), 2);
        let (fds, before) = (descriptors(), threads_with_executor());
        let futures: Vec<_> = (0..1_000_000).map(|x| executor.submit(cube, x)).collect();
        assert_eq!(descriptors(), fds);
        assert_eq!(threads(), before);
        gate.open();
        for future in held {
            future.result().unwrap();
        }
        let mut sum = 0;
        for (x, future) in (0..).zip(futures) {
            let value = future.result().unwrap();
            assert_eq!(value, cube(x));
            sum += x;
        }
        assert_eq!(sum, 499_999_500_000);
    });
}

#[test]
fn a_million_calls_dropped_unread() {
    Isolated::new().large().run(|| {
        let executor = Executor::builder().workers(1).build().unwrap();
        let scratch = Scratch::new();
        let (held, gate) = held(&executor, &scratch);
        let futures: Vec<_> = (0..1_000_000).map(|x| executor.submit(cube, x)).collect();
        assert!(futures.iter().step_by(2).all(TaskFuture::cancel));
        drop(futures);
        gate.open();
        held.result().unwrap();
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
        executor.kill();
    });
}

#[test]
fn many_mapped_items() {
    Isolated::new().large().run(|| {
        let executor = Executor::builder().workers(2).build().unwrap();
        for (x, result) in (0..300_000).zip(executor.map(cube, 0..300_000)) {
            assert_eq!(result.unwrap(), cube(x));
        }
        let unordered = executor.map(cube, 0..100_000).unordered();
        let sum: usize = unordered.map(|(index, _)| index).sum();
        assert_eq!(sum, 100_000 * 99_999 / 2);
    });
}

#[test]
fn many_threads_submit() {
    isolated(|| {
        let executor = Executor::builder().workers(2).build().unwrap();
        thread::scope(|scope| {
            for seed in 0..64 {
                let executor = &executor;
                scope.spawn(move || {
                    let futures: Vec<_> =
                        (0..100).map(|x| executor.submit(cube, seed + x)).collect();
                    for (x, future) in (seed..).zip(futures) {
                        assert_eq!(future.result().unwrap(), cube(x));
                    }
                });
            }
        });
    });
}

#[test]
fn many_threads_map() {
    isolated(|| {
        let executor = Executor::builder().workers(3).build().unwrap();
        thread::scope(|scope| {
            for seed in 0..16 {
                let executor = &executor;
                scope.spawn(move || {
                    for (x, result) in (seed..).zip(executor.map(cube, seed..seed + 500)) {
                        assert_eq!(result.unwrap(), cube(x));
                    }
                });
            }
        });
    });
}

#[test]
fn many_workers() {
    Isolated::new().large().run(|| {
        let executor = Executor::builder().workers(256).build().unwrap();
        assert_eq!(pids(&executor).len(), 256);
        let values: Vec<_> = executor.map(cube, 0..10_000).map(Result::unwrap).collect();
        assert!(values.into_iter().eq((0..10_000).map(cube)));
        let futures: Vec<_> = (0..10_000).map(|x| executor.submit(cube, x)).collect();
        futures.iter().for_each(TaskFuture::wait);
        executor.shutdown();
    });
}

#[test]
fn many_executors_at_once() {
    isolated(|| {
        let executors: Vec<_> = (0..20)
            .map(|_| Executor::builder().workers(2).build().unwrap())
            .collect();
        let futures: Vec<_> = executors
            .iter()
            .map(|executor| executor.submit(cube, 2))
            .collect();
        assert!(
            futures
                .into_iter()
                .all(|future| future.result().unwrap() == 8)
        );
    });
}
