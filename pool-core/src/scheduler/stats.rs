//! What is counted: calls that are done, workers that came and went.

use super::Scheduler;
use crate::member::{Member, Sentence};
use crate::stats::{Failures, Stats};

/// Counts since the executor was built.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) completed: u64,
    pub(super) failures: Failures,
    pub(super) retried: u64,
    started: u64,
    died: u64,
    recycled: u64,
}

impl Tally {
    /// Counts a worker as started that leaves before the fork server has told of it.
    pub(super) fn left(&mut self, member: &Member) {
        self.started += u64::from(is_untold(member));
    }

    /// Counts a worker that is gone, if it ever was there.
    pub(super) fn buried(&mut self, member: &Member) {
        if member.told_pid().is_none() {
            return;
        }
        self.left(member);
        if member.sentence == Sentence::Retired {
            self.recycled += 1;
        } else {
            self.died += 1;
        }
    }
}

impl Scheduler {
    /// Counts a worker that has come to be.
    pub(crate) fn count_started(&mut self) {
        self.tally.started += 1;
    }

    /// All counts, as of the last turn.
    pub(crate) fn stats(&mut self) -> Stats {
        let (mut alive, mut idle, mut running) = (0, 0, 0);
        let mut started = self.tally.started;
        for member in self.members.iter_mut().flatten() {
            let begun = member.begun();
            if member.told_pid().is_none() {
                continue;
            }
            alive += 1;
            started += u64::from(is_untold(member));
            idle += usize::from(member.takes_calls() && member.is_idle());
            running += usize::from(begun.is_some_and(|begun| !begun.is_own));
        }
        let tally = &self.tally;
        Stats {
            workers: self.size(),
            alive,
            busy: alive - idle,
            idle,
            queued: self.outstanding - running,
            running,
            pending: self.outstanding,
            completed: tally.completed,
            failed: tally.failures.total(),
            retried: tally.retried,
            workers_started: started,
            workers_died: tally.died,
            workers_recycled: tally.recycled,
            failures: tally.failures.clone(),
        }
    }
}

/// Whether a worker has come to be, as it says itself, and the fork server has not told of it.
fn is_untold(member: &Member) -> bool {
    member.pid.is_none() && member.told_pid().is_some()
}
