//! Which call goes to which worker: the executor's state, changed by events, touched by no thread
//! of its own.
//!
//! Calls wait in the [*backlog*](backlog) until a worker has room for them. What was
//! placed in a worker's ring stands in its *window*, in the same order; answers arrive in that
//! order too. How many calls a worker is dealt follows from how long calls took it of late: about
//! [`deal::RING_TIME`] of work, one call while that is unknown. A call that has not begun can be taken
//! back, so dealing wrongly costs little: a worker that runs dry gets what another has not begun.
//!
//! All methods run under the executor's lock and none blocks or runs users' code. Those that end
//! calls collect whom to tell in [`Scheduler::told`]; the lock's holder tells them after letting go
//! of it.

use std::sync::Arc;
use std::time::Duration;

use pool_worker::registry::{TaskId, registry};

use crate::call::Parcel;
use crate::calls::{Binding, Call, CallId, Calls, Outcome, Place};
use crate::gate::{Breakdown, Gate};
use crate::member::Member;
use crate::task_error::{TaskError, TaskErrorKind};
use crate::terms::Terms;
use crate::waiter::Waiter;
use stats::Tally;

mod backlog;
mod bound;
mod collect;
mod deal;
mod expire;
mod finish;
mod idle;
mod memory;
mod put_back;
mod queue;
mod retire;
mod retry;
mod settle;
mod size;
mod stats;
mod stop;
mod stuck;
#[cfg(test)]
mod tests;

use backlog::{Backlog, Submitter};
use bound::Bound;
pub(crate) use collect::failure;
pub(crate) use deal::Share;
pub(crate) use queue::QueueLimit;
pub(crate) use size::Size;
use size::Staff;

/// What the scheduler did about a call that was to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Cancelled {
    /// It will never start.
    Yes,
    /// It runs.
    Running,
    /// It is done.
    Done,
}

/// What the supervising thread looks at every now and then, and need not be woken for.
#[derive(Debug)]
struct Looks {
    /// The memory of busy workers, or that does not matter.
    weighing: bool,
    /// Whether workers begin their calls and ring those who wait.
    minding: bool,
    /// How many calls had returned when that was looked at last.
    returned: u64,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            weighing: true,
            minding: false,
            returned: 0,
        }
    }
}

/// The calls of an executor and the workers that they are dealt to.
#[derive(Debug)]
pub(crate) struct Scheduler {
    calls: Calls,
    backlog: Backlog,
    bound: Bound,
    queue_limit: QueueLimit,
    members: Vec<Option<Member>>,
    staff: Staff,
    /// As many workers may look for calls without sleep.
    spinners: usize,
    /// Calls submitted and not done.
    outstanding: usize,
    /// Waiters for calls that are not done.
    waiting: usize,
    /// A worker has calls that it does not pay to move now, but will if it gets stuck in one: nobody
    /// rings then, so it has to be looked at.
    to_watch: bool,
    gate: Gate,
    looks: Looks,
    /// What had not begun was cancelled, so nothing begins anew.
    cancels: bool,
    /// The most calls that a worker is dealt before it has answered them.
    most_ahead: usize,
    /// How long a worker is let live that was asked to end, as its call is out of time.
    grace: Option<Duration>,
    told: Vec<Waiter>,
    tally: Tally,
}

impl Scheduler {
    /// A scheduler for so many workers, of which `spinners` may look for calls without sleep.
    pub(crate) fn new(size: Size, spinners: usize) -> Self {
        Self {
            spinners,
            calls: Calls::default(),
            backlog: Backlog::default(),
            bound: Bound::default(),
            queue_limit: QueueLimit::default(),
            members: Vec::new(),
            staff: Staff::of(size),
            outstanding: 0,
            waiting: 0,
            to_watch: false,
            gate: Gate::Open,
            looks: Looks::default(),
            cancels: false,
            most_ahead: usize::MAX,
            grace: None,
            told: Vec::new(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Why new calls of the task of this name are not taken, if they are not.
    #[inline]
    pub(crate) fn refusal(&self, task: impl FnOnce() -> &'static str) -> Option<TaskError> {
        match &self.gate {
            Gate::Open => None,
            Gate::Closed => Some(TaskError::new(TaskErrorKind::ShutDown, task())),
            Gate::Broken(reason) => {
                let error = TaskError::new(TaskErrorKind::PoolBroken, task());
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

    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.backlog.len()
    }

    /// Whether calls that are not done have priorities of their own.
    #[inline]
    pub(crate) fn is_ranked(&self) -> bool {
        self.calls.are_ranked()
    }

    /// How many slots there are for workers, with empty ones between others.
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

    /// Whether there is anything to do once the lock is free.
    #[inline]
    pub(crate) fn leaves_something(&self) -> bool {
        !self.told.is_empty() || self.calls.have_spent()
    }

    /// Whom to tell, once the lock is free.
    pub(crate) fn take_told(&mut self) -> Vec<Waiter> {
        std::mem::take(&mut self.told)
    }

    /// What is to be dropped once the lock is free.
    pub(crate) fn take_spent(&mut self) -> Vec<Parcel> {
        self.calls.take_spent()
    }

    /// Tells workers what their control sockets had no room for; `true` if that is to be tried again
    /// in a while.
    pub(crate) fn retry_errands(&self) -> bool {
        let again = |member: &Member| member.control.retry();
        self.members().filter(|member| again(member)).count() > 0
    }

    #[inline]
    pub(crate) fn call(&self, id: CallId) -> &Call {
        self.calls.get(id)
    }

    /// Takes a call, with one reference to it. The gate was looked at before.
    #[inline]
    pub(crate) fn submit(&mut self, task: TaskId, arguments: Parcel, terms: &Terms) -> CallId {
        // The backlog's own, and the caller's.
        let id = self.calls.insert(task, arguments, 2);
        self.calls.set_terms(id, terms);
        self.outstanding += 1;
        self.backlog
            .push(id, terms.priority, Submitter::this_thread());
        id
    }

    /// Notes what failed before it became a call, with one reference to it.
    pub(crate) fn submit_failed(&mut self, error: TaskError) -> CallId {
        self.tally.failures.count(error.kind());
        self.calls.insert_failed(error)
    }

    /// Notes a call of the executor's own, which never enters the backlog, with one reference to it.
    pub(crate) fn note_own(&mut self, task: TaskId, arguments: Parcel) -> CallId {
        let id = self.calls.insert(task, arguments, 1);
        self.calls.get_mut(id).binding = Binding::Own;
        id
    }

    /// Places a call of the executor's own with a worker; `false` if there is no room for it.
    pub(crate) fn place_own(&mut self, slot: usize, id: CallId) -> bool {
        let member = self.members.get_mut(slot).and_then(Option::as_mut);
        member.is_some_and(|member| deal::offer(&mut self.calls, member, slot, id))
    }

    /// Takes a call's outcome, if it is done and nobody took it yet.
    pub(crate) fn take(&mut self, id: CallId) -> Option<Outcome> {
        self.calls.take(id)
    }

    /// Takes a call's outcome, if it is done, and gives a reference up for it.
    #[inline]
    pub(crate) fn redeem(&mut self, id: CallId) -> Option<Outcome> {
        self.calls.redeem(id)
    }

    /// One more refers to this call.
    pub(crate) fn retain(&mut self, id: CallId) {
        self.calls.retain(id);
    }

    /// One less refers to this call; what came of it goes with the last one.
    #[inline]
    pub(crate) fn release(&mut self, id: CallId) {
        self.calls.release(id);
    }

    /// Registers a waiter; gives it back if the call is done.
    pub(crate) fn wait(&mut self, id: CallId, waiter: Waiter) -> Result<(), Waiter> {
        self.calls.add_waiter(id, waiter)?;
        self.waiting += 1;
        if let Some((_, member)) = self.holder(id) {
            member.hurry_attendant();
        }
        Ok(())
    }

    /// Forgets waiters for a call. They are to be dropped without the lock, which may run users'
    /// code.
    #[must_use]
    pub(crate) fn forget(&mut self, id: CallId, is_meant: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let forgotten = self.calls.remove_waiters(id, is_meant);
        self.waiting -= forgotten.len();
        forgotten
    }

    /// The worker that has this call in its window, if one has.
    pub(crate) fn holder(&mut self, id: CallId) -> Option<(usize, &mut Member)> {
        let place = self.calls.get(id).place?;
        let member = self.member(place.slot())?;
        member
            .holds(place.seq, id)
            .then_some((place.slot(), member))
    }

    /// Whether a worker has begun this call and not answered it.
    pub(crate) fn is_running(&mut self, id: CallId) -> bool {
        let Some(Place { seq, .. }) = self.calls.get(id).place else {
            return false;
        };
        self.holder(id)
            .is_some_and(|(_, member)| member.is_running(seq, id))
    }

    /// Takes in what workers answered, deals what waits, and sees to it that whoever sleeps is rung.
    ///
    /// `true` means that there may be more to do at once.
    #[must_use]
    pub(crate) fn turn(&mut self) -> bool {
        self.look_at_clock();
        for slot in 0..self.members.len() {
            self.collect(slot);
        }
        self.deal();
        self.settle()
    }

    /// The name of a call's task.
    pub(crate) fn task_name(&self, id: CallId) -> &'static str {
        let task = self.calls.get(id).task();
        task.map_or("", |task| registry().name(task))
    }
}
