//! Which call goes to which worker: the executor's state, changed by events, touched by no thread
//! of its own.
//!
//! Calls wait in the *backlog*, in order of submission, until a worker has room for them. What was
//! placed in a worker's ring stands in its *window*, in the same order; answers arrive in that
//! order too. How many calls a worker is dealt follows from how long calls took it of late: about
//! [`deal::RING_TIME`] of work, one call while that is unknown. A call that has not begun can be taken
//! back, so dealing wrongly costs little: a worker that runs dry gets what another has not begun.
//!
//! All methods run under the executor's lock and none blocks or runs users' code. Those that fill
//! completions collect whom to tell in [`Scheduler::told`]; the lock's holder tells them after
//! letting go of it.

use std::collections::VecDeque;
use std::sync::Arc;

use pool_worker::channel::{Bytes, events};
use pool_worker::protocol::{PanicReport, Status};

use crate::call::Call;
use crate::completion::{Completion, Outcome, Place, Waiter};
use crate::gate::{Breakdown, Gate};
use crate::member::{Member, Sentence};
use crate::task_error::{Side, TaskError, TaskErrorKind};

mod deal;
mod stop;
#[cfg(test)]
mod tests;

/// What the scheduler did about a call that was to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Cancelled {
    /// It will never start.
    Yes,
    /// It runs, in the worker in this slot, under this number.
    Running { slot: usize, seq: u32 },
    /// It is done.
    Done,
}

/// The calls of an executor and the workers that they are dealt to.
#[derive(Debug)]
pub(crate) struct Scheduler {
    backlog: VecDeque<Call>,
    /// How many calls in the backlog are done, as they were cancelled.
    stale: usize,
    members: Vec<Option<Member>>,
    /// The workers in the first slots, as many as this, may look for calls without sleep.
    spinners: usize,
    /// Calls submitted and not done.
    outstanding: usize,
    /// Waiters on completions that are not filled.
    waiting: usize,
    gate: Gate,
    told: Vec<Waiter>,
}

impl Scheduler {
    /// A scheduler for so many workers, of which `spinners` may look for calls without sleep.
    pub(crate) fn new(slots: usize, spinners: usize) -> Self {
        Self {
            spinners,
            backlog: VecDeque::new(),
            stale: 0,
            members: std::iter::repeat_with(|| None).take(slots).collect(),
            outstanding: 0,
            waiting: 0,
            gate: Gate::Open,
            told: Vec::new(),
        }
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Why new calls of `task` are not taken, if they are not.
    pub(crate) fn refusal(&self, task: &'static str) -> Option<TaskError> {
        match &self.gate {
            Gate::Open => None,
            Gate::Closed => Some(TaskError::new(TaskErrorKind::ShutDown, task)),
            Gate::Broken(reason) => {
                let error = TaskError::new(TaskErrorKind::PoolBroken, task);
                Some(error.caused_by(Arc::<Breakdown>::clone(reason)))
            }
        }
    }

    pub(crate) fn close(&mut self) {
        if matches!(self.gate, Gate::Open) {
            self.gate = Gate::Closed;
        }
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding
    }

    pub(crate) fn queued(&self) -> usize {
        self.backlog.len() - self.stale
    }

    pub(crate) fn slots(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().flatten()
    }

    pub(crate) fn member(&mut self, slot: usize) -> Option<&mut Member> {
        self.members.get_mut(slot)?.as_mut()
    }

    /// The worker of this number and its slot, if it is still a member.
    pub(crate) fn find(&mut self, number: u64) -> Option<(usize, &mut Member)> {
        self.members
            .iter_mut()
            .enumerate()
            .find_map(|(slot, member)| {
                Some((
                    slot,
                    member.as_mut().filter(|member| member.number == number)?,
                ))
            })
    }

    /// Takes a new worker into an empty slot.
    pub(crate) fn admit(&mut self, slot: usize, member: Member) {
        if slot < self.spinners {
            member.allow_spinning();
        }
        self.members[slot] = Some(member);
    }

    /// Whom to tell, once the lock is free.
    pub(crate) fn take_told(&mut self) -> Vec<Waiter> {
        std::mem::take(&mut self.told)
    }

    /// Takes a call. The gate was looked at before.
    pub(crate) fn submit(&mut self, call: Call) {
        self.outstanding += 1;
        self.backlog.push_back(call);
    }

    /// Fills a completion and notes whom to tell.
    pub(crate) fn fill(&mut self, call: &Call, outcome: Outcome) {
        let waiters = call.completion.fill(outcome);
        self.waiting -= waiters.len();
        self.told.extend(waiters);
        if !call.pinned {
            self.outstanding -= 1;
        }
    }

    /// Registers a waiter; gives it back if the completion is filled.
    pub(crate) fn wait(&mut self, completion: &Completion, waiter: Waiter) -> Result<(), Waiter> {
        completion.add_waiter(waiter)?;
        self.waiting += 1;
        Ok(())
    }

    /// Forgets waiters on a completion. They are to be dropped without the lock, which may run
    /// users' code.
    #[must_use]
    pub(crate) fn forget(
        &mut self,
        completion: &Completion,
        is_meant: impl Fn(&Waiter) -> bool,
    ) -> Vec<Waiter> {
        let forgotten = completion.remove_waiters(is_meant);
        self.waiting -= forgotten.len();
        forgotten
    }

    /// Takes in what workers answered, deals what waits, and sees to it that whoever sleeps is rung.
    ///
    /// `true` means that there may be more to do at once.
    #[must_use]
    pub(crate) fn turn(&mut self) -> bool {
        for slot in 0..self.members.len() {
            self.collect(slot);
        }
        self.deal();
        self.settle()
    }

    /// Takes in the answers of one worker.
    pub(crate) fn collect(&mut self, slot: usize) {
        let mut any = false;
        while let Some(member) = self.member(slot) {
            match member.receive() {
                Ok(Some((placed, status, body))) => {
                    let pid = member.told_pid();
                    let outcome = outcome_of(&placed.call, status, body, pid);
                    self.fill(&placed.call, outcome);
                    any = true;
                }
                Ok(None) => {
                    if any {
                        member.progressed();
                    }
                    break;
                }
                Err(violation) => {
                    member.kill(Sentence::Violation(violation.0));
                    break;
                }
            }
        }
    }

    /// Whoever sleeps on this worker has to look again: a call of its window went elsewhere.
    fn moved(&mut self, slot: usize) {
        if let Some(member) = self.member(slot) {
            member.ring_attendant();
        }
    }

    /// Puts up to `count` calls that a worker has not begun back into the backlog; whether there
    /// were any.
    fn take_back(&mut self, slot: usize, count: usize) -> bool {
        let taken = self
            .member(slot)
            .map_or_else(Vec::new, |member| member.take_back(count));
        self.moved(slot);
        self.requeue(taken)
    }

    /// Puts calls, in their order, before all others.
    fn requeue(&mut self, calls: Vec<Call>) -> bool {
        let any = !calls.is_empty();
        for call in calls.into_iter().rev() {
            call.completion.set_place(Place::Unplaced);
            self.backlog.push_front(call);
        }
        any
    }

    /// Arms each worker's bell with what the executor has to hear of.
    fn settle(&mut self) -> bool {
        let hungry = self.queued() > 0;
        let urgent = self.waiting > 0 || !matches!(self.gate, Gate::Open);
        let mut again = false;
        for member in self.members.iter_mut().flatten() {
            again |= member.settle(wanted(member, hungry, urgent));
        }
        again
    }
}

/// The events that the executor has to hear of from this worker.
fn wanted(member: &Member, hungry: bool, urgent: bool) -> u32 {
    // An idle worker may have to get over calls that were taken back before there is room.
    if member.is_idle() && !hungry {
        return 0;
    }
    let answer = if urgent { events::ANSWER } else { 0 };
    events::IDLE | answer | member.flow(hungry)
}

fn with_worker(error: TaskError, pid: Option<u32>) -> TaskError {
    match pid {
        Some(pid) => error.worker(pid),
        None => error,
    }
}

/// What a worker's answer means for the call's future.
fn outcome_of(call: &Call, status: Status, body: Bytes, pid: Option<u32>) -> Outcome {
    let failed = |kind| with_worker(TaskError::new(kind, call.task_name()), pid);
    let text = || String::from_utf8_lossy(&body).into_owned();
    Outcome::Failed(match status {
        Status::Returned => return Outcome::Returned(body),
        Status::Panicked => {
            let report: PanicReport = rmp_serde::from_slice(&body).unwrap_or_default();
            failed(TaskErrorKind::Panicked).panicked(report)
        }
        Status::ArgumentsUndecodable => failed(TaskErrorKind::Decode)
            .side(Side::Worker)
            .detail(text()),
        Status::OutputUnencodable => failed(TaskErrorKind::Encode)
            .side(Side::Worker)
            .detail(text()),
        Status::UnknownTask => failed(TaskErrorKind::UnknownTask).detail(text()),
    })
}
