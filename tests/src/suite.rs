//! What must hold for every start method alike.

use std::{
    collections::BTreeSet,
    error::Error,
    fs,
    time::{Duration, Instant},
};

use pool_core::{Executor, ExecutorBuilder, Shared, TaskError, TaskErrorKind, TaskFuture};

use crate::{
    Gate, Log, Misdeed, Scratch, fails_with, sys,
    tasks::{add, cube, doubled, even, fill_and_hang, hang, hold, misbehave, nothing, pid, record},
    until,
};

/// Hands the names of all checks to the macro `$then`.
#[macro_export]
macro_rules! for_each_check {
    ($then:ident) => {
        $then! {
            calls_return
            workers_are_other_processes
            every_misdeed_costs_one_call
            a_dead_worker_is_replaced
            initialized_before_any_call
            shutdown_finishes_what_is_pending
            kill_ends_what_runs
            a_limit_stops_what_takes_too_long
            a_limit_stops_who_takes_too_much_memory
            a_death_is_tried_again_on_request
            workers_are_replaced_after_their_last_call
            shared_values_are_read_and_handed_back
        }
    };
}

/// An executor of `workers`, from the settings of `builder`.
fn build(builder: &ExecutorBuilder, workers: usize) -> Executor {
    builder.clone().workers(workers).build().unwrap()
}

/// The processes of all workers, found by having each hold a call at the same time.
///
/// # Panics
///
/// Where a call fails.
pub fn pids(executor: &Executor) -> BTreeSet<u32> {
    let scratch = Scratch::new();
    let (held, workers) = hold_all(executor, &scratch);
    assert_eq!(held.len(), executor.workers());
    workers()
}

/// The fork server of an executor: the parent of its workers, of which one may be listed for a moment that
/// is gone.
///
/// # Panics
///
/// Where no worker comes.
pub fn fork_server(executor: &Executor) -> u32 {
    let is_fork_server = |parent: &u32| {
        let name = fs::read_to_string(format!("/proc/{parent}/comm")).unwrap_or_default();
        name.trim_end() == "pool-server"
    };
    let mut found = None;
    until("a worker lives", || {
        let workers = executor.worker_pids().into_iter();
        found = workers.filter_map(parent_of).find(is_fork_server);
        found.is_some()
    });
    found.expect("it was found")
}

/// The parent of a process, if that is there.
fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split(' ').nth(2)?.parse().ok()
}

/// What an executor says of its break, which it says of all that it is asked for, now and later.
///
/// # Panics
///
/// Where it is not broken, or says of one call what it does not say of another.
#[track_caller]
pub fn why_broken(executor: &Executor) -> String {
    let said = |result: Result<i64, TaskError>| {
        let error = fails_with(result, TaskErrorKind::PoolBroken);
        error
            .source()
            .expect("a broken executor says why")
            .to_string()
    };
    let pending: Vec<_> = (0..10).map(|x| executor.submit(cube, x)).collect();
    let texts: Vec<String> = pending
        .into_iter()
        .map(|call| said(call.result()))
        .collect();
    let text = said(executor.submit(cube, 1).result());
    assert!(texts.iter().all(|other| *other == text), "{texts:?}");
    let mut map = executor.map(cube, 0..3);
    assert_eq!(said(map.next().expect("an error")), text);
    until("no worker is left", || executor.worker_pids().is_empty());
    executor.shutdown();
    executor.kill();
    text
}

/// A call that runs until the gate opens; it runs when this returns.
pub fn held(executor: &Executor, scratch: &Scratch) -> (TaskFuture<u32>, Gate) {
    let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
    let call = executor.submit(hold, (log.clone(), gate.clone()));
    log.reaches(1);
    (call, gate)
}

/// Holds a call on every worker, and queues `count` that log themselves.
pub fn loaded(
    executor: &Executor,
    scratch: &Scratch,
    count: i64,
) -> (Vec<TaskFuture<u32>>, Gate, Vec<TaskFuture<i64>>, Log) {
    let (held, gate, log) = (
        scratch.log("held"),
        scratch.gate("gate"),
        scratch.log("ran"),
    );
    let running = (0..executor.workers())
        .map(|_| executor.submit(hold, (held.clone(), gate.clone())))
        .collect();
    held.reaches(executor.workers());
    let queued = (0..count)
        .map(|x| executor.submit(record, (log.clone(), x)))
        .collect();
    (running, gate, queued, log)
}

/// Holds one call on every worker: the processes, and what lets go of them and waits.
fn hold_all<'a>(
    executor: &'a Executor,
    scratch: &Scratch,
) -> (BTreeSet<u32>, impl FnOnce() -> BTreeSet<u32> + use<'a>) {
    let (log, gate): (Log, Gate) = (scratch.log("held"), scratch.gate("held"));
    let futures: Vec<_> = (0..executor.workers())
        .map(|_| executor.submit(hold, (log.clone(), gate.clone())))
        .collect();
    log.reaches(executor.workers());
    let held = log.numbers().into_iter().collect();
    let finish = move || {
        gate.open();
        let results = futures.into_iter().map(|future| future.result().unwrap());
        results.collect()
    };
    (held, finish)
}

/// Values come back, one at a time and mapped.
///
/// # Panics
///
/// Where that does not hold.
pub fn calls_return(builder: &ExecutorBuilder) {
    let executor = build(builder, 2);
    executor.submit(nothing, ()).result().unwrap();
    assert_eq!(executor.submit(cube, 3).result().unwrap(), 27);
    assert_eq!(executor.submit(add, (1, 2)).result().unwrap(), 3);
    let cubes: Vec<i64> = executor.map(cube, 0..500).map(Result::unwrap).collect();
    assert_eq!(cubes, (0..500).map(cube).collect::<Vec<_>>());
}

/// Every worker is a process of its own, and told as such.
///
/// # Panics
///
/// Where that does not hold.
pub fn workers_are_other_processes(builder: &ExecutorBuilder) {
    let executor = build(builder, 3);
    let workers = pids(&executor);
    assert_eq!(workers.len(), 3, "three calls at once run on three workers");
    assert!(!workers.contains(&std::process::id()));
    let told: BTreeSet<u32> = executor.worker_pids().into_iter().collect();
    assert_eq!(told, workers);
}

/// However a call ends, its neighbours do not notice.
///
/// # Panics
///
/// Where that does not hold.
pub fn every_misdeed_costs_one_call(builder: &ExecutorBuilder) {
    let executor = build(builder, 2);
    for misdeed in Misdeed::OF_TASKS {
        let before: Vec<_> = (0..20).map(|x| executor.submit(cube, x)).collect();
        let bad = executor.submit(misbehave, misdeed);
        let after: Vec<_> = (0..20).map(|x| executor.submit(cube, x)).collect();
        misdeed.is_told_by(&bad.result().unwrap_err());
        for futures in [before, after] {
            let values: Vec<i64> = futures.into_iter().map(|f| f.result().unwrap()).collect();
            assert_eq!(values, (0..20).map(cube).collect::<Vec<_>>(), "{misdeed:?}");
        }
    }
    let odd_fail = executor.map(even, 0..10).enumerate();
    for (x, result) in odd_fail {
        assert_eq!(result.is_ok(), x % 2 == 0);
    }
}

/// A call that is out of time is stopped, and no other.
///
/// # Panics
///
/// Where that does not hold.
pub fn a_limit_stops_what_takes_too_long(builder: &ExecutorBuilder) {
    let executor = build(builder, 2);
    let scratch = Scratch::new();
    let limited = executor.options().timeout(Duration::from_millis(50));
    let hanging = limited.submit(hang, scratch.log("hanging"));
    let others: Vec<_> = (0..20).map(|x| executor.submit(cube, x)).collect();
    fails_with(hanging.result(), TaskErrorKind::TimedOut);
    for (x, other) in (0..).zip(others) {
        assert_eq!(other.result().unwrap(), cube(x));
    }
}

/// A call whose worker dies begins anew, where that was asked for.
///
/// # Panics
///
/// Where that does not hold.
pub fn a_death_is_tried_again_on_request(builder: &ExecutorBuilder) {
    let executor = build(&builder.clone().retries(2), 2);
    assert_eq!(executor.submit(die_before, 3).result().unwrap(), 3);
    let error = executor.submit(die_before, 4).result().unwrap_err();
    assert_eq!(error.attempts(), 3, "{error}");
}

/// A worker that has run as many calls as it may ends, and another takes its place.
///
/// # Panics
///
/// Where that does not hold.
pub fn workers_are_replaced_after_their_last_call(builder: &ExecutorBuilder) {
    let executor = build(&builder.clone().max_tasks_per_worker(2), 1);
    let workers: Vec<u32> = (0..6)
        .map(|_| executor.submit(pid, ()).result().unwrap())
        .collect();
    assert_eq!(workers.iter().collect::<BTreeSet<_>>().len(), 3);
    assert!(
        workers.chunks(2).all(|pair| pair[0] == pair[1]),
        "{workers:?}"
    );
}

/// Ends its process in each attempt before this one; gives the attempt.
#[pool_core::task]
fn die_before(last: u32) -> u32 {
    let attempt = pool_core::current().expect("a task runs").attempt();
    if attempt < last {
        std::process::exit(0);
    }
    attempt
}

/// A call that takes too much memory is stopped, and no other; what workers begin with does not count.
///
/// # Panics
///
/// Where that does not hold.
pub fn a_limit_stops_who_takes_too_much_memory(builder: &ExecutorBuilder) {
    let executor = build(&builder.clone().memory_limit(16 << 20), 2);
    let before = pids(&executor);
    let hogs = [32, 48].map(|mebibytes| executor.submit(fill_and_hang, mebibytes << 20));
    let queued: Vec<_> = (0..20).map(|x| executor.submit(cube, x)).collect();
    for hog in hogs {
        let error = fails_with(hog.result(), TaskErrorKind::MemoryLimit);
        assert!(before.contains(&error.worker_pid().unwrap()), "{error}");
        assert!(error.to_string().contains("16.0 MiB"), "{error}");
    }
    for (x, call) in (0..).zip(queued) {
        assert_eq!(call.result().unwrap(), cube(x));
    }
    assert!(pids(&executor).is_disjoint(&before));
}

/// Workers killed from outside are replaced.
///
/// # Panics
///
/// Where that does not hold.
pub fn a_dead_worker_is_replaced(builder: &ExecutorBuilder) {
    let executor = build(builder, 2);
    let old = pids(&executor);
    for &worker in &old {
        sys::kill(worker, libc::SIGKILL).unwrap();
    }
    until("the dead are gone", || {
        old.iter().all(|&pid| !sys::exists(pid))
    });
    let new = pids(&executor);
    assert_eq!(new.len(), 2);
    assert!(new.is_disjoint(&old), "{new:?} {old:?}");
}

/// The initializer has run in each worker, once.
///
/// # Panics
///
/// Where that does not hold.
pub fn initialized_before_any_call(builder: &ExecutorBuilder) {
    let scratch = Scratch::new();
    let log = scratch.log("initialized");
    let with_initializer = builder.clone().initializer(initialize, log.clone());
    let executor = build(&with_initializer, 2);
    for worker in pids(&executor) {
        assert!(log.numbers().contains(&worker));
    }
    assert_eq!(log.lines().len(), 2);
}

/// Logs the worker's process.
#[pool_core::task]
fn initialize(log: Log) {
    log.add(std::process::id());
}

/// Shutting down waits for all calls, and takes no more.
///
/// # Panics
///
/// Where that does not hold.
pub fn shutdown_finishes_what_is_pending(builder: &ExecutorBuilder) {
    let executor = build(builder, 2);
    let futures: Vec<_> = (0..100).map(|x| executor.submit(cube, x)).collect();
    executor.shutdown();
    fails_with(executor.submit(pid, ()).result(), TaskErrorKind::ShutDown);
    for (x, future) in (0..).zip(futures) {
        assert_eq!(future.result().unwrap(), cube(x));
    }
}

/// To kill is quick, and leaves no worker.
///
/// # Panics
///
/// Where that does not hold.
pub fn kill_ends_what_runs(builder: &ExecutorBuilder) {
    let executor = build(builder, 2);
    let scratch = Scratch::new();
    let log = scratch.log("hanging");
    let running = [(); 2].map(|()| executor.submit(hang, log.clone()));
    log.reaches(2);
    let queued = executor.submit(cube, 2);
    let start = Instant::now();
    executor.kill();
    assert!(start.elapsed() < Duration::from_secs(5));
    for future in running {
        fails_with(future.result(), TaskErrorKind::Killed);
    }
    fails_with(queued.result(), TaskErrorKind::Cancelled);
    let workers = log.numbers();
    assert!(
        workers.iter().all(|&pid| !sys::exists(pid)),
        "kill waits until they are gone"
    );
}

/// # Panics
///
/// Where a worker reads anything but what was shared, or what it gives is something else.
pub fn shared_values_are_read_and_handed_back(builder: &ExecutorBuilder) {
    let executor = build(builder, 2);
    let numbers: Vec<i64> = (0..100_000).collect();
    let shared = executor.share_slice(&numbers).unwrap();
    let text = executor.share("text".to_owned()).unwrap();
    let inputs = std::iter::repeat_n((shared.clone(), text), 20);
    for call in executor.map(doubled, inputs) {
        let (back, text, doubled): (Shared<[i64]>, String, Shared<[i64]>) = call.unwrap();
        assert!(std::ptr::eq(&raw const *back, &raw const *shared));
        assert_eq!(text, "text");
        assert!(
            doubled
                .iter()
                .zip(&numbers)
                .all(|(twice, once)| *twice == once * 2)
        );
    }
}
