//! Settings: defaults, refusals, and values at the edge.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread::available_parallelism,
    time::{Duration, Instant},
};

use pool_core::{
    ErrorKind, Executor, ExecutorBuilder, TaskErrorKind, WaitFor, as_completed, task, wait,
};
use pool_tests::{
    Gate, Scratch, fails_with, isolated,
    suite::{held, pids},
    sys,
    tasks::{cube, hang, pass, pid, work},
    until,
};

/// Waits for the gate before any call, as an initializer.
#[task]
fn pass_first(gate: Gate) {
    gate.pass();
}

#[test]
fn no_workers_are_refused() {
    isolated(|| {
        let error = Executor::builder().workers(0).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        let text = error.to_string();
        assert!(
            text.contains("workers: 0") && text.contains("1 or more"),
            "{text}"
        );
    });
}

#[test]
fn more_workers_than_descriptors_are_refused() {
    isolated(|| {
        sys::limit_descriptors(64).unwrap();
        for (workers, limit) in [
            (100, "RLIMIT_NOFILE"),
            (100_000, "workers"),
            (usize::MAX, "workers"),
        ] {
            let error = Executor::builder().workers(workers).build().unwrap_err();
            let text = error.to_string();
            assert!(text.contains(limit), "the limit that was met: {text}");
        }
        let executor = Executor::builder().workers(4).build().unwrap();
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    });
}

#[test]
fn one_worker_per_processor_by_default() {
    isolated(|| {
        let executor = Executor::new().unwrap();
        assert_eq!(executor.workers(), available_parallelism().unwrap().get());
        sys::use_one_processor().unwrap();
        let executor = Executor::new().unwrap();
        assert_eq!(executor.workers(), 1);
        assert_eq!(pids(&executor).len(), 1);
    });
}

#[test]
fn a_builder_is_kept_and_used_again() {
    isolated(|| {
        let builder: ExecutorBuilder = Executor::builder().workers(2);
        let first = builder.clone().build().unwrap();
        let other = builder.clone().workers(3).build().unwrap();
        let second = builder.build().unwrap();
        assert_eq!(
            (first.workers(), other.workers(), second.workers()),
            (2, 3, 2)
        );
        let workers = [pids(&first), pids(&other), pids(&second)];
        assert_eq!(workers.iter().flatten().count(), 7);
        let mut all: Vec<u32> = workers.into_iter().flatten().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 7, "no worker serves two executors");
    });
}

#[test]
fn no_time_means_now() {
    isolated(|| {
        let executor = Executor::builder().workers(1).build().unwrap();
        let scratch = Scratch::new();
        let (running, gate) = held(&executor, &scratch);
        let mut map = executor.map(pass, (0..2).map(|x| (gate.clone(), x)));
        let start = Instant::now();
        assert!(!running.wait_timeout(Duration::ZERO));
        let running = running.result_timeout(Duration::ZERO).unwrap_err();
        let running = running.try_result().unwrap_err();
        let waited = wait([&running], WaitFor::All, Some(Duration::ZERO));
        assert_eq!((waited.done.len(), waited.pending), (0, vec![0]));
        assert!(map.next_timeout(Duration::ZERO).is_err());
        assert!(start.elapsed() < Duration::from_secs(2));
        gate.open();
        running.result().unwrap();
        assert!(map.all(|result| result.is_ok()));
    });
}

#[test]
fn no_time_for_shutdown_kills_at_once() {
    isolated(|| {
        let executor = Executor::builder().workers(2).build().unwrap();
        let scratch = Scratch::new();
        let log = scratch.log("running");
        let hanging = executor.submit(hang, log.clone());
        log.reaches(1);
        assert!(!executor.shutdown_timeout(Duration::ZERO));
        assert!(hanging.is_done());
        assert!(hanging.result().is_err());
    });
}

#[test]
fn endless_time_is_no_limit_and_no_panic() {
    isolated(|| {
        let executor = Executor::builder()
            .workers(1)
            .restart_limit(3, Duration::MAX)
            .build()
            .unwrap();
        let future = executor.submit(cube, 2);
        assert!(future.wait_timeout(Duration::MAX));
        assert_eq!(future.result_timeout(Duration::MAX).unwrap().unwrap(), 8);
        let future = executor.submit(cube, 3);
        let waited = wait([&future], WaitFor::All, Some(Duration::MAX));
        assert_eq!(waited.done, [0]);
        let mut completed = as_completed([executor.submit(cube, 4)]);
        let (index, result) = completed.next_timeout(Duration::MAX).unwrap().unwrap();
        assert_eq!((index, result.unwrap()), (0, 64));
        assert!(completed.next_timeout(Duration::MAX).unwrap().is_none());
        let mut map = executor.map(cube, 0..1);
        let first = map.next_timeout(Duration::MAX).unwrap();
        assert_eq!(first.unwrap().unwrap(), 0);
        assert!(map.next_timeout(Duration::MAX).unwrap().is_none());
        assert!(executor.shutdown_timeout(Duration::MAX));
    });
}

#[test]
fn endless_time_for_workers_is_no_limit_and_no_panic() {
    isolated(|| {
        let scratch = Scratch::new();
        let endless = Executor::builder()
            .workers(1)
            .initializer_timeout(Duration::MAX)
            .cpu_limit(Duration::MAX)
            .grace(Duration::MAX);
        let gate = scratch.gate("initialized");
        let executor = endless.clone().initializer(pass_first, gate.clone());
        let executor = executor.build().unwrap();
        let first = executor.submit(work, 20);
        assert!(!first.wait_timeout(Duration::from_millis(20)));
        gate.open();
        let worker = first.result().unwrap();
        assert_eq!(executor.submit(pid, ()).result().unwrap(), worker);

        // By grace without end a task may take as long as it likes, unless it heeds the signal.
        let limited = executor.options().timeout(Duration::from_millis(20));
        let error = limited.submit(hang, scratch.log("hanging")).result();
        let error = fails_with(error, TaskErrorKind::TimedOut);
        assert_eq!(
            (error.worker_pid(), error.signal()),
            (Some(worker), Some(libc::SIGTERM))
        );
        assert_ne!(executor.submit(pid, ()).result().unwrap(), worker);
        assert!(executor.shutdown_timeout(Duration::MAX));
    });
}

#[test]
fn an_empty_window_is_refused() {
    isolated(|| {
        let executor = Executor::builder().workers(1).build().unwrap();
        let map = executor.map(cube, 0..3);
        let refused = catch_unwind(AssertUnwindSafe(|| map.window(0)));
        let text = refused.unwrap_err().downcast::<&str>().unwrap();
        assert!(text.contains("the least is 1"), "{text}");
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    });
}

#[test]
fn as_many_restarts_as_allowed() {
    isolated(|| {
        let executor = Executor::builder()
            .workers(1)
            .restart_limit(2, Duration::from_mins(10))
            .build()
            .unwrap();
        for _ in 0..2 {
            let idle = executor.submit(pid, ()).result().unwrap();
            sys::kill(idle, libc::SIGKILL).unwrap();
            until("it is gone", || !sys::exists(idle));
            assert_ne!(executor.submit(pid, ()).result().unwrap(), idle);
        }
    });
}
