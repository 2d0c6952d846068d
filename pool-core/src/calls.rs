//! The calls of an executor: one slot for each, from its submission until nobody wants its outcome.
//!
//! The table lies under the executor's lock (see [`crate::driver`]), so ending a call and
//! registering with it never race. A slot is free again once the call is done and nobody refers to
//! it: each [`CallRef`](crate::driver::CallRef), each call of a map that was not taken, and the
//! backlog count as one reference.

use std::collections::HashMap;
use std::mem;

use pool_worker::channel::{Inline, Payload};
use pool_worker::registry::TaskId;
use pool_worker::shared::Attachments;
use pool_worker::sys::{self, Buffer};
use smallvec::SmallVec;

use crate::call::Parcel;
use crate::task_error::TaskError;
use crate::terms::{Alarms, Course};
use crate::waiter::Waiter;

mod courses;
mod load;
mod slot;

use load::Load;
use slot::Stage;
pub(crate) use slot::{Binding, Call, CallId, Outcome, Place};

/// A table that is empty gives its memory back if it had more slots than this.
const KEPT_SLOTS: usize = 16 * 1024;

/// All calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    slots: Vec<Call>,
    free: Option<CallId>,
    used: usize,
    /// Those who wait for calls that are not done.
    waiters: HashMap<CallId, SmallVec<[Waiter; 1]>>,
    courses: HashMap<CallId, Course>,
    pub(crate) alarms: Alarms,
    /// How many calls that are not done refer to shared values.
    sharing: usize,
    /// How many have a priority of their own.
    ranked: usize,
    /// What those weigh that count against the limits of the queue.
    pub(crate) load: Load,
    /// What calls held that are done: to be dropped without the lock, as to give memory back may take
    /// a while.
    spent: Vec<Parcel>,
}

impl Calls {
    /// A new call, with so many references to it.
    #[inline]
    pub(crate) fn insert(&mut self, task: TaskId, arguments: Parcel, references: u32) -> CallId {
        self.sharing += usize::from(!arguments.attachments.is_empty());
        let (id, call) = self.vacant();
        call.fill(Stage::Pending(arguments));
        call.task = Some(task);
        call.references = references;
        id
    }

    /// As [`insert`](Self::insert), for arguments that may be in registers, with one reference.
    #[inline]
    pub(crate) fn insert_inline(&mut self, task: TaskId, arguments: Inline) -> CallId {
        let (id, call) = self.vacant();
        call.fill(Stage::Pending(Payload::Inline(arguments).into()));
        call.task = Some(task);
        call.references = 1;
        id
    }

    /// What failed before it became a call, with one reference to it.
    pub(crate) fn insert_failed(&mut self, error: TaskError) -> CallId {
        let (id, call) = self.vacant();
        call.fill(Stage::Done(Outcome::Failed(error)));
        call.references = 1;
        id
    }

    /// A slot for a new call.
    #[inline]
    fn vacant(&mut self) -> (CallId, &mut Call) {
        self.used += 1;
        let id = self.free.unwrap_or_else(|| self.add_slot());
        let call = &mut self.slots[id.index()];
        let Stage::Free(next) = call.stage else {
            unreachable!("the slot is free")
        };
        self.free = next;
        call.place = None;
        call.task = None;
        call.suspicions = 0;
        call.binding = Binding::Anywhere;
        call.counts = false;
        (id, call)
    }

    fn add_slot(&mut self) -> CallId {
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve(1);
            sys::have_huge_pages(&self.slots);
        }
        self.slots.push(Call::none());
        CallId::at(self.slots.len() - 1)
    }

    /// Those that are not done.
    pub(crate) fn pending(&self) -> Vec<CallId> {
        let ids = (0..self.slots.len()).map(CallId::at);
        ids.filter(|&id| self.get(id).pending().is_some()).collect()
    }

    /// How many slots are not free.
    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    #[inline]
    pub(crate) fn get(&self, id: CallId) -> &Call {
        &self.slots[id.index()]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: CallId) -> &mut Call {
        &mut self.slots[id.index()]
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
        let stage = mem::replace(&mut self.get_mut(id).stage, Stage::Taken(None));
        self.vacate(id);
        stage
    }

    /// Frees a slot in which nothing is left to be dropped.
    #[inline]
    fn vacate(&mut self, id: CallId) {
        let next = self.free;
        mem::forget(mem::replace(&mut self.get_mut(id).stage, Stage::Free(next)));
        self.free = Some(id);
        self.used -= 1;
        if self.used == 0 {
            self.shrink();
        }
    }

    /// Gives memory back, now that no slot is used.
    #[cold]
    fn shrink(&mut self) {
        if self.slots.len() > KEPT_SLOTS {
            self.slots = Vec::new();
            self.free = None;
            self.waiters.shrink_to_fit();
            self.courses.shrink_to_fit();
        }
    }

    /// Frees the slot of a call of which nobody wants to know any more.
    fn discard(&mut self, id: CallId) {
        if let Stage::Done(Outcome::Returned(result)) = self.free(id)
            && result.is_heavy()
        {
            self.spent.push(result);
        }
    }

    /// Takes the outcome and releases the call, if it is done and nobody took the outcome yet.
    #[inline]
    pub(crate) fn redeem(&mut self, id: CallId) -> Option<Outcome> {
        let call = self.get_mut(id);
        let Stage::Done(outcome) = &mut call.stage else {
            return None;
        };
        if call.references > 1 {
            return self.redeem_kept(id);
        }
        // Out of the slot itself: a processor stalls on a copy of a copy, in other parts.
        let outcome = mem::take(outcome);
        self.vacate(id);
        Some(outcome)
    }

    #[cold]
    fn redeem_kept(&mut self, id: CallId) -> Option<Outcome> {
        let outcome = self.take(id);
        self.release(id);
        outcome
    }

    /// Whether calls that are not done refer to shared values, which are to be let go of in time.
    pub(crate) fn are_sharing(&self) -> bool {
        self.sharing > 0
    }

    /// Takes the shared values that the arguments of a call refer to that is about to be done, and
    /// keeps what else of them is to be dropped without the lock.
    #[inline]
    fn unload(&mut self, id: CallId) -> Attachments {
        match &mut self.slots[id.index()].stage {
            Stage::Pending(arguments) if arguments.is_heavy() => {
                let Parcel {
                    payload,
                    attachments,
                } = mem::take(arguments);
                self.sharing -= usize::from(!attachments.is_empty());
                self.spent.push(payload.into());
                attachments
            }
            _ => Attachments::default(),
        }
    }

    /// Whether anything is to be dropped without the lock.
    #[inline]
    pub(crate) fn have_spent(&self) -> bool {
        !self.spent.is_empty()
    }

    /// What is to be dropped without the lock.
    pub(crate) fn take_spent(&mut self) -> Vec<Parcel> {
        mem::take(&mut self.spent)
    }

    /// Ends a call that returned this. Adds those who waited for it to `told`, and says how many they
    /// are; `None` if it was done already.
    #[inline]
    pub(crate) fn finish_returned(
        &mut self,
        id: CallId,
        payload: Payload,
        told: &mut Vec<Waiter>,
    ) -> Option<usize> {
        self.uncount(id);
        let attachments = self.unload(id);
        let call = self.get_mut(id);
        if call.is_done() {
            return None;
        }
        call.stage = Stage::Done(Outcome::Returned(Parcel {
            payload,
            attachments,
        }));
        self.take_course(id);
        Some(self.finished(id, told))
    }

    /// Ends a call that returned so few bytes, if it is like most: nothing is to be told or let go of but
    /// its result, which may be in registers. `false` if it is not.
    #[inline]
    pub(crate) fn finish_plain(&mut self, id: CallId, result: Inline) -> bool {
        let call = self.get_mut(id);
        let is_plain = call.is_plain();
        if is_plain {
            call.fill(Stage::Done(Outcome::Returned(
                Payload::Inline(result).into(),
            )));
        }
        is_plain
    }

    /// Ends a call that failed so, as [`finish_returned`](Self::finish_returned) does.
    pub(crate) fn finish_failed(
        &mut self,
        id: CallId,
        mut error: TaskError,
        told: &mut Vec<Waiter>,
    ) -> Option<usize> {
        self.uncount(id);
        let attachments = self.unload(id);
        if !attachments.is_empty() {
            self.spent.push(attachments.into());
        }
        if let Some(course) = self.take_course(id) {
            error = error.tried_before(course.deaths);
        }
        let call = self.get_mut(id);
        if call.is_done() {
            return None;
        }
        call.stage = Stage::Done(Outcome::Failed(error));
        Some(self.finished(id, told))
    }

    /// A call has come to be done.
    #[inline]
    fn finished(&mut self, id: CallId, told: &mut Vec<Waiter>) -> usize {
        let call = self.get_mut(id);
        if !call.awaited && call.references > 0 {
            return 0;
        }
        let is_unused = call.references == 0;
        let waiters = if mem::take(&mut call.awaited) {
            self.waiters.remove(&id).unwrap_or_default()
        } else {
            SmallVec::new()
        };
        if is_unused {
            self.discard(id);
        }
        let count = waiters.len();
        told.extend(waiters);
        count
    }

    /// Takes the outcome, if there is one and nobody took it yet.
    #[inline]
    pub(crate) fn take(&mut self, id: CallId) -> Option<Outcome> {
        let call = self.get_mut(id);
        if !call.is_done() {
            return None;
        }
        let failure = call.failure();
        match mem::replace(&mut call.stage, Stage::Taken(failure)) {
            Stage::Done(outcome) => Some(outcome),
            Stage::Free(_) | Stage::Pending(_) | Stage::Taken(_) => None,
        }
    }

    /// Takes the memory of the arguments of a call that never begins again.
    pub(crate) fn take_memory(&mut self, id: CallId) -> Vec<Buffer> {
        self.uncount_bytes(id);
        match &mut self.get_mut(id).stage {
            Stage::Pending(arguments) => mem::take(&mut arguments.payload).into_memory(),
            Stage::Free(_) | Stage::Done(_) | Stage::Taken(_) => Vec::new(),
        }
    }

    /// Adds a waiter, unless the call is done: then it is given back.
    pub(crate) fn add_waiter(&mut self, id: CallId, waiter: Waiter) -> Result<(), Waiter> {
        let call = self.get_mut(id);
        if call.is_done() {
            return Err(waiter);
        }
        call.awaited = true;
        self.waiters.entry(id).or_default().push(waiter);
        Ok(())
    }

    /// Takes away the waiters that `is_meant` names.
    pub(crate) fn remove_waiters(
        &mut self,
        id: CallId,
        is_meant: impl Fn(&Waiter) -> bool,
    ) -> Vec<Waiter> {
        let Some(waiters) = self.waiters.get_mut(&id) else {
            return Vec::new();
        };
        let (removed, kept) = mem::take(waiters)
            .into_iter()
            .partition::<Vec<_>, _>(is_meant);
        *waiters = kept.into();
        removed
    }
}
