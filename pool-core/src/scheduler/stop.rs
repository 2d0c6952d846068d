//! How calls end that do not return: cancelled, killed, failed with the executor or its worker.

use std::sync::Arc;

use pool_worker::fault::{self, Site};

use super::backlog::Turn;
use super::collect::with_worker;
use super::{Cancelled, Scheduler};
use crate::calls::{Binding, CallId};
use crate::gate::{Breakdown, Gate};
use crate::member::{Member, Sentence, Unbegun};
use crate::task_error::{TaskError, TaskErrorKind};

impl Scheduler {
    /// Takes all workers out, for the end. What they are busy with is of no interest any more.
    pub(crate) fn dismiss(&mut self) -> Vec<Member> {
        fault::at(Site::Dismisses);
        self.fail_placed(killed);
        let members = self.vacate_all();
        for member in &members {
            self.tally.left(member);
        }
        members
    }

    /// Cancels a call that has not begun. The task of one that has can see that somebody tried to, and
    /// it does not begin anew.
    pub(crate) fn cancel(&mut self, id: CallId) -> Cancelled {
        let error = TaskError::new(TaskErrorKind::Cancelled, self.task_name(id));
        let cancelled = self.withdraw(id, error);
        if cancelled == Cancelled::Running {
            self.forgo_retries(id);
        }
        cancelled
    }

    /// Ends a call that has not begun, with this error.
    pub(super) fn withdraw(&mut self, id: CallId, error: TaskError) -> Cancelled {
        let call = self.calls.get(id);
        if call.is_done() {
            return Cancelled::Done;
        }
        let (place, bound) = (call.place, call.binding.slot());
        if let Some(place) = place {
            let Some(member) = self.member(place.slot()) else {
                return Cancelled::Running;
            };
            if !member.take_back_one(place.seq, id) {
                member.ask_to_end(place.seq, id);
                return Cancelled::Running;
            }
            self.moved(place.slot());
        }
        self.fail(id, error);
        if place.is_none() {
            self.forget_waiting(id, bound);
        }
        Cancelled::Yes
    }

    /// Cancels a call, or kills the worker that runs it; `false` if the call is done.
    pub(crate) fn stop(&mut self, id: CallId) -> bool {
        match self.cancel(id) {
            Cancelled::Yes => true,
            Cancelled::Running => {
                // One whose worker has died by itself is as good as stopped: it is about to end, and
                // does not begin anew.
                self.stop_running(id, |member| member.kill(Sentence::OnRequest))
                    || !self.calls.get(id).is_done()
            }
            Cancelled::Done => false,
        }
    }

    /// Has the worker stopped that runs this call, by `stop`. `false` if the call is done by now.
    ///
    /// The worker is frozen first, by taking back all that it has not begun, so that the next call
    /// does not die for this one.
    pub(super) fn stop_running(&mut self, id: CallId, stop: impl FnOnce(&mut Member)) -> bool {
        let Some((slot, _)) = self.holder(id) else {
            return false;
        };
        self.take_back(slot, Unbegun::All);
        self.look_at_clock();
        self.collect(slot);
        if !self.is_running(id) {
            return false;
        }
        fault::at(Site::Stops);
        if let Some(member) = self.member(slot) {
            stop(member);
        }
        true
    }

    /// A call that waits nowhere but in a queue is done: gives its memory back, for those of the
    /// backlog once they are the greater part of it.
    fn forget_waiting(&mut self, id: CallId, bound: Option<usize>) {
        if let Some(slot) = bound {
            self.bound.remove(slot, id);
            self.calls.release(id);
        } else if self.backlog.note_stale() {
            let calls = &mut self.calls;
            self.backlog.retain(|id| {
                let done = calls.get(id).is_done();
                if done {
                    calls.release(id);
                }
                !done
            });
        }
    }

    /// Fails every call that has not begun.
    pub(crate) fn fail_queued(&mut self, error: impl Fn(&'static str) -> TaskError) {
        for slot in 0..self.members.len() {
            self.collect(slot);
            self.take_back(slot, Unbegun::All);
        }
        let backlog = std::mem::take(&mut self.backlog);
        let bound = std::mem::take(&mut self.bound);
        for id in backlog.iter().chain(bound.iter()) {
            if !self.calls.get(id).is_done() {
                self.fail(id, error(self.task_name(id)));
            }
            self.calls.release(id);
        }
    }

    /// Cancels every call that has not begun.
    pub(crate) fn cancel_queued(&mut self) {
        self.cancels = true;
        self.fail_queued(|task| TaskError::new(TaskErrorKind::Cancelled, task));
    }

    /// Cancels what has not begun, kills what has: to be followed by the workers' end.
    pub(crate) fn kill_all(&mut self) {
        self.cancel_queued();
        for member in self.members.iter_mut().flatten() {
            member.kill(Sentence::OnRequest);
        }
        self.fail_placed(killed);
    }

    /// Lets go of a call of the executor's own that nobody will answer.
    pub(crate) fn let_go(&mut self, id: CallId) {
        let error = killed(self.task_name(id), None);
        self.fail(id, error);
    }

    /// Fails every call that lies in the ring of a worker, of which the process is told.
    fn fail_placed(&mut self, error: impl Fn(&'static str, Option<u32>) -> TaskError) {
        for slot in 0..self.members.len() {
            self.moved(slot);
            let Some(member) = self.member(slot) else {
                continue;
            };
            let pid = member.told_pid();
            for placed in member.clear() {
                let error = error(self.task_name(placed.id), pid);
                self.fail(placed.id, error);
            }
        }
    }

    /// Ends the executor's service for a reason: all calls fail with it.
    pub(crate) fn break_down(&mut self, reason: Arc<Breakdown>) {
        if matches!(self.gate, Gate::Broken(_)) {
            return;
        }
        let error = |task| {
            TaskError::new(TaskErrorKind::PoolBroken, task)
                .caused_by(Arc::<Breakdown>::clone(&reason))
        };
        self.fail_queued(error);
        self.fail_placed(|task, pid| with_worker(error(task), pid));
        self.gate = Gate::Broken(reason);
    }

    /// Fails every call that is not done, wherever it is, of an executor that is broken.
    pub(crate) fn fail_all(&mut self) {
        for id in self.calls.pending() {
            if let Some(error) = self.refusal(|| self.task_name(id)) {
                self.fail(id, error);
            }
        }
    }

    /// Takes a worker out that has died: its answers count, what had not begun is dealt anew, and
    /// what had begun is given back, to be failed once it is known how the worker ended.
    pub(crate) fn bury(&mut self, slot: usize) -> Option<(Member, Vec<CallId>)> {
        self.collect(slot);
        self.moved(slot);
        let mut member = self.vacate(slot)?;
        self.tally.buried(&member);
        let mut again = Vec::new();
        let mut begun = Vec::new();
        for placed in member.clear() {
            // Taken back, not just looked at: a worker that is given up on may live yet.
            if !member.revoke(&placed) {
                begun.push(placed.id);
                continue;
            }
            let call = self.calls.get_mut(placed.id);
            let is_first = begun.is_empty() && again.is_empty();
            call.suspicions = call.suspicions.saturating_add(is_first.into());
            if call.binding == Binding::Own || call.is_poisoned() {
                begun.push(placed.id);
            } else {
                again.push(placed.id);
            }
        }
        self.requeue(again, Turn::Had);
        Some((member, begun))
    }
}

fn killed(task: &'static str, pid: Option<u32>) -> TaskError {
    with_worker(TaskError::new(TaskErrorKind::Killed, task), pid)
}
