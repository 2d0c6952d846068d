//! Workers that are killed or stopped from outside, at every step of a call.

use std::{thread, time::Duration};

use pool_core::{Executor, TaskErrorKind};
use pool_tests::{
    Scratch, fails_with, isolated, pattern, rounds,
    suite::pids,
    sys,
    tasks::{bytes, cube, hang, note},
    tireless_executor as executor, until,
};

/// The only worker.
fn worker(executor: &Executor) -> u32 {
    let workers = pids(executor);
    assert_eq!(workers.len(), 1);
    workers.into_iter().next().unwrap()
}

/// Stops a worker where it is.
fn stop(worker: u32) {
    sys::kill(worker, libc::SIGSTOP).unwrap();
    until("it has stopped", || {
        let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap();
        stat.contains(") T ")
    });
}

fn kill(worker: u32) {
    sys::kill(worker, libc::SIGKILL).unwrap();
}

#[test]
fn f07_an_idle_worker_is_killed() {
    isolated(|| {
        let executor = executor(1);
        let old = worker(&executor);
        kill(old);
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
        assert_ne!(worker(&executor), old);
    });
}

#[test]
fn f08_killed_after_a_call_was_sent_and_before_it_is_read() {
    isolated(|| {
        let executor = executor(1);
        for _ in 0..rounds() {
            let scratch = Scratch::new();
            let log = scratch.log("ran");
            let old = worker(&executor);
            stop(old);
            let sent = executor.submit(note, log.clone());
            kill(old);
            let ran_in = sent.result().unwrap();
            assert_ne!(ran_in, old);
            assert_eq!(log.numbers(), [ran_in], "it ran once");
        }
    });
}

#[test]
fn f09_killed_in_the_middle_of_its_arguments() {
    isolated(|| {
        let executor = executor(1);
        let sent = pattern(8 << 20);
        for _ in 0..rounds() {
            let old = worker(&executor);
            stop(old);
            // As much as fits lies in the ring, the rest waits.
            let call = executor.submit(bytes, sent.clone());
            thread::sleep(Duration::from_millis(2));
            kill(old);
            assert!(call.result().unwrap() == sent, "they are sent anew, whole");
        }
    });
}

#[test]
fn f14_a_worker_that_is_stopped_in_a_call_is_busy_until_its_limit() {
    isolated(|| {
        let executor = executor(1);
        let scratch = Scratch::new();
        let log = scratch.log("runs");
        let limited = executor.options().timeout(Duration::from_millis(1500));
        let call = limited.submit(hang, log.clone());
        log.reaches(1);
        let stopped = log.numbers()[0];
        stop(stopped);
        let queued = executor.submit(cube, 3);
        assert_eq!(executor.stats().running, 1, "it counts as busy");
        let error = fails_with(call.result(), TaskErrorKind::TimedOut);
        assert_eq!(error.worker_pid(), Some(stopped));
        assert_eq!(queued.result().unwrap(), 27);
    });
}

#[test]
fn f14_a_worker_that_is_stopped_before_a_call_does_not_keep_it() {
    isolated(|| {
        let executor = executor(2);
        let scratch = Scratch::new();
        let log = scratch.log("ran");
        let old = pids(&executor);
        old.iter().copied().for_each(stop);
        let limited = executor.options().timeout(Duration::from_secs(30));
        let calls = [(); 4].map(|()| executor.submit(note, log.clone()));
        let other = limited.submit(note, log.clone());
        for call in calls.into_iter().chain([other]) {
            assert!(!old.contains(&call.result().unwrap()));
        }
        assert_eq!(log.lines().len(), 5, "each ran once");
        assert!(pids(&executor).is_disjoint(&old));
    });
}

#[test]
fn f14_a_worker_that_goes_on_in_time_is_kept() {
    isolated(|| {
        let executor = executor(1);
        let only = worker(&executor);
        for _ in 0..3 {
            stop(only);
            let call = executor.submit(cube, 2);
            thread::sleep(Duration::from_millis(300));
            sys::kill(only, libc::SIGCONT).unwrap();
            assert_eq!(call.result().unwrap(), 8);
        }
        assert_eq!(worker(&executor), only);
    });
}
