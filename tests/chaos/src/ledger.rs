//! The books of a round: every call that was made, what may become of it, and what did.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pool_core::{StartMethod, Stats, TaskError, TaskErrorKind};
use pool_tests::Log;

use crate::deeds::Deed;
use crate::setting::Setting;

/// How many bytes it takes for a call to be busy with them for some time.
const LARGE: usize = 4 << 20;

/// What was asked of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) retries: u32,
    /// It has a limit to its time.
    pub(crate) is_limited: bool,
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: u32,
    pub(crate) deed: Deed,
    /// How many bytes it is given.
    pub(crate) size: usize,
    terms: Terms,
    /// Somebody was about to cancel or kill it.
    is_stopped: AtomicBool,
    /// Nobody asks for its outcome any more.
    is_abandoned: AtomicBool,
    outcome: OnceLock<Option<TaskErrorKind>>,
}

impl Call {
    /// It is about to be cancelled or killed.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
    }

    /// Its future is about to be dropped.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::SeqCst);
    }

    /// How many bytes of memory it takes, about.
    fn memory(&self) -> usize {
        self.size.max(self.deed.memory())
    }

    /// Whether nobody ever learnt what became of it, or ever will.
    fn is_lost_sight_of(&self) -> bool {
        self.is_abandoned.load(Ordering::SeqCst) && self.outcome.get().is_none()
    }
}

/// All that is known of a round.
pub(crate) struct Ledger {
    setting: Setting,
    log: Log,
    calls: Mutex<Vec<Arc<Call>>>,
    /// How many calls were begun to be made, and how many were made.
    pub(crate) begun: AtomicU64,
    pub(crate) made: AtomicU64,
    failures: Mutex<HashMap<TaskErrorKind, u64>>,
    hits: Mutex<HashMap<u32, Vec<i32>>>,
    is_server_hit: AtomicBool,
    /// The executor is about to end.
    is_ending: AtomicBool,
    /// No calls are taken any more, or are about not to be.
    is_closed: AtomicBool,
    /// What has not begun is cancelled, or about to be.
    cancels: AtomicBool,
    kills: AtomicBool,
    violations: Mutex<Vec<String>>,
}

/// Takes a lock, also of a thread that panicked: that is reported as it is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    pub(crate) fn new(setting: Setting, log: Log) -> Self {
        Self {
            setting,
            log,
            calls: Mutex::default(),
            begun: AtomicU64::new(0),
            made: AtomicU64::new(0),
            failures: Mutex::default(),
            hits: Mutex::default(),
            is_server_hit: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            cancels: AtomicBool::new(false),
            kills: AtomicBool::new(false),
            violations: Mutex::default(),
        }
    }

    pub(crate) fn setting(&self) -> &Setting {
        &self.setting
    }

    /// Where calls note that they run, if they can.
    pub(crate) fn log(&self) -> Option<Log> {
        self.setting.is_trusting().then(|| self.log.clone())
    }

    /// A call that is about to be made.
    pub(crate) fn open(&self, deed: Deed, size: usize, terms: Terms) -> Arc<Call> {
        let mut calls = lock(&self.calls);
        let call = Arc::new(Call {
            id: u32::try_from(calls.len()).unwrap_or(u32::MAX),
            deed,
            size,
            terms,
            is_stopped: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
            outcome: OnceLock::new(),
        });
        calls.push(Arc::clone(&call));
        call
    }

    /// Makes one call, and counts it.
    pub(crate) fn making<R>(&self, make: impl FnOnce() -> R) -> R {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let future = make();
        self.made.fetch_add(1, Ordering::SeqCst);
        future
    }

    /// A process is about to get this signal.
    pub(crate) fn hit(&self, pid: u32, signal: i32) {
        lock(&self.hits).entry(pid).or_default().push(signal);
    }

    /// The fork server is about to be hurt.
    pub(crate) fn hit_server(&self) {
        self.is_server_hit.store(true, Ordering::SeqCst);
    }

    /// The executor is about to end.
    pub(crate) fn end(&self) {
        self.is_ending.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::SeqCst)
    }

    /// The executor is about to take no more calls, and perhaps to cancel and kill those it has.
    pub(crate) fn close(&self, cancels: bool, kills: bool) {
        self.cancels.fetch_or(cancels, Ordering::SeqCst);
        self.kills.fetch_or(kills, Ordering::SeqCst);
        self.is_closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Whether the executor may have broken down: a copy of the application cannot be made twice.
    pub(crate) fn may_be_broken(&self) -> bool {
        let is_copy = self.setting.start_method == StartMethod::Fork;
        is_copy && self.is_server_hit.load(Ordering::SeqCst)
    }

    /// Notes a broken promise.
    pub(crate) fn violation(&self, what: String) {
        eprintln!("VIOLATION: {what}");
        lock(&self.violations).push(what);
    }

    pub(crate) fn violations(&self) -> usize {
        lock(&self.violations).len()
    }

    /// Whether every call has its outcome that somebody waits for.
    pub(crate) fn is_settled(&self) -> bool {
        let is_settled = |call: &Arc<Call>| call.outcome.get().is_some() || call.is_lost_sight_of();
        lock(&self.calls).iter().all(is_settled)
    }

    /// How many calls are known to have failed.
    pub(crate) fn failed(&self) -> u64 {
        lock(&self.failures).values().sum()
    }
}

/// Outcomes, and whether they can be.
impl Ledger {
    /// The call has this outcome.
    pub(crate) fn settle(&self, call: &Call, result: Result<Vec<u8>, TaskError>) {
        let kind = match result {
            Ok(value) => {
                if call.deed.is_endless() || value != call.deed.result(call.id, call.size) {
                    self.violation(format!("a wrong value of {} bytes: {call:?}", value.len()));
                }
                let bounds = self.setting.bounds;
                if bounds.refuse_args(call.size) || bounds.refuse_result(value.len()) {
                    self.violation(format!("more than is allowed: {call:?}"));
                }
                None
            }
            Err(error) => {
                if let Err(why) = self.explain(&error, Some(call)) {
                    self.violation(format!("{why}: {error} ({:?}): {call:?}", error.kind()));
                }
                self.count_failure(error.kind());
                Some(error.kind())
            }
        };
        if call.outcome.set(kind).is_err() {
            self.violation(format!("a second outcome, {kind:?}: {call:?}"));
        }
    }

    /// A call was refused, and never came to be.
    pub(crate) fn refuse(&self, call: &Call, error: &TaskError) {
        self.excuse(error);
        if call.outcome.set(Some(error.kind())).is_err() {
            self.violation(format!("refused after an outcome: {call:?}"));
        }
    }

    /// A call failed whose task is in no books and never fails by itself.
    pub(crate) fn fail(&self, error: &TaskError) {
        self.excuse(error);
        self.count_failure(error.kind());
    }

    /// Something failed that never does by itself.
    pub(crate) fn excuse(&self, error: &TaskError) {
        if let Err(why) = self.explain(error, None) {
            self.violation(format!("{why}: {error} ({:?})", error.kind()));
        }
    }

    /// An error that was due; it counts like others.
    pub(crate) fn count_failure(&self, kind: TaskErrorKind) {
        *lock(&self.failures).entry(kind).or_default() += 1;
    }

    /// Why the error cannot be explained by what was done.
    fn explain(&self, error: &TaskError, call: Option<&Call>) -> Result<(), &'static str> {
        let said = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
        let is_stopped = call.is_some_and(|call| said(&call.is_stopped));
        let is_explained = match error.kind() {
            TaskErrorKind::Panicked | TaskErrorKind::WorkerDied => {
                return self.explain_death(error, call);
            }
            TaskErrorKind::TimedOut => {
                let limited = call.is_some_and(|call| call.terms.is_limited);
                limited || self.setting.task_timeout.is_some()
            }
            TaskErrorKind::MemoryLimit => self
                .setting
                .memory_limit
                .is_some_and(|limit| call.is_some_and(|call| call.memory() >= limit / 8)),
            TaskErrorKind::CpuLimit => {
                let takes_much = |call: &Call| call.deed == Deed::Spin || call.memory() >= LARGE;
                self.setting.cpu_limit.is_some() && call.is_some_and(takes_much)
            }
            TaskErrorKind::SandboxViolation => call.is_some_and(|call| call.deed == Deed::Trespass),
            TaskErrorKind::TooLarge => call.is_some_and(|call| {
                let result = call.deed.result_size(call.size);
                self.setting.bounds.explain(error, call.size, result)
            }),
            TaskErrorKind::Cancelled => is_stopped || said(&self.cancels),
            TaskErrorKind::Killed => is_stopped || said(&self.kills),
            // Workers that are killed before they begin it may seem to die of it.
            TaskErrorKind::Poisoned => said(&self.is_server_hit) || !lock(&self.hits).is_empty(),
            TaskErrorKind::QueueFull => self.setting.queue_limit.is_some(),
            TaskErrorKind::ShutDown => self.is_closed(),
            TaskErrorKind::PoolBroken => self.may_be_broken(),
            _ => false,
        };
        is_explained.then_some(()).ok_or("an error without a cause")
    }

    /// A worker dies of its task, of a signal that it got, or with the fork server.
    fn explain_death(&self, error: &TaskError, call: Option<&Call>) -> Result<(), &'static str> {
        let hits = error.worker_pid().and_then(|pid| {
            let hits = lock(&self.hits);
            hits.get(&pid).cloned()
        });
        let is_hit =
            hits.is_some_and(|hits| error.signal().is_none_or(|signal| hits.contains(&signal)));
        let with_server = self.is_server_hit.load(Ordering::SeqCst)
            && error.signal().is_none_or(|signal| signal == libc::SIGKILL);
        if error.kind() == TaskErrorKind::WorkerDied && (is_hit || with_server) {
            return Ok(());
        }
        let deed = call.map(|call| call.deed);
        let deed = deed.filter(|deed| deed.ends_badly());
        let deed = deed.ok_or("a death without a cause")?;
        // A fork server that tells nothing for too long is killed, and how its workers ended is lost.
        let is_unknown = error.signal().is_none() && error.exit_code().is_none();
        if error.kind() == TaskErrorKind::WorkerDied && is_unknown {
            return Ok(());
        }
        let Deed::Misbehave(misdeed) = deed else {
            return Err("the cause is told wrongly");
        };
        let told = catch_unwind(AssertUnwindSafe(|| misdeed.is_told_by(error)));
        told.map_err(|_| "the cause is told wrongly")
    }
}

/// What must hold once a round is over.
impl Ledger {
    /// Checks the numbers of an executor that has nothing left to do.
    pub(crate) fn check_totals(&self, stats: &Stats) {
        let made = self.made.load(Ordering::SeqCst);
        // Of inputs that were refused together one counts.
        let most = if self.may_be_broken() {
            self.begun.load(Ordering::SeqCst)
        } else {
            made
        };
        let calls = stats.completed + stats.failed;
        if !(made..=most).contains(&calls) || stats.pending != 0 {
            self.violation(format!("{made} calls were made: {stats:?}"));
        }
        let dropped = lock(&self.calls)
            .iter()
            .filter(|call| call.is_lost_sight_of())
            .count() as u64;
        for (&kind, &count) in lock(&self.failures).iter() {
            let counted = stats.failed_with(kind);
            if counted < count || counted > count + dropped {
                self.violation(format!("{count} calls failed with {kind:?}: {stats:?}"));
            }
        }
    }

    /// Checks that every call has its outcome, and ran as often as that says, if it could note it.
    pub(crate) fn check_runs(&self) {
        let calls = lock(&self.calls);
        let mut runs = vec![0_u32; calls.len()];
        for id in self.log.numbers() {
            runs[id as usize] += 1;
        }
        let is_noted = self.setting.is_trusting();
        for (call, runs) in calls.iter().zip(runs) {
            let range = match call.outcome.get() {
                None if call.is_lost_sight_of() => 0..=1 + call.terms.retries,
                None => {
                    self.violation(format!("it has no outcome: {call:?}"));
                    continue;
                }
                Some(None | Some(TaskErrorKind::Panicked)) => 1..=1 + call.terms.retries,
                Some(Some(TaskErrorKind::QueueFull | TaskErrorKind::ShutDown)) => 0..=0,
                Some(Some(TaskErrorKind::TooLarge)) => {
                    if self.setting.bounds.refuse_args(call.size) {
                        0..=0
                    } else {
                        1..=1 + call.terms.retries
                    }
                }
                // What was to be tried again may be cancelled before it is.
                Some(Some(TaskErrorKind::Cancelled)) => 0..=call.terms.retries,
                Some(Some(_)) => 0..=1 + call.terms.retries,
            };
            if is_noted && !range.contains(&runs) {
                self.violation(format!("it ran {runs} times: {call:?}"));
            }
        }
    }
}

impl Deed {
    /// How many bytes of memory it takes, about, beside what it is given.
    fn memory(self) -> usize {
        match self {
            Self::Fill(bytes) | Self::Make(bytes) => bytes,
            _ => 0,
        }
    }
}
