//! What sets a worker up, and what happens when it cannot.

use std::{
    fs, process,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use pool_core::{AnyError, Executor, TaskErrorKind, task};
use pool_tests::{
    Gate, Log, Misdeed, Scratch, builder, isolated, rounds,
    suite::{pids, why_broken},
    sys,
    tasks::{cube, misbehave, nothing, pid},
    until,
};

/// What the initializer has set.
static SETTING: AtomicU32 = AtomicU32::new(0);

#[task]
fn set(log: Log, value: u32) {
    log.add(process::id());
    let before = SETTING.swap(value, Ordering::Relaxed);
    assert_eq!(before, 0, "once in each worker");
}

#[task]
fn setting() -> (u32, u32) {
    (process::id(), SETTING.load(Ordering::Relaxed))
}

#[task]
fn fail(log: Log, text: String) -> Result<(), String> {
    log.add(process::id());
    Err(text)
}

#[task]
fn fail_or_not(text: String) -> Result<(), AnyError> {
    text.parse::<i64>()?;
    Ok(())
}

#[task]
fn end(log: Log, misdeed: Misdeed) {
    log.add(process::id());
    misdeed.commit().unwrap();
}

#[task]
fn wait_for(log: Log, gate: Gate) {
    log.add(process::id());
    gate.pass();
}

/// Checks that an executor breaks, and that all it is asked for says `cause`.
#[track_caller]
fn is_broken(executor: &Executor, cause: &str) {
    let text = why_broken(executor);
    assert!(text.contains(cause), "{text}");
    assert!(executor.is_closed());
}

#[test]
fn once_in_each_worker_before_any_call() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("set up");
        let executor = builder(3)
            .initializer(set, (log.clone(), 7))
            .build()
            .unwrap();
        let workers = pids(&executor);
        for _ in 0..30 {
            let (worker, value) = executor.submit(setting, ()).result().unwrap();
            assert_eq!(value, 7);
            assert!(workers.contains(&worker));
        }
        assert_eq!(log.lines().len(), 3);
    });
}

#[task]
fn count_up() -> u32 {
    SETTING.fetch_add(1, Ordering::Relaxed)
}

#[test]
fn what_it_has_set_up_is_kept_and_set_up_anew_after_a_death() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("set");
        let executor = builder(1)
            .initializer(set, (log.clone(), 10))
            .build()
            .unwrap();
        for _ in 0..3 {
            let counted = executor.map(count_up, [(); 4]).map(Result::unwrap);
            assert!(counted.eq(10..14));
            let killed = executor.submit(misbehave, Misdeed::Kill).result();
            Misdeed::Kill.is_told_by(&killed.unwrap_err());
        }
    });
}

#[test]
fn replacements_are_set_up_too() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("set up");
        let executor = builder(1)
            .initializer(set, (log.clone(), 7))
            .build()
            .unwrap();
        for round in 1..=5 {
            let (worker, value) = executor.submit(setting, ()).result().unwrap();
            assert_eq!(value, 7);
            assert_eq!(log.numbers().len(), round);
            assert_eq!(log.numbers()[round - 1], worker);
            let killed = executor.submit(pool_tests::tasks::misbehave, Misdeed::Kill);
            Misdeed::Kill.is_told_by(&killed.result().unwrap_err());
        }
    });
}

#[test]
fn a_result_that_is_fine() {
    isolated(|| {
        let executor = builder(1)
            .initializer(fail_or_not, "5".to_owned())
            .build()
            .unwrap();
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    });
}

#[test]
fn an_error_breaks_the_executor_with_its_text() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("tried");
        let args = (log.clone(), "no licence found".to_owned());
        let executor = builder(3).initializer(fail, args).build().unwrap();
        is_broken(&executor, "no licence found");
        assert!(log.lines().len() <= 3, "no worker was started in vain");
        let executor = builder(1)
            .initializer(fail_or_not, "x".to_owned())
            .build()
            .unwrap();
        is_broken(&executor, "invalid digit");
        executor.shutdown();
        // It is a file, as this process is that of a test.
        let printed = fs::read_to_string("/proc/self/fd/2").unwrap();
        for text in ["no licence found", "invalid digit"] {
            let told = printed.lines().filter(|line| {
                line.contains("an executor is broken: the initializer") && line.contains(text)
            });
            assert_eq!(told.count(), 1, "told once: {printed}");
        }
    });
}

#[test]
fn a_panic_breaks_the_executor_with_its_text() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("tried");
        let args = (log.clone(), Misdeed::Panic);
        let executor = builder(3).initializer(end, args).build().unwrap();
        is_broken(&executor, "on purpose");
        assert!(log.lines().len() <= 3, "no worker was started in vain");
    });
}

#[test]
fn a_death_is_tried_again_within_the_limit() {
    isolated(|| {
        let cases = [
            (Misdeed::ExitAtOnce, "7"),
            (Misdeed::Abort, "SIGABRT"),
            (Misdeed::RaiseSegv, "SIGSEGV"),
            (Misdeed::Exit, "exit"),
        ];
        for (misdeed, cause) in cases {
            let scratch = Scratch::new();
            let log = scratch.log("tried");
            let executor = builder(1)
                .initializer(end, (log.clone(), misdeed))
                .restart_limit(3, Duration::from_mins(10))
                .build()
                .unwrap();
            is_broken(&executor, cause);
            let tried = log.lines().len();
            assert!((3..=5).contains(&tried), "tried {tried} times");
        }
    });
}

#[test]
fn f40_a_death_never_loops_for_ever() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("tried");
        let args = (log.clone(), Misdeed::Kill);
        let executor = builder(2).initializer(end, args).build().unwrap();
        is_broken(&executor, "SIGKILL");
        let tried = log.lines().len();
        assert!(tried < 1000, "tried {tried} times");
    });
}

#[test]
fn idle_deaths_past_the_limit_break_it() {
    isolated(|| {
        let executor = builder(1)
            .restart_limit(2, Duration::from_mins(10))
            .build()
            .unwrap();
        for _ in 0..3 {
            let idle = executor.submit(pid, ()).result().unwrap();
            sys::kill(idle, libc::SIGKILL).unwrap();
            until("it is noticed", || !executor.worker_pids().contains(&idle));
        }
        is_broken(&executor, "SIGKILL");
    });
}

#[test]
fn deaths_in_tasks_do_not_count() {
    isolated(|| {
        let executor = builder(1)
            .restart_limit(1, Duration::from_mins(10))
            .build()
            .unwrap();
        for _ in 0..10 {
            let killed = executor.submit(pool_tests::tasks::misbehave, Misdeed::Kill);
            Misdeed::Kill.is_told_by(&killed.result().unwrap_err());
        }
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    });
}

#[test]
fn the_end_while_it_runs() {
    isolated(|| {
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("tried"), scratch.gate("gate"));
        let slow = builder(2).initializer(wait_for, (log.clone(), gate.clone()));
        let executor = slow.clone().build().unwrap();
        let waiting = executor.submit(cube, 2);
        log.reaches(1);
        executor.kill();
        let error = waiting.result().unwrap_err();
        assert_eq!(
            error.kind(),
            TaskErrorKind::Cancelled,
            "it had not begun: {error}"
        );

        let executor = slow.clone().build().unwrap();
        let waiting = executor.submit(cube, 2);
        assert!(!executor.shutdown_timeout(Duration::from_millis(20)));
        assert!(waiting.result().is_err());

        let executor = slow.build().unwrap();
        let waiting = executor.submit(cube, 2);
        gate.open();
        executor.shutdown();
        assert_eq!(waiting.result().unwrap(), 8);
    });
}

#[test]
fn an_unmarked_initializer_is_told() {
    fn unmarked() {}
    isolated(|| {
        let error = builder(1).initializer(unmarked, ()).build().unwrap_err();
        assert!(error.to_string().contains("unmarked"), "{error}");
    });
}

#[test]
fn an_executor_that_cannot_be_built_leaves_nothing() {
    isolated(|| {
        let initialized = builder(2).initializer(nothing, ());
        let preloaded = builder(2).preload(nothing, ());
        for _ in 0..rounds() {
            let _refusal = sys::refuse_threads();
            initialized.clone().build().unwrap_err();
            preloaded.clone().build().unwrap_err();
        }
    });
}
