//! What most tests begin with.

use std::time::Duration;

use pool_core::{Executor, ExecutorBuilder, TaskErrorKind, TaskFuture};

use crate::{Gate, Log, footprint, tasks};

/// The settings of an executor of so many workers.
pub fn builder(workers: usize) -> ExecutorBuilder {
    let builder = Executor::builder().workers(workers);
    // A profile that clears the environment is not to hide its processes from the test's guard.
    match footprint::mark() {
        Some(mark) => builder.env(footprint::MARK, mark),
        None => builder,
    }
}

/// An executor of so many workers.
pub fn executor(workers: usize) -> Executor {
    builder(workers).build().unwrap()
}

/// An executor whose workers may die outside of tasks as often as they like.
pub fn tireless_executor(workers: usize) -> Executor {
    let builder = builder(workers).restart_limit(u32::MAX, Duration::from_secs(1));
    builder.build().unwrap()
}

/// Bytes that tell if one of them is lost or moved.
pub fn pattern(size: usize) -> Vec<u8> {
    let byte = |index: usize| (index ^ (index >> 8) ^ (index >> 16)).to_le_bytes()[0];
    (0..size).map(byte).collect()
}

/// Checks that a map of so many calls gives what it must.
#[track_caller]
pub fn maps(executor: &Executor, count: i64) {
    let values: Result<Vec<_>, _> = executor.map(tasks::cube, 0..count).collect();
    assert_eq!(values.unwrap(), cubes(count));
}

/// The values of calls, none of which fails.
#[track_caller]
pub fn values<R>(calls: impl IntoIterator<Item = TaskFuture<R>>) -> Vec<R> {
    let value = |call: TaskFuture<R>| call.result().unwrap();
    calls.into_iter().map(value).collect()
}

/// The cubes of `0..count`.
pub fn cubes(count: i64) -> Vec<i64> {
    (0..count).map(tasks::cube).collect()
}

/// Calls that hold their workers until the gate is open, and have begun.
pub fn holding(executor: &Executor, log: &Log, gate: &Gate, count: usize) -> Vec<TaskFuture<u32>> {
    let before = log.lines().len();
    let calls = (0..count)
        .map(|_| executor.submit(tasks::hold, (log.clone(), gate.clone())))
        .collect();
    log.reaches(before + count);
    calls
}

/// Checks what came of the cubes of `0..` in an executor that has ended: all of them, unless it was
/// killed.
#[track_caller]
pub fn cubed_or_stopped(calls: Vec<TaskFuture<i64>>, was_killed: bool) {
    let stopped = [TaskErrorKind::Cancelled, TaskErrorKind::Killed];
    for (x, call) in (0..).zip(calls) {
        match call.result() {
            Ok(value) => assert_eq!(value, tasks::cube(x)),
            Err(error) => assert!(was_killed && stopped.contains(&error.kind()), "{error}"),
        }
    }
}
