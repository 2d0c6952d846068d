//! Deaths of workers: what becomes of their calls, and when there were too many.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_worker::channel::LastWords;
use pool_worker::fault::{self, Site};
use pool_worker::protocol::{self, LastWordsKind, PanicReport, UNABLE};

use super::{RETRY_MOST, Supervisor};
use crate::calls::{Binding, CallId};
use crate::gate::Breakdown;
use crate::member::{Member, Sentence};
use crate::scheduler::Scheduler;
use crate::task_error::{DeathCause, Ending, Printable, TaskError, TaskErrorKind};

/// How many deaths outside of any task an executor bears, and in which time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RestartLimit {
    pub(crate) deaths: u32,
    pub(crate) within: Duration,
}

impl RestartLimit {
    /// The default for so many workers.
    fn of(workers: usize) -> Self {
        Self {
            deaths: u32::try_from(8 + 2 * workers).unwrap_or(u32::MAX),
            within: Duration::from_secs(10),
        }
    }
}

impl Supervisor {
    pub(super) fn fork_failed(&mut self, number: u64, errno: i32) {
        self.answered(number);
        let error = io::Error::from_raw_os_error(errno);
        self.give_up_on(number);
        if !self.has_workers() {
            self.count_restart(&format!("a worker could not be forked: {error}"));
        }
    }

    /// Whether there is a worker, or one that may yet come, so that calls go on although another one
    /// cannot be had.
    pub(super) fn has_workers(&self) -> bool {
        self.pool.lock().members().next().is_some()
    }

    /// Lets a worker go that could not be had, and asks for another one after a pause.
    pub(super) fn give_up_on(&mut self, number: u64) {
        let mut locked = self.pool.lock();
        let Some(slot) = locked.find(number).map(|(slot, _)| slot) else {
            return;
        };
        let buried = locked.bury(slot);
        drop(locked);
        let pause = self.retry_pause;
        self.retry_pause = (pause * 2).min(RETRY_MOST);
        self.forget(number);
        if let Some((member, begun)) = buried {
            let _ = self.epoll.remove(member.control.as_fd());
            self.remains.insert(number, Remains::new(member, begun));
            self.died(number, None);
        }
        self.vacancies.push(Instant::now() + pause);
    }

    /// A worker's pidfd told of its end.
    pub(super) fn worker_gone(&mut self, number: u64) {
        let mut locked = self.pool.lock();
        let Some(slot) = locked.find(number).map(|(slot, _)| slot) else {
            return;
        };
        let Some((member, begun)) = locked.bury(slot) else {
            return;
        };
        locked.announce();
        drop(locked);
        fault::at(Site::WorkerGone);
        self.forget(number);
        let _ = self.epoll.remove(member.control.as_fd());
        if let Some(pidfd) = member.pidfd() {
            let _ = self.epoll.remove(pidfd.as_fd());
        }
        self.remains.insert(number, Remains::new(member, begun));
        if let Some(at) = self.orphans.iter().position(|&orphan| orphan == number) {
            self.orphans.swap_remove(at);
            self.died(number, None);
        }
    }

    /// It is known how a worker ended, or that nobody will ever know.
    pub(super) fn died(&mut self, number: u64, status: Option<i32>) {
        self.worker_gone(number);
        let Some(Remains { member, begun, .. }) = self.remains.remove(&number) else {
            return;
        };
        fault::at(Site::Died);
        let words = member.last_words();
        let unasked = member.sentence == Sentence::None;
        let was_killed = status.is_some_and(|status| libc::WTERMSIG(status) == libc::SIGKILL);
        let by_kernel = unasked && was_killed && self.oom_kills.are_more();
        let mut locked = self.pool.lock();
        let in_a_task = begun
            .iter()
            .any(|&id| locked.call(id).binding != Binding::Own);
        for id in begun {
            let mut error = death(&locked, id, &member, status, words.as_ref());
            if by_kernel && error.kind() == TaskErrorKind::WorkerDied {
                error = error.died_of(DeathCause::OomKiller);
            }
            locked.died(id, error);
        }
        drop(locked);
        // Where the status is not known, what is to blame is counted instead: the fork server's
        // death, or a fork that failed. For want of descriptors nobody is to blame.
        if let Some(status) = status
            && !in_a_task
            && !matches!(
                member.sentence,
                Sentence::OnRequest
                    | Sentence::Retired
                    | Sentence::Expired(_)
                    | Sentence::OverMemory(_)
                    | Sentence::Overused(_)
            )
        {
            let how = Ending(status);
            let is_unable = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == UNABLE;
            let words = words.filter(|_| is_unable);
            let why = words.as_ref().and_then(inability).unwrap_or_default();
            self.count_restart(&format!("a worker that ran no task {how}{why}"));
        }
    }

    /// Counts a death outside of any task, and breaks the executor if there were too many.
    pub(super) fn count_restart(&mut self, what: &str) {
        if self.farewell.is_some() {
            return;
        }
        let now = Instant::now();
        let RestartLimit { deaths, within } = self
            .restart_limit
            .unwrap_or_else(|| RestartLimit::of(self.pool.lock().size()));
        if self.restarts.count(now, within) > deaths as usize {
            self.break_down(format!(
                "workers died outside of any task more than {deaths} times in {within:?}, or without \
                 one that came to life; of the last one: {what}"
            ));
        }
    }

    pub(super) fn break_down(&self, reason: String) {
        self.pool.lock().break_down(Arc::new(Breakdown(reason)));
    }
}

/// A worker that has died, until it is known how.
pub(super) struct Remains {
    pub(super) member: Member,
    pub(super) begun: Vec<CallId>,
    /// Since when the fork server should tell.
    pub(super) since: Instant,
}

impl Remains {
    pub(super) fn new(member: Member, begun: Vec<CallId>) -> Self {
        Self {
            member,
            begun,
            since: Instant::now(),
        }
    }
}

/// Deaths outside of any task, as far as they count.
#[derive(Default)]
pub(super) struct Restarts {
    deaths: VecDeque<Instant>,
    last_birth: Option<Instant>,
}

impl Restarts {
    /// A worker came to life.
    pub(super) fn note_birth(&mut self, now: Instant) {
        self.last_birth = Some(now);
    }

    /// One more death; how many there were within this time, or since a worker came to life: what fails
    /// each time is tried ever more rarely.
    pub(super) fn count(&mut self, now: Instant, within: Duration) -> usize {
        let last_birth = self.last_birth;
        let is_recent = |death: Instant| now.duration_since(death) < within;
        let counts = |death: &Instant| is_recent(*death) || last_birth.is_none_or(|at| at < *death);
        self.deaths.retain(counts);
        self.deaths.push_back(now);
        self.deaths.len()
    }
}

/// Why a worker could not begin, as it told, from here to the end of the sentence.
fn inability(words: &LastWords) -> Option<String> {
    let text = String::from_utf8_lossy(&words.bytes);
    let tells = words.kind == LastWordsKind::UNABLE;
    tells.then(|| format!(", as it could not begin: {}", Printable(&text)))
}

/// What is to be said of a call that died with its worker.
pub(super) fn death(
    scheduler: &Scheduler,
    id: CallId,
    member: &Member,
    status: Option<i32>,
    words: Option<&LastWords>,
) -> TaskError {
    let new = |kind| {
        let error = TaskError::new(kind, scheduler.task_name(id));
        let pid = member.told_pid();
        let error = pid.map_or(error.clone(), |pid| error.worker(pid));
        status.map_or(error.clone(), |status| error.status(status))
    };
    let killed = status.is_none_or(|status| libc::WTERMSIG(status) == libc::SIGKILL);
    match member.sentence {
        Sentence::OnRequest => return new(TaskErrorKind::Killed),
        Sentence::Expired(overdue) => {
            return new(TaskErrorKind::TimedOut).detail(overdue.to_string());
        }
        Sentence::OverMemory(excess) if killed => {
            return new(TaskErrorKind::MemoryLimit).detail(excess.to_string());
        }
        Sentence::Overused(overuse) if killed => {
            return new(TaskErrorKind::CpuLimit).detail(overuse.to_string());
        }
        Sentence::Violation(how) if killed => {
            return new(TaskErrorKind::WorkerDied)
                .detail(format!("the worker was stopped, as {how}"));
        }
        Sentence::OverMemory(_)
        | Sentence::Overused(_)
        | Sentence::Violation(_)
        | Sentence::Retired
        | Sentence::None => {}
    }
    if let Some(kind) = forbidden(status) {
        return new(kind);
    }
    if scheduler.call(id).is_poisoned() {
        return new(TaskErrorKind::Poisoned);
    }
    let place = scheduler.call(id).place;
    let is_about_it = |words: &&LastWords| place.is_some_and(|place| place.seq == words.seq);
    let Some(words) = words.filter(is_about_it) else {
        return new(TaskErrorKind::WorkerDied);
    };
    let report = || protocol::decode::<PanicReport>(&words.bytes).unwrap_or_default();
    match words.kind {
        LastWordsKind::PANICKED_AND_ABORTED => new(TaskErrorKind::Panicked).panicked(report()),
        // The words outlive a panic that the task caught, so they tell of an abort only.
        LastWordsKind::PANICKING
            if new(TaskErrorKind::WorkerDied).signal() == Some(libc::SIGABRT) =>
        {
            new(TaskErrorKind::WorkerDied).panicked(report())
        }
        LastWordsKind::STACK_OVERFLOW => {
            new(TaskErrorKind::WorkerDied).died_of(DeathCause::StackOverflow)
        }
        LastWordsKind::OUT_OF_MEMORY => {
            new(TaskErrorKind::WorkerDied).died_of(DeathCause::OutOfMemory)
        }
        _ => new(TaskErrorKind::WorkerDied),
    }
}

/// What was forbidden to a worker that died so, if it was for that.
fn forbidden(status: Option<i32>) -> Option<TaskErrorKind> {
    let status = status.filter(|status| libc::WIFSIGNALED(*status))?;
    match libc::WTERMSIG(status) {
        libc::SIGSYS => Some(TaskErrorKind::SandboxViolation),
        libc::SIGXCPU => Some(TaskErrorKind::CpuLimit),
        _ => None,
    }
}
