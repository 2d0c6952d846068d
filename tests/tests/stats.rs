//! What an executor says of itself in numbers.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use pool_core::{Executor, Stats, TaskErrorKind, WaitFor, task, wait};
use pool_tests::{
    Misdeed, PATIENCE, Scratch, builder, cubes, executor, fails_with, isolated, rounds,
    suite::{loaded, pids, why_broken},
    sys,
    tasks::{cube, even, hang, misbehave, note, nothing, pid},
    until,
};

/// No task.
fn unmarked(x: i64) -> i64 {
    x
}

#[task]
fn fail() -> Result<(), String> {
    Err("no".into())
}

/// Dies in the first attempts.
#[task]
fn die_twice() -> u32 {
    let attempt = pool_core::current().unwrap().attempt();
    if attempt < 3 {
        std::process::abort();
    }
    attempt
}

/// What must be true at any time.
fn check(stats: &Stats) {
    assert_eq!(stats.queued + stats.running, stats.pending, "{stats:?}");
    assert_eq!(stats.busy + stats.idle, stats.alive, "{stats:?}");
    assert!(stats.running <= stats.busy, "{stats:?}");
    assert!(stats.alive <= stats.workers, "{stats:?}");
    let gone = stats.workers_died + stats.workers_recycled;
    assert!(stats.workers_started >= gone, "{stats:?}");
}

fn stats(executor: &Executor) -> Stats {
    let stats = executor.stats();
    check(&stats);
    stats
}

/// Waits until all workers are there and none has anything to do.
fn settled(executor: &Executor) -> Stats {
    let start = Instant::now();
    loop {
        let stats = stats(executor);
        if stats.idle == stats.workers {
            return stats;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "not idle: {stats:?} {executor:?}"
        );
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn before_any_call() {
    isolated(|| {
        let executor = executor(3);
        let stats = settled(&executor);
        assert_eq!((stats.workers, stats.alive, stats.busy), (3, 3, 0));
        assert_eq!((stats.pending, stats.completed, stats.failed), (0, 0, 0));
        assert_eq!((stats.workers_started, stats.workers_died), (3, 0));
    });
}

#[test]
fn while_calls_run_and_wait() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let (running, gate, queued, _) = loaded(&executor, &scratch, 10);
        let now = stats(&executor);
        assert_eq!((now.queued, now.running, now.pending), (10, 2, 12));
        assert_eq!((now.busy, now.idle), (2, 0));
        assert_eq!(now.completed, 0);
        assert!(queued[9].cancel());
        let now = stats(&executor);
        assert_eq!((now.queued, now.running), (9, 2));
        assert_eq!(now.failed_with(TaskErrorKind::Cancelled), 1);
        gate.open();
        let done = wait(&running, WaitFor::All, None).done.len();
        assert_eq!(done, 2);
        executor.shutdown();
        let now = stats(&executor);
        assert_eq!((now.pending, now.completed, now.failed), (0, 11, 1));
    });
}

#[test]
fn results_count_though_nobody_waits_for_them() {
    isolated(|| {
        let scratch = Scratch::new();
        let (log, executor) = (scratch.log("noted"), executor(2));
        for _ in 0..5 {
            drop(executor.submit(note, log.clone()));
        }
        until("all are done", || stats(&executor).completed == 5);
        assert_eq!(log.lines().len(), 5);
    });
}

#[test]
fn every_failure_is_counted_by_its_kind() {
    isolated(|| {
        let executor = executor(2);
        let scratch = Scratch::new();
        assert_eq!(executor.map(even, 0..10).flatten().count(), 5);
        assert_eq!(
            executor.submit(fail, ()).result().unwrap(),
            Err("no".into())
        );
        let died = executor.submit(misbehave, Misdeed::Abort).result();
        fails_with(died, TaskErrorKind::WorkerDied);
        let limited = executor.options().timeout(Duration::from_millis(20));
        let late = limited.submit(hang, scratch.log("late")).result();
        fails_with(late, TaskErrorKind::TimedOut);
        let killed = executor.submit(hang, scratch.log("killed"));
        until("it runs", || killed.is_running());
        assert!(killed.kill());
        fails_with(killed.result(), TaskErrorKind::Killed);
        fails_with(
            executor.submit(unmarked, 1).result(),
            TaskErrorKind::UnknownTask,
        );
        let stats = settled(&executor);
        assert_eq!((stats.completed, stats.failed), (6, 9), "{stats:?}");
        for (kind, count) in [
            (TaskErrorKind::Panicked, 5),
            (TaskErrorKind::WorkerDied, 1),
            (TaskErrorKind::TimedOut, 1),
            (TaskErrorKind::Killed, 1),
            (TaskErrorKind::UnknownTask, 1),
            (TaskErrorKind::Cancelled, 0),
        ] {
            assert_eq!(stats.failed_with(kind), count, "{kind:?} in {stats:?}");
        }
        assert_eq!((stats.workers_started, stats.workers_died), (5, 3));
    });
}

#[test]
fn attempts_and_replacements() {
    isolated(|| {
        let executor = builder(1).retries(5).build().unwrap();
        assert_eq!(executor.submit(die_twice, ()).result().unwrap(), 3);
        let now = settled(&executor);
        assert_eq!((now.completed, now.failed, now.retried), (1, 0, 2));
        assert_eq!((now.workers_started, now.workers_died), (3, 2));

        let worker = executor.submit(pid, ()).result().unwrap();
        sys::kill(worker, libc::SIGKILL).unwrap();
        until("an idle death counts", || {
            stats(&executor).workers_died == 3
        });

        let executor = builder(1).max_tasks_per_worker(2).build().unwrap();
        assert_eq!(executor.map(cube, 0..10).flatten().count(), 10);
        until("all have left", || stats(&executor).workers_recycled == 5);
        let now = settled(&executor);
        assert_eq!((now.workers_started, now.workers_died), (6, 0));
    });
}

#[test]
fn what_an_executor_calls_for_itself_does_not_count() {
    isolated(|| {
        let executor = builder(2)
            .preload(nothing, ())
            .initializer(nothing, ())
            .on_worker_exit(nothing, ())
            .build()
            .unwrap();
        assert_eq!(settled(&executor).completed, 0);
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
        executor.shutdown();
        let now = stats(&executor);
        assert_eq!((now.completed, now.failed, now.pending), (1, 0, 0));
    });
}

#[test]
fn after_the_end() {
    isolated(|| {
        let executor = executor(2);
        assert_eq!(executor.map(cube, 0..20).flatten().count(), 20);
        executor.shutdown();
        fails_with(executor.submit(cube, 1).result(), TaskErrorKind::ShutDown);
        let now = stats(&executor);
        assert_eq!((now.alive, now.pending), (0, 0));
        assert_eq!((now.completed, now.failed), (20, 1));
        assert_eq!((now.workers_died, now.workers_recycled), (0, 0));
    });
}

#[test]
fn killed_or_broken() {
    isolated(|| {
        let scratch = Scratch::new();
        let killed = executor(2);
        let (_running, _gate, _queued, _) = loaded(&killed, &scratch, 10);
        killed.kill();
        let now = stats(&killed);
        assert_eq!((now.pending, now.completed, now.failed), (0, 0, 12));
        assert_eq!(now.failed_with(TaskErrorKind::Killed), 2);
        assert_eq!(now.failed_with(TaskErrorKind::Cancelled), 10);

        let broken = builder(2).initializer(fail, ()).build().unwrap();
        why_broken(&broken);
        let now = stats(&broken);
        assert_eq!((now.pending, now.alive), (0, 0));
        assert_eq!(now.failed, now.failed_with(TaskErrorKind::PoolBroken));
        assert!(now.failed > 0);
    });
}

#[test]
fn at_every_moment_of_a_storm() {
    isolated(|| {
        let executor = builder(2).max_tasks_per_worker(50).build().unwrap();
        let before = pids(&executor).len() as u64;
        let is_over = AtomicBool::new(false);
        let calls = 300 * rounds() as u64;
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut last = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let now = stats(&executor);
                    let all = now.completed + now.failed + now.pending as u64;
                    assert!(all >= last, "{now:?} after {last}");
                    last = all;
                }
            });
            for call in 0..calls {
                if call % 100 == 99 {
                    drop(executor.submit(misbehave, Misdeed::Abort));
                } else {
                    drop(executor.submit(cube, 3));
                }
            }
            until("all are done", || stats(&executor).pending == 0);
            is_over.store(true, Ordering::Relaxed);
        });
        let now = settled(&executor);
        assert_eq!(now.failed_with(TaskErrorKind::WorkerDied), calls / 100);
        assert_eq!(now.completed, calls - calls / 100 + before, "{now:?}");
        let gone = now.workers_died + now.workers_recycled;
        assert_eq!(now.workers_started, gone + now.alive as u64, "{now:?}");
        assert_eq!(
            executor.map(cube, 0..5).flatten().collect::<Vec<_>>(),
            cubes(5)
        );
    });
}
