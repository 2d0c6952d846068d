//! The calls of an executor: one slot for each, from its submission until nobody wants its outcome.
//!
//! The table lies under the executor's lock (see [`crate::driver`]), so ending a call and
//! registering with it never race. A slot is free again once the call is done and nobody refers to
//! it: each [`CallRef`](crate::driver::CallRef), each call of a map that was not taken, and the
//! backlog count as one reference.

use pool_worker::registry::TaskId;
use pool_worker::shared::Attachments;
use pool_worker::sys::Buffer;
use smallvec::SmallVec;

use crate::call::Parcel;
use crate::task_error::{TaskError, TaskErrorKind};
use crate::waiter::Waiter;

/// A table that is empty gives its memory back if it had more slots than this.
const KEPT_SLOTS: usize = 4096;

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The task returned this, encoded.
    Returned(Parcel),
    /// There is no result.
    Failed(TaskError),
}

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the backlog, or nowhere.
    Unplaced,
    /// In the window of the worker in this slot, under this number.
    Worker { slot: u32, seq: u32 },
}

/// The slot of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CallId(u32);

/// What a slot holds.
#[derive(Debug)]
enum Stage {
    /// Nothing; the number of the next free slot, if there is one.
    Free(Option<CallId>),
    /// A call that is not done, with its arguments.
    Pending(Parcel),
    /// A call that is done.
    Done(Outcome),
    /// A call whose outcome was taken, and the kind of error that it was, if it was one.
    Taken(Option<TaskErrorKind>),
}

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    stage: Stage,
    pub(crate) place: Place,
    /// `None` for one that was no call, but failed on the way to become one.
    task: Option<TaskId>,
    references: u32,
    /// How often it was the next call of a worker that died.
    pub(crate) suspicions: u8,
    /// It belongs to one worker (an initializer) and is never dealt to another.
    pub(crate) pinned: bool,
    waiters: SmallVec<[Waiter; 1]>,
}

impl Call {
    fn new(task: Option<TaskId>, stage: Stage) -> Self {
        Self {
            stage,
            place: Place::Unplaced,
            task,
            references: 1,
            suspicions: 0,
            pinned: false,
            waiters: SmallVec::new(),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        !matches!(self.stage, Stage::Pending(_))
    }

    /// The kind of error that it ended with, if it did; also after that was taken.
    pub(crate) fn failure(&self) -> Option<TaskErrorKind> {
        match &self.stage {
            Stage::Done(Outcome::Failed(error)) => Some(error.kind()),
            Stage::Taken(failure) => *failure,
            Stage::Free(_) | Stage::Pending(_) | Stage::Done(Outcome::Returned(_)) => None,
        }
    }

    /// The task and the arguments of a call that is not done.
    pub(crate) fn pending(&self) -> Option<(TaskId, &Parcel)> {
        match &self.stage {
            Stage::Pending(arguments) => Some((self.task?, arguments)),
            Stage::Free(_) | Stage::Done(_) | Stage::Taken(_) => None,
        }
    }
}

/// All calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    slots: Vec<Call>,
    free: Option<CallId>,
    used: usize,
    /// How many calls that are not done refer to shared values.
    sharing: usize,
    /// What calls held that are done: to be dropped without the lock, as memory that is freed with
    /// it may take a while.
    spent: Vec<Attachments>,
}

impl Calls {
    /// A new call, with one reference to it.
    pub(crate) fn insert(&mut self, task: TaskId, arguments: Parcel) -> CallId {
        self.sharing += usize::from(!arguments.attachments.is_empty());
        self.put(Some(task), Stage::Pending(arguments))
    }

    /// What failed before it became a call, with one reference to it.
    pub(crate) fn insert_failed(&mut self, error: TaskError) -> CallId {
        self.put(None, Stage::Done(Outcome::Failed(error)))
    }

    #[inline]
    fn put(&mut self, task: Option<TaskId>, stage: Stage) -> CallId {
        self.used += 1;
        let Some(id) = self.free else {
            let id = u32::try_from(self.slots.len()).expect("fewer than 2^32 calls fit in memory");
            self.slots.push(Call::new(task, stage));
            return CallId(id);
        };
        let slot = self.get_mut(id);
        let next = match std::mem::replace(&mut slot.stage, stage) {
            Stage::Free(next) => next,
            Stage::Pending(_) | Stage::Done(_) | Stage::Taken(_) => {
                unreachable!("the slot is free")
            }
        };
        slot.place = Place::Unplaced;
        slot.task = task;
        slot.references = 1;
        slot.suspicions = 0;
        slot.pinned = false;
        self.free = next;
        id
    }

    /// How many slots are not free.
    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    pub(crate) fn get(&self, id: CallId) -> &Call {
        &self.slots[id.0 as usize]
    }

    pub(crate) fn get_mut(&mut self, id: CallId) -> &mut Call {
        &mut self.slots[id.0 as usize]
    }

    /// The task of a call that is one.
    pub(crate) fn task(&self, id: CallId) -> Option<TaskId> {
        self.get(id).task
    }

    /// One more refers to this call.
    pub(crate) fn retain(&mut self, id: CallId) {
        self.get_mut(id).references += 1;
    }

    /// One less refers to this call.
    #[inline]
    pub(crate) fn release(&mut self, id: CallId) {
        let call = self.get_mut(id);
        call.references -= 1;
        if call.references == 0 && call.is_done() {
            self.discard(id);
        }
    }

    /// Frees a slot and gives what was in it.
    #[inline]
    fn free(&mut self, id: CallId) -> Stage {
        let next = self.free;
        let stage = std::mem::replace(&mut self.get_mut(id).stage, Stage::Free(next));
        self.free = Some(id);
        self.used -= 1;
        if self.used == 0 && self.slots.len() > KEPT_SLOTS {
            self.slots = Vec::new();
            self.free = None;
        }
        stage
    }

    /// Frees the slot of a call of which nobody wants to know any more.
    fn discard(&mut self, id: CallId) {
        if let Stage::Done(Outcome::Returned(result)) = self.free(id) {
            self.spend(result.attachments);
        }
    }

    /// Takes the outcome and releases the call, if it is done and nobody took the outcome yet.
    #[inline]
    pub(crate) fn redeem(&mut self, id: CallId) -> Option<Outcome> {
        let call = self.get_mut(id);
        if !matches!(call.stage, Stage::Done(_)) {
            return None;
        }
        if call.references > 1 {
            let outcome = self.take(id);
            self.release(id);
            return outcome;
        }
        match self.free(id) {
            Stage::Done(outcome) => Some(outcome),
            Stage::Free(_) | Stage::Pending(_) | Stage::Taken(_) => None,
        }
    }

    /// Whether calls that are not done refer to shared values, which are to be let go of in time.
    pub(crate) fn are_sharing(&self) -> bool {
        self.sharing > 0
    }

    /// Takes the shared values that the arguments of a call refer to that is about to be done.
    pub(crate) fn take_attachments(&mut self, id: CallId) -> Attachments {
        match &mut self.get_mut(id).stage {
            Stage::Pending(arguments) if !arguments.attachments.is_empty() => {
                let attachments = std::mem::take(&mut arguments.attachments);
                self.sharing -= 1;
                attachments
            }
            _ => Attachments::default(),
        }
    }

    /// Keeps what is to be dropped without the lock, if that is anything.
    fn spend(&mut self, attachments: Attachments) {
        if !attachments.is_empty() {
            self.spent.push(attachments);
        }
    }

    /// What is to be dropped without the lock.
    pub(crate) fn take_spent(&mut self) -> Vec<Attachments> {
        std::mem::take(&mut self.spent)
    }

    /// Ends a call and adds those who waited for it to `told`; says how many these are. Nothing
    /// happens to one that is done.
    pub(crate) fn finish(&mut self, id: CallId, outcome: Outcome, told: &mut Vec<Waiter>) -> usize {
        if self.get(id).is_done() {
            return 0;
        }
        let attachments = self.take_attachments(id);
        self.spend(attachments);
        let call = self.get_mut(id);
        call.stage = Stage::Done(outcome);
        let unused = call.references == 0;
        let count = call.waiters.len();
        if count > 0 {
            told.extend(call.waiters.drain(..));
        }
        if unused {
            self.discard(id);
        }
        count
    }

    /// Takes the outcome, if there is one and nobody took it yet.
    pub(crate) fn take(&mut self, id: CallId) -> Option<Outcome> {
        let call = self.get_mut(id);
        if !call.is_done() {
            return None;
        }
        let failure = call.failure();
        match std::mem::replace(&mut call.stage, Stage::Taken(failure)) {
            Stage::Done(outcome) => Some(outcome),
            Stage::Free(_) | Stage::Pending(_) | Stage::Taken(_) => None,
        }
    }

    /// Takes the memory of the arguments of a call that never begins again.
    pub(crate) fn take_memory(&mut self, id: CallId) -> Vec<Buffer> {
        match &mut self.get_mut(id).stage {
            Stage::Pending(arguments) => std::mem::take(&mut arguments.payload).into_memory(),
            Stage::Free(_) | Stage::Done(_) | Stage::Taken(_) => Vec::new(),
        }
    }

    /// Adds a waiter, unless the call is done: then it is given back.
    pub(crate) fn add_waiter(&mut self, id: CallId, waiter: Waiter) -> Result<(), Waiter> {
        let call = self.get_mut(id);
        if call.is_done() {
            return Err(waiter);
        }
        call.waiters.push(waiter);
        Ok(())
    }

    /// Takes away the waiters that `is_meant` names.
    pub(crate) fn remove_waiters(
        &mut self,
        id: CallId,
        is_meant: impl Fn(&Waiter) -> bool,
    ) -> Vec<Waiter> {
        let call = self.get_mut(id);
        let (removed, kept) = std::mem::take(&mut call.waiters)
            .into_iter()
            .partition::<Vec<_>, _>(is_meant);
        call.waiters = kept.into();
        removed
    }
}
