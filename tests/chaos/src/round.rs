//! A round: an executor is built, used and hurt by several threads, and ended; nothing may be left.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use pool_core::{Executor, Stats};
use pool_tests::{Footprint, Log, Random, holds_within};

use crate::killer::{Killer, Shots};
use crate::ledger::Ledger;
use crate::load::Caller;
use crate::setting::{Abrupt, End, Setting};
use crate::totals::Totals;

/// How long what is pending may take once nobody makes calls any more.
const SETTLES_WITHIN: Duration = Duration::from_secs(40);
/// How often the numbers of an executor are looked at: not so often that little else is done.
const MONITORED_EVERY: Duration = Duration::from_millis(3);
/// How long a round may take beyond its span before its executor is shown.
const SHOWN_AFTER: Duration = Duration::from_secs(30);

/// Runs one round, by its seed.
pub(crate) fn play(seed: u64, log: Log) -> Totals {
    let before = Footprint::take();
    let mut random = Random::new(seed);
    let setting = Setting::draw(&mut random);
    let totals = play_setting(&setting, random, log);
    before.returns();
    totals
}

/// Runs a round as it is set.
pub(crate) fn play_setting(setting: &Setting, mut random: Random, log: Log) -> Totals {
    let description = format!("{setting:?}");
    // With a fork of this process it can only be built before there are threads.
    let executor = setting
        .build()
        .unwrap_or_else(|error| panic!("{error}: {description}"));
    let executor = Arc::new(executor);
    let ledger = Arc::new(Ledger::new(setting.clone(), log));
    let (shots, stops, is_over) = (
        Shots::default(),
        AtomicBool::new(false),
        AtomicBool::new(false),
    );
    thread::scope(|scope| {
        let weak = || Arc::downgrade(&executor);
        let killer = Killer::new(weak(), &ledger, &shots, random.branch());
        scope.spawn(|| killer.run(&is_over));
        let (ended, watch) = mpsc::channel::<()>();
        let executor_seen = weak();
        scope.spawn(move || {
            if watch.recv_timeout(setting.span + SHOWN_AFTER)
                == Err(mpsc::RecvTimeoutError::Timeout)
            {
                show(&executor_seen);
            }
        });
        if setting.is_monitored {
            let (executor, ledger, is_over) = (weak(), &ledger, &is_over);
            scope.spawn(move || monitor(&executor, ledger, is_over));
        }
        let callers: Vec<_> = (0..setting.callers)
            .map(|_| {
                let caller =
                    Caller::new(Arc::clone(&executor), Arc::clone(&ledger), random.branch());
                let stops = &stops;
                scope.spawn(move || caller.run(stops))
            })
            .collect();
        thread::sleep(setting.span);
        let join = || {
            stops.store(true, Ordering::SeqCst);
            for caller in callers {
                join(caller, &ledger);
            }
        };
        end(executor, &ledger, setting.end, &mut random, join);
        is_over.store(true, Ordering::SeqCst);
        drop(ended);
    });
    ledger.check_runs();
    if ledger.violations() > 0 {
        eprintln!("in a round of {description}");
    }
    Totals::of(&ledger, &shots)
}

fn join(caller: ScopedJoinHandle<'_, ()>, ledger: &Ledger) {
    if caller.join().is_err() {
        ledger.violation("a caller panicked".to_owned());
    }
}

/// Ends the executor. `join` ends those who make calls.
fn end(
    executor: Arc<Executor>,
    ledger: &Ledger,
    how: End,
    random: &mut Random,
    join: impl FnOnce(),
) {
    let timeout = random.millis(0..50);
    ledger.end();
    if let End::Amid(how) = how {
        ledger.close(
            how != Abrupt::Shutdown,
            matches!(how, Abrupt::Kill | Abrupt::ShutdownTimeout),
        );
        match how {
            Abrupt::Shutdown => executor.shutdown(),
            Abrupt::ShutdownNow => executor.shutdown_now(),
            Abrupt::ShutdownTimeout => _ = executor.shutdown_timeout(timeout),
            Abrupt::Kill => executor.kill(),
        }
        join();
        settle(ledger);
        // Callbacks may hold it for moments yet.
        return drop(alone(executor));
    }
    join();
    settle(ledger);
    let executor = alone(executor);
    await_idle(&executor, ledger);
    ledger.check_totals(&executor.stats());
    match how {
        End::Shutdown => executor.shutdown(),
        End::ShutdownNow => executor.shutdown_now(),
        End::ShutdownTimeout => _ = executor.shutdown_timeout(timeout),
        End::Kill => executor.kill(),
        End::Drop | End::Amid(_) => drop(executor),
        End::DropInPanic => {
            let panics = AssertUnwindSafe(move || {
                let _executor = executor;
                resume_unwind(Box::new(()));
            });
            // It is what was just thrown.
            let _ = catch_unwind(panics);
        }
    }
}

/// The executor, once no callback holds it any more.
fn alone(mut executor: Arc<Executor>) -> Executor {
    loop {
        match Arc::try_unwrap(executor) {
            Ok(executor) => return executor,
            Err(again) => executor = again,
        }
        thread::yield_now();
    }
}

/// Waits until each call has its outcome that somebody waits for.
fn settle(ledger: &Ledger) {
    if !holds_within(SETTLES_WITHIN, || ledger.is_settled()) {
        ledger.violation("calls have no outcome".to_owned());
    }
}

/// Waits until nothing is pending, dropped calls neither.
fn await_idle(executor: &Executor, ledger: &Ledger) {
    if !holds_within(SETTLES_WITHIN, || executor.stats().pending == 0) {
        ledger.violation(format!("calls are pending: {executor:?}"));
    }
}

/// Checks again and again that the numbers of an executor agree with each other and the books.
fn monitor(executor: &Weak<Executor>, ledger: &Ledger, is_over: &AtomicBool) {
    while !is_over.load(Ordering::SeqCst) {
        let Some(executor) = executor.upgrade() else {
            return;
        };
        let made = ledger.made.load(Ordering::SeqCst);
        let stats = executor.stats();
        let begun = ledger.begun.load(Ordering::SeqCst);
        drop(executor);
        if let Err(what) = check(&stats, made, begun, ledger) {
            return ledger.violation(what);
        }
        thread::sleep(MONITORED_EVERY);
    }
}

fn check(stats: &Stats, made: u64, begun: u64, ledger: &Ledger) -> Result<(), String> {
    let pending = stats.pending as u64;
    let calls = stats.completed + stats.failed + pending;
    let workers = stats.workers_died + stats.workers_recycled + stats.alive as u64;
    let agree = [
        (made..=begun).contains(&calls),
        stats.queued + stats.running == stats.pending,
        stats.busy + stats.idle == stats.alive,
        stats.running <= stats.busy,
        // Those that end with the executor are counted no more.
        workers == stats.workers_started || ledger.is_closed() || ledger.may_be_broken(),
    ];
    if agree.contains(&false) {
        return Err(format!("{made} to {begun} calls, {agree:?}: {stats:?}"));
    }
    Ok(())
}

/// Shows an executor that does not get to its end, if it can be seen at all.
fn show(executor: &Weak<Executor>) {
    let Some(executor) = executor.upgrade() else {
        return eprintln!("HANG: the executor does not end");
    };
    let (tell, told) = mpsc::channel();
    thread::spawn(move || _ = tell.send(format!("{executor:?}, {:?}", executor.stats())));
    let shown = told.recv_timeout(Duration::from_secs(5));
    eprintln!(
        "HANG: {}",
        shown.unwrap_or_else(|_| "its lock is held".to_owned())
    );
}
