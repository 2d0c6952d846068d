//! How calls end that do not return: cancelled, killed, failed with the executor or its worker.

use std::sync::Arc;

use super::{Cancelled, Scheduler, with_worker};
use crate::call::Call;
use crate::completion::{Completion, Outcome, Place};
use crate::gate::{Breakdown, Gate};
use crate::member::{Member, Sentence};
use crate::task_error::{TaskError, TaskErrorKind};

/// How often a call may be the next one of a worker that dies. Beyond that the call itself is taken
/// for the cause: a hostile task can make it seem that it has not begun.
const MAX_SUSPICIONS: u8 = 8;

impl Scheduler {
    /// Takes all workers out, for the end. What they are busy with is of no interest any more.
    pub(crate) fn dismiss(&mut self) -> Vec<Member> {
        self.fail_placed(killed);
        self.members.iter_mut().filter_map(Option::take).collect()
    }

    /// Cancels a call that has not begun.
    pub(crate) fn cancel(&mut self, completion: &Completion, task: &'static str) -> Cancelled {
        if completion.is_done() {
            return Cancelled::Done;
        }
        match completion.place() {
            Place::Unplaced => self.stale += 1,
            Place::Worker { slot, seq } => {
                let taken = self
                    .member(slot)
                    .and_then(|member| member.take_back_one(seq, completion));
                if taken.is_none() {
                    return Cancelled::Running { slot, seq };
                }
                self.moved(slot);
            }
        }
        self.outstanding -= 1;
        let error = TaskError::new(TaskErrorKind::Cancelled, task);
        let waiters = completion.fill(Outcome::Failed(error));
        self.waiting -= waiters.len();
        self.told.extend(waiters);
        self.drop_stale();
        Cancelled::Yes
    }

    /// Kills the worker that runs this completion's call. `false` if the call is done by now.
    ///
    /// The worker is frozen first, by taking back all that it has not begun, so that the next call
    /// does not die for this one.
    pub(crate) fn kill_running(&mut self, slot: usize, seq: u32, completion: &Completion) -> bool {
        self.take_back(slot, usize::MAX);
        self.collect(slot);
        let Some(member) = self
            .member(slot)
            .filter(|member| member.is_running(seq, completion))
        else {
            return false;
        };
        member.kill(Sentence::OnRequest);
        true
    }

    /// Gives the memory of cancelled calls back once they are the greater part of the backlog.
    fn drop_stale(&mut self) {
        if self.stale > 64 && self.stale > self.backlog.len() / 2 {
            self.backlog.retain(|call| !call.completion.is_done());
            self.stale = 0;
        }
    }

    /// Fails every call that has not begun.
    pub(crate) fn fail_queued(&mut self, error: impl Fn(&Call) -> TaskError) {
        for slot in 0..self.members.len() {
            self.collect(slot);
            self.take_back(slot, usize::MAX);
        }
        for call in std::mem::take(&mut self.backlog) {
            if !call.completion.is_done() {
                self.fill(&call, Outcome::Failed(error(&call)));
            }
        }
        self.stale = 0;
    }

    /// Cancels every call that has not begun.
    pub(crate) fn cancel_queued(&mut self) {
        self.fail_queued(|call| TaskError::new(TaskErrorKind::Cancelled, call.task_name()));
    }

    /// Cancels what has not begun, kills what has: to be followed by the workers' end.
    pub(crate) fn kill_all(&mut self) {
        self.cancel_queued();
        for member in self.members.iter_mut().flatten() {
            member.kill(Sentence::OnRequest);
        }
        self.fail_placed(killed);
    }

    /// Fails every call that lies in the ring of a worker, of which the process is told.
    fn fail_placed(&mut self, error: impl Fn(&Call, Option<u32>) -> TaskError) {
        for slot in 0..self.members.len() {
            let Some(member) = self.member(slot) else {
                continue;
            };
            let pid = member.told_pid();
            for placed in member.clear() {
                let outcome = Outcome::Failed(error(&placed.call, pid));
                self.fill(&placed.call, outcome);
            }
        }
    }

    /// Ends the executor's service for a reason: all calls fail with it.
    pub(crate) fn break_down(&mut self, reason: Arc<Breakdown>) {
        if matches!(self.gate, Gate::Broken(_)) {
            return;
        }
        let error = |call: &Call| {
            TaskError::new(TaskErrorKind::PoolBroken, call.task_name())
                .caused_by(Arc::<Breakdown>::clone(&reason))
        };
        self.fail_queued(error);
        self.fail_placed(|call, _| error(call));
        self.gate = Gate::Broken(reason);
    }

    /// Takes a worker out that has died: its answers count, what had not begun is dealt anew, and
    /// what had begun is given back, to be failed once it is known how the worker ended.
    pub(crate) fn bury(&mut self, slot: usize) -> Option<(Member, Vec<Call>)> {
        self.collect(slot);
        self.moved(slot);
        let mut member = self.members.get_mut(slot)?.take()?;
        let mut again = Vec::new();
        let mut begun = Vec::new();
        for mut placed in member.clear() {
            // Taken back, not just looked at: a worker that is given up on may live yet.
            if !member.revoke(&placed) {
                begun.push(placed.call);
                continue;
            }
            placed.call.suspicions += u8::from(begun.is_empty() && again.is_empty());
            if placed.call.pinned || placed.call.suspicions > MAX_SUSPICIONS {
                begun.push(placed.call);
            } else {
                again.push(placed.call);
            }
        }
        self.requeue(again);
        Some((member, begun))
    }
}

fn killed(call: &Call, pid: Option<u32>) -> TaskError {
    with_worker(TaskError::new(TaskErrorKind::Killed, call.task_name()), pid)
}
