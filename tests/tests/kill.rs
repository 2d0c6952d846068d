//! The quick ends of an executor, whatever it is doing.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
    time::{Duration, Instant},
};

use pool_core::{Executor, TaskErrorKind, TaskFuture, task};
use pool_tests::{
    Log, Scratch, executor, fails_with, isolated, processes,
    suite::{loaded, pids},
    sys,
    tasks::hang,
    until,
};

#[test]
fn a_short_limit_then_a_kill() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let (running, _gate, queued, _) = loaded(&executor, &scratch, 10);
        let start = Instant::now();
        assert!(!executor.shutdown_timeout(Duration::from_millis(50)));
        assert!(start.elapsed() < Duration::from_secs(5));
        for future in running {
            fails_with(future.result(), TaskErrorKind::Killed);
        }
        for future in queued {
            fails_with(future.result(), TaskErrorKind::Cancelled);
        }
        assert_eq!(processes(), Vec::<String>::new());
        assert!(
            executor.shutdown_timeout(Duration::ZERO),
            "there is nothing left to wait for"
        );
    });
}

#[test]
fn dropped_by_a_panic_it_kills_what_runs() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("hanging");
        let mut hanging = None;
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let executor = executor(1);
            hanging = Some(executor.submit(hang, log.clone()));
            log.reaches(1);
            panic!("the application fails");
        }));
        assert!(panic.is_err());
        fails_with(hanging.unwrap().result(), TaskErrorKind::Killed);
    });
}

#[test]
fn ten_thousand_queued_calls_are_dropped_fast() {
    isolated(|| {
        let ends = [Executor::kill as fn(&Executor), |executor| {
            assert!(!executor.shutdown_timeout(Duration::ZERO));
        }];
        for end in ends {
            let scratch = Scratch::new();
            let executor = executor(2);
            let (running, _gate, queued, log) = loaded(&executor, &scratch, 10_000);
            let start = Instant::now();
            end(&executor);
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{:?}",
                start.elapsed()
            );
            for future in running {
                fails_with(future.try_result().unwrap(), TaskErrorKind::Killed);
            }
            assert!(queued.iter().all(TaskFuture::is_cancelled));
            assert_eq!(log.lines().len(), 0);
        }
    });
}

#[test]
fn kill_reaches_every_worker_dead_or_alive() {
    isolated(|| {
        let executor = executor(4);
        let workers = pids(&executor);
        for &worker in workers.iter().take(2) {
            sys::kill(worker, libc::SIGKILL).unwrap();
        }
        executor.kill();
        assert!(executor.worker_pids().is_empty());
        assert!(workers.iter().all(|&worker| !sys::exists(worker)));
        executor.kill();
    });
}

/// Starts an executor of its own, down to `depth`, and hangs at the end.
#[task]
fn nest(log: Log, depth: u32) {
    if depth == 0 {
        log.add(std::process::id());
        Command::new("sleep").arg("1000").status().unwrap();
        return;
    }
    let executor = Executor::builder().workers(1).build().unwrap();
    log.add(std::process::id());
    executor.submit(nest, (log, depth - 1)).result().unwrap();
}

#[test]
fn f60_kill_reaches_executors_within_tasks() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let log = scratch.log("nested");
        let nested = executor.submit(nest, (log.clone(), 3));
        log.reaches(4);
        until("the last one sleeps", || {
            processes()
                .iter()
                .any(|process| process.contains("(sleep)"))
        });
        let start = Instant::now();
        executor.kill();
        assert!(start.elapsed() < Duration::from_secs(5));
        fails_with(nested.result(), TaskErrorKind::Killed);
        until("all levels are gone", || processes().is_empty());
    });
}

#[test]
fn a_map_read_after_a_kill_ends() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let log = scratch.log("hanging");
        let mut map = executor
            .map(hang, std::iter::repeat(log.clone()))
            .window(6)
            .start();
        log.reaches(2);
        executor.kill();
        let mut kinds = Vec::new();
        for result in map.by_ref() {
            kinds.push(result.unwrap_err().kind());
        }
        let count = |wanted| kinds.iter().filter(|&&kind| kind == wanted).count();
        assert_eq!(count(TaskErrorKind::Killed), 2, "{kinds:?}");
        assert_eq!(count(TaskErrorKind::ShutDown), 1, "{kinds:?}");
        assert_eq!(
            count(TaskErrorKind::Cancelled),
            kinds.len() - 3,
            "{kinds:?}"
        );
        assert!(map.next().is_none());
    });
}
