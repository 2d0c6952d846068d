//! Calls that are for one worker, or for whichever takes its place: they wait until it has room.

use std::collections::VecDeque;

use pool_worker::registry::TaskId;

use super::{Scheduler, deal};
use crate::call::Parcel;
use crate::calls::{Binding, CallId};
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

    pub(super) fn remove(&mut self, id: CallId) {
        for queue in &mut self.queues {
            queue.retain(|&other| other != id);
        }
        self.len = self.queues.iter().map(VecDeque::len).sum();
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
        self.calls.get_mut(id).binding = Binding::Slot;
        self.calls.set_terms(id, terms);
        self.outstanding += 1;
        self.bound.push(slot, id);
        id
    }

    /// Deals calls to the workers that they are for.
    pub(super) fn deal_bound(&mut self) {
        for slot in 0..self.members.len() {
            while let Some(&id) = self.bound.queue(slot).front()
                && let Some(member) = self.members[slot].as_mut()
                && member.takes_calls()
                && deal::offer(&mut self.calls, member, slot, id)
            {
                self.bound.pop(slot);
                self.calls.release(id);
            }
        }
    }
}
