//! Which of the calls that wait begins next.

use std::{
    thread,
    time::{Duration, Instant},
};

use pool_core::{Executor, TaskErrorKind, TaskFuture};
use pool_tests::{
    Gate, Log, Scratch, cubes, executor, fails_with, isolated, processes,
    tasks::{cube, hold, misbehave, record, work},
};

/// The only worker of this executor is busy until the gate is open.
fn hold_up(executor: &Executor, scratch: &Scratch) -> (TaskFuture<u32>, Gate) {
    let (log, gate) = (scratch.log("held"), scratch.gate("held"));
    let held = executor.submit(hold, (log.clone(), gate.clone()));
    log.reaches(1);
    (held, gate)
}

/// What the worker did, in its order.
fn order(log: &Log) -> Vec<i64> {
    let lines = log.lines();
    lines.iter().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn higher_priorities_begin_first() {
    isolated(|| {
        let (scratch, executor) = (Scratch::new(), executor(1));
        let (_held, gate) = hold_up(&executor, &scratch);
        let log = scratch.log("ran");
        for (line, priority) in [
            (0, 0),
            (1, -3),
            (2, 5),
            (3, 5),
            (4, i32::MAX),
            (5, i32::MIN),
        ] {
            let options = executor.options().priority(priority);
            drop(options.submit(record, (log.clone(), line)));
        }
        let mapped = executor.options().priority(1);
        let mut mapped = mapped
            .map(record, [(log.clone(), 6), (log.clone(), 7)])
            .start();
        gate.open();
        assert!(mapped.all(|result| result.is_ok()));
        executor.shutdown();
        assert_eq!(order(&log), [4, 2, 3, 6, 7, 0, 1, 5]);
    });
}

#[test]
fn an_urgent_call_passes_thousands_that_were_dealt() {
    isolated(|| {
        let (scratch, executor) = (Scratch::new(), executor(1));
        // The worker is fast, as it seems, and is dealt many calls ahead.
        let seen: Vec<i64> = executor
            .map(cube, 0..10_000)
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(seen, cubes(10_000));
        let background = executor.options().priority(-1);
        let slow: Vec<_> = (0..2000).map(|_| background.submit(work, 5)).collect();
        slow[0].wait();
        let log = scratch.log("ran");
        let start = Instant::now();
        let urgent = executor.submit(record, (log, 1));
        assert_eq!(urgent.result().unwrap(), 1);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}, of 10 s");
        executor.kill();
        assert!(slow[1999].is_cancelled());
    });
}

#[test]
fn low_priorities_are_not_starved() {
    isolated(|| {
        let (scratch, executor) = (Scratch::new(), executor(1));
        let (_held, gate) = hold_up(&executor, &scratch);
        let log = scratch.log("ran");
        let urgent = executor.options().priority(7);
        let urgent: Vec<_> = (0..100)
            .map(|line| urgent.submit(record, (log.clone(), line)))
            .collect();
        let plain = executor.submit(record, (log.clone(), 1000));
        let low = executor
            .options()
            .priority(-7)
            .submit(record, (log.clone(), 2000));
        gate.open();
        for future in urgent.into_iter().chain([plain, low]) {
            future.result().unwrap();
        }
        let order = order(&log);
        let at = |line| order.iter().position(|&other| other == line).unwrap();
        assert!(at(1000).max(at(2000)) < 50, "{order:?}");
        let urgent: Vec<i64> = order.into_iter().filter(|line| *line < 1000).collect();
        assert_eq!(urgent, (0..100).collect::<Vec<_>>(), "in their order");
    });
}

#[test]
fn threads_that_submit_have_fair_shares() {
    isolated(|| {
        let (scratch, executor) = (Scratch::new(), executor(1));
        let (_held, gate) = hold_up(&executor, &scratch);
        let log = scratch.log("ran");
        let submit = |lines: std::ops::Range<i64>| {
            for line in lines {
                drop(executor.submit(record, (log.clone(), line)));
            }
        };
        submit(0..1000);
        thread::scope(|scope| {
            scope.spawn(|| submit(5000..5010));
        });
        gate.open();
        executor.shutdown();
        let order = order(&log);
        assert_eq!(order.len(), 1010);
        let last = order.iter().position(|&line| line == 5009).unwrap();
        assert!(last < 25, "the last of a few came after {last} calls");
        for thread in [0..1000, 5000..5010] {
            let of_thread = order.iter().filter(|&line| thread.contains(line));
            assert!(of_thread.is_sorted(), "each thread's in their order");
        }
    });
}

#[test]
fn priorities_outlive_deaths_and_end_with_their_calls() {
    isolated(|| {
        let (scratch, executor) = (Scratch::new(), executor(1));
        let (held, gate) = hold_up(&executor, &scratch);
        let log = scratch.log("ran");
        let low = executor
            .options()
            .priority(-1)
            .submit(record, (log.clone(), 1));
        let plain = executor.submit(record, (log.clone(), 0));
        let urgent = executor.options().priority(1).retries(1);
        let dies = urgent.submit(misbehave, pool_tests::Misdeed::Kill);
        let stays = urgent.submit(record, (log.clone(), 2));
        let cancelled = urgent.submit(record, (log.clone(), 3));
        assert!(cancelled.cancel());
        gate.open();
        held.result().unwrap();
        fails_with(dies.result(), TaskErrorKind::WorkerDied);
        for future in [low, plain, stays] {
            future.result().unwrap();
        }
        assert_eq!(order(&log), [2, 0, 1]);
        let cubed: Vec<i64> = executor
            .map(cube, 0..1000)
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(cubed, cubes(1000));
        executor.shutdown();
        assert_eq!(processes(), Vec::<String>::new());
    });
}
