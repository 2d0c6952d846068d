//! Calls that are asked to end: by grace, by a cancellation that came too late, by a future that was
//! dropped; and what a task knows of its call.

use std::{
    collections::BTreeSet,
    process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use pool_core::{Current, Executor, ExecutorBuilder, TaskErrorKind, current, task, wait};
use pool_tests::{
    Gate, Log, Scratch, executor, fails_with, isolated, rounds,
    suite::pids,
    tasks::{cube, hang, hold, pass, pid, record},
    until,
};

/// A limit that calls are to run into.
const SHORT: Duration = Duration::from_millis(60);
/// More than any test takes.
const LONG: Duration = Duration::from_hours(1);

fn graceful(workers: usize, grace: Duration) -> ExecutorBuilder {
    let builder = Executor::builder().workers(workers).grace(grace);
    builder.task_timeout(SHORT)
}

/// An executor whose workers note that they are asked to end, from before their first call on: a
/// machine that is busy may let a call's whole time pass before its first line.
fn heedful(workers: usize, grace: Duration) -> Executor {
    let builder = graceful(workers, grace).initializer(catch_sigterm, ());
    builder.build().unwrap()
}

/// A worker was asked to end.
static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_signal(_: libc::c_int) {
    ASKED.store(true, Ordering::Relaxed);
}

#[task]
fn catch_sigterm() {
    let handler = note_signal as extern "C" fn(libc::c_int);
    // SAFETY: the handler does no more than to store into an atomic.
    unsafe { libc::signal(libc::SIGTERM, handler as libc::sighandler_t) };
}

/// Cleans up when asked to end, and returns.
#[task]
fn clean_up(log: Log) -> u32 {
    let call = current().expect("a task runs");
    until("it is asked to end", || ASKED.load(Ordering::Relaxed));
    assert!(call.is_cancelled());
    assert_eq!(call.time_left(), Some(Duration::ZERO));
    log.add("cleaned up");
    process::id()
}

/// Notes that it was asked to end, and does not.
#[task]
fn do_not_care(log: Log) {
    until("it is asked to end", || ASKED.load(Ordering::Relaxed));
    hang(log);
}

#[test]
fn a_task_can_clean_up_by_grace() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = heedful(1, LONG);
        let log = scratch.log("log");
        let before = executor.worker_pids();
        let call = executor.submit(clean_up, log.clone());
        let patient = executor.options().timeout(Duration::MAX);
        let queued: Vec<_> = (0..20).map(|x| patient.submit(cube, x)).collect();
        let error = fails_with(call.result(), TaskErrorKind::TimedOut);
        assert_eq!(log.lines(), ["cleaned up"]);
        assert_eq!(error.worker_pid(), Some(before[0]));
        for (x, call) in (0..).zip(queued) {
            assert_eq!(call.result().unwrap(), cube(x));
        }
        assert!(!before.contains(&patient.submit(pid, ()).result().unwrap()));
    });
}

#[test]
fn sigterm_ends_whoever_does_not_catch_it() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = graceful(2, LONG).build().unwrap();
        let error = executor.submit(hang, scratch.log("log")).result();
        let error = fails_with(error, TaskErrorKind::TimedOut);
        assert_eq!(error.signal(), Some(libc::SIGTERM));
    });
}

#[test]
fn f18_grace_has_an_end() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("log");
        // A busy machine may let a short one pass before the worker gets to do anything.
        let was_asked = [300, 3_000, 30_000].into_iter().any(|milliseconds| {
            let grace = Duration::from_millis(milliseconds);
            let executor = heedful(2, grace);
            let start = Instant::now();
            let error = executor.submit(do_not_care, log.clone()).result();
            let error = fails_with(error, TaskErrorKind::TimedOut);
            assert!(start.elapsed() >= SHORT + grace);
            assert_eq!(error.signal(), Some(libc::SIGKILL));
            log.lines().len() == 1
        });
        assert!(was_asked, "it was asked first");
    });
}

#[test]
fn a_kill_ends_grace() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = heedful(1, LONG);
        let log = scratch.log("log");
        let call = executor.submit(do_not_care, log.clone());
        log.reaches(1);
        assert!(call.kill());
        fails_with(call.result(), TaskErrorKind::TimedOut);
        let call = executor.submit(do_not_care, log.clone());
        log.reaches(2);
        executor.kill();
        fails_with(call.result(), TaskErrorKind::Killed);
    });
}

/// Waits until somebody tries to cancel the call.
#[task]
fn until_cancelled(log: Log) -> bool {
    let call = current().expect("a task runs");
    log.add(process::id());
    until("the call is cancelled", || call.is_cancelled());
    true
}

#[test]
fn a_task_sees_that_somebody_tried_to_cancel_it() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        for round in 0..rounds() {
            let log = scratch.log(&format!("log-{round}"));
            let call = executor.submit(until_cancelled, log.clone());
            log.reaches(1);
            assert!(!call.cancel(), "it has begun");
            assert!(call.result().unwrap());
            // The next one is another call.
            assert!(!executor.submit(is_cancelled, ()).result().unwrap());
        }
    });
}

#[task]
fn is_cancelled() -> bool {
    current().expect("a task runs").is_cancelled()
}

/// What a task sees of its call: worker, name, attempt, milliseconds left, and whether its threads
/// see anything.
#[task]
fn describe(log: Log, gate: Gate) -> (usize, String, u32, Option<u128>, bool) {
    let call = current().expect("a task runs");
    let seen = thread::spawn(|| current().is_some()).join().unwrap();
    let also = call.clone();
    let worker = thread::spawn(move || also.worker()).join().unwrap();
    assert!(format!("{call:?}").contains("attempt: 1"));
    hold(log, gate);
    let left = call.time_left().map(|left| left.as_millis());
    (worker, call.task().to_string(), call.attempt(), left, seen)
}

#[task(name = "grace/named")]
fn named() -> String {
    current().expect("a task runs").task().to_string()
}

/// Fails outside of a worker; an initializer runs inside.
#[task]
fn knows_its_worker(workers: usize) -> Result<(), String> {
    let place = current().map(|call| call.worker());
    place
        .filter(|&place| place < workers)
        .map(|_| ())
        .ok_or_else(|| format!("{place:?}"))
}

#[test]
fn a_task_knows_its_call() {
    isolated(|| {
        const fn thread_safe<T: Send + Sync + Clone + 'static>() {}
        const { thread_safe::<Current>() };
        assert!(current().is_none());
        let scratch = Scratch::new();
        let builder = Executor::builder().initializer(knows_its_worker, 3);
        let executor = builder.workers(3).build().unwrap();
        let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
        let limits = [None, Some(LONG), Some(2 * LONG)];
        let calls: Vec<_> = limits
            .iter()
            .map(|limit| {
                let options = executor.options().timeout(limit.unwrap_or(Duration::MAX));
                options.submit(describe, (log.clone(), gate.clone()))
            })
            .collect();
        log.reaches(3);
        gate.open();
        let mut workers = BTreeSet::new();
        for (limit, call) in limits.into_iter().zip(calls) {
            let (worker, name, attempt, left, seen) = call.result().unwrap();
            workers.insert(worker);
            assert!(name.ends_with("::describe"), "{name}");
            assert_eq!(attempt, 1);
            assert_eq!(left.is_some(), limit.is_some());
            if let (Some(limit), Some(left)) = (limit, left) {
                assert!(left <= limit.as_millis() && left > limit.as_millis() - 60_000);
            }
            assert!(!seen, "threads of a task run no call");
        }
        assert_eq!(workers, BTreeSet::from([0, 1, 2]));
        assert_eq!(executor.submit(named, ()).result().unwrap(), "grace/named");
    });
}

#[test]
fn a_replacement_has_the_place_of_the_dead() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        for round in 0..3 {
            let log = scratch.log(&format!("log-{round}"));
            let call = executor.submit(hang, log.clone());
            log.reaches(1);
            assert!(call.kill());
            fails_with(call.result(), TaskErrorKind::Killed);
            assert_eq!(pids(&executor).len(), 2);
            assert!(
                executor
                    .map(knows_its_worker, [2; 20])
                    .all(|known| known.unwrap().is_ok())
            );
        }
    });
}

#[test]
fn f56_dropped_futures_stop_their_calls_if_asked() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let killing = executor.options().kill_on_drop(true);
        let (log, ran) = (scratch.log("hanging"), scratch.log("ran"));
        let running = killing.submit(hang, log.clone());
        log.reaches(1);
        let queued = killing.submit(record, (ran.clone(), 1));
        let neighbour = executor.submit(record, (ran.clone(), 2));
        let (handle, other) = (running.handle(), queued.handle());
        drop((queued, running));
        until("both are done", || handle.is_done() && other.is_done());
        neighbour.result().unwrap();
        assert_eq!(ran.numbers(), [2]);
        // Handles stop nothing when they are dropped.
        let gate = scratch.gate("gate");
        let held = killing.submit(pass, (gate.clone(), 3));
        drop(held.handle());
        gate.open();
        assert_eq!(held.result().unwrap(), 3);
        drop(executor.submit(record, (ran.clone(), 4)));
        ran.reaches(2);
    });
}

#[test]
fn dropped_after_their_calls_end_futures_hold_up_nobody() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        for round in 0..rounds() {
            // A worker that is known to be fast is given many calls ahead.
            for x in 0..100 {
                executor.submit(cube, x).result().unwrap();
            }
            let ran = scratch.log(&format!("ran-{round}"));
            let gate = scratch.gate(&format!("gate-{round}"));
            let ended = executor.options().kill_on_drop(true);
            let ended = ended.submit(record, (ran.clone(), 1));
            drop(executor.submit(pass, (gate.clone(), 2)));
            drop(executor.submit(record, (ran.clone(), 3)));
            ran.reaches(1);
            drop(ended);
            gate.open();
            // Nobody waits for a call, or makes one.
            ran.reaches(2);
        }
    });
}

#[test]
fn futures_that_were_awaited_or_handed_on_stop_nothing() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let killing = executor.options().kill_on_drop(true);
        let workers = pids(&executor);
        assert_eq!(pollster::block_on(killing.submit(cube, 3)).unwrap(), 27);
        let told = scratch.log("told");
        let teller = told.clone();
        killing
            .submit(cube, 2)
            .on_done(move |cube| teller.add(cube.unwrap()));
        told.reaches(1);
        let futures: Vec<_> = (0..10).map(|x| killing.submit(cube, x)).collect();
        let waited = wait(&futures, pool_core::WaitFor::All, None);
        assert_eq!(waited.done.len(), 10);
        drop(futures);
        assert_eq!(
            killing.map(cube, 0..100).filter_map(Result::ok).count(),
            100
        );
        assert_eq!(pids(&executor), workers);
    });
}

#[test]
fn dropped_maps_stop_what_runs_if_asked() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let log = scratch.log("hanging");
        let killing = executor.options().kill_on_drop(true);
        for round in 1..=3 {
            let inputs = std::iter::repeat(log.clone());
            let map = killing.map(hang, inputs).window(5).start();
            log.reaches(2 * round);
            drop(map);
            assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
            assert_eq!(log.lines().len(), 2 * round, "only what had begun ran");
        }
    });
}

#[test]
fn a_drop_races_with_the_end() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let killing = executor.options().kill_on_drop(true);
        for round in 0..20 * rounds() {
            let log = scratch.log(&format!("log-{round}"));
            let future = killing.submit(pid, ());
            for _ in 0..round % 40 {
                thread::yield_now();
            }
            drop(future);
            let next = executor.submit(record, (log.clone(), 1));
            assert_eq!(next.result().unwrap(), 1);
            assert_eq!(log.lines().len(), 1);
        }
    });
}
