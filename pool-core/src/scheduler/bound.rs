//! Calls that are for one worker, or for whichever takes its place: they wait until it has room.

use std::collections::VecDeque;

use pool_worker::registry::TaskId;

use super::backlog::Turn;
use super::{Scheduler, deal};
use crate::call::Parcel;
use crate::calls::{Binding, CallId};
use crate::member::Member;
use crate::terms::Terms;

/// The calls that wait for one worker each, by its slot.
#[derive(Debug, Default)]
pub(super) struct Bound {
    queues: Vec<VecDeque<CallId>>,
    len: usize,
}

impl Bound {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether any wait for the worker in this slot.
    #[inline]
    pub(super) fn any(&self, slot: usize) -> bool {
        self.len > 0 && self.queues.get(slot).is_some_and(|queue| !queue.is_empty())
    }

    fn queue(&mut self, slot: usize) -> &mut VecDeque<CallId> {
        if self.queues.len() <= slot {
            self.queues.resize_with(slot + 1, VecDeque::new);
        }
        &mut self.queues[slot]
    }

    fn push(&mut self, slot: usize, id: CallId) {
        self.len += 1;
        self.queue(slot).push_back(id);
    }

    pub(super) fn put_back(&mut self, slot: usize, id: CallId) {
        self.len += 1;
        self.queue(slot).push_front(id);
    }

    fn pop(&mut self, slot: usize) {
        self.len -= usize::from(self.queue(slot).pop_front().is_some());
    }

    pub(super) fn remove(&mut self, slot: usize, id: CallId) {
        let queue = self.queue(slot);
        if let Some(at) = queue.iter().position(|&other| other == id) {
            queue.remove(at);
            self.len -= 1;
        }
    }

    /// The slots for whose workers any wait.
    fn slots(&self) -> impl Iterator<Item = usize> {
        let queues = self.queues.iter().enumerate();
        queues
            .filter(|(_, queue)| !queue.is_empty())
            .map(|(slot, _)| slot)
    }

    fn take(&mut self, slot: usize) -> VecDeque<CallId> {
        let queue = std::mem::take(self.queue(slot));
        self.len -= queue.len();
        queue
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = CallId> {
        self.queues.iter().flatten().copied()
    }
}

impl Scheduler {
    /// Takes a call for the worker in `slot`, with one reference to it. The gate was looked at before.
    pub(crate) fn submit_bound(
        &mut self,
        slot: usize,
        task: TaskId,
        arguments: Parcel,
        terms: &Terms,
    ) -> CallId {
        let id = self.calls.insert(task, arguments, 2);
        self.calls.get_mut(id).binding = Binding::to_slot(slot);
        // None of the others is for this worker alone.
        let terms = Terms {
            priority: 0,
            ..*terms
        };
        self.calls.set_terms(id, &terms);
        self.outstanding += 1;
        self.bound.push(slot, id);
        id
    }

    /// The slots of the workers that there are, and of those that will come although nobody may need
    /// them.
    pub(crate) fn kept_slots(&self) -> Vec<usize> {
        let serves = |slot: &usize| {
            let member = self.members.get(*slot).and_then(Option::as_ref);
            member.is_some_and(Member::is_in_service)
        };
        let mut slots: Vec<_> = (0..self.members.len()).filter(serves).collect();
        let missing = self.staff.size.least().saturating_sub(slots.len());
        slots.extend((0..).filter(|slot| !serves(slot)).take(missing));
        slots.sort_unstable();
        slots
    }

    /// Empty slots for whose next workers calls wait.
    pub(super) fn awaited_slots(&self) -> impl Iterator<Item = usize> {
        let is_empty = |slot: &usize| self.members.get(*slot).is_none_or(Option::is_none);
        self.bound.slots().filter(is_empty)
    }

    /// Lets calls go to any worker that wait for one which will not come, as there can be no more.
    fn unbind_hopeless(&mut self) {
        if self.may_grow() {
            return;
        }
        for slot in self.awaited_slots().collect::<Vec<_>>() {
            for id in self.bound.take(slot) {
                self.calls.get_mut(id).binding = Binding::Anywhere;
                self.requeue(vec![id], Turn::Had);
                self.calls.release(id);
            }
        }
    }

    /// Whether the worker in `slot` takes calls that are for any: not while one waits that is for it
    /// alone.
    #[inline]
    pub(super) fn takes_any(&self, slot: usize, member: &Member) -> bool {
        member.takes_calls() && !self.bound.any(slot)
    }

    /// Deals calls to the workers that they are for, once these have nothing else to do: so what waits
    /// behind another call can always be moved.
    pub(super) fn deal_bound(&mut self) {
        self.unbind_hopeless();
        for slot in 0..self.members.len() {
            while let Some(&id) = self.bound.queue(slot).front()
                && let Some(member) = self.members[slot].as_mut()
                && member.takes_bound_calls()
                && member.is_idle()
                && deal::offer(&mut self.calls, member, slot, id)
            {
                self.bound.pop(slot);
                self.calls.release(id);
            }
        }
    }
}
