//! Calls that leave a worker which has not begun them.

use super::Scheduler;
use super::backlog::Turn;
use crate::calls::CallId;
use crate::member::Unbegun;

impl Scheduler {
    /// Whoever sleeps on this worker has to look again: a call of its window went elsewhere, or is done.
    pub(super) fn moved(&mut self, slot: usize) {
        if let Some(member) = self.member(slot) {
            member.ring_attendant();
        }
    }

    /// Puts calls that a worker has not begun back to where they waited; whether there were any.
    pub(super) fn take_back(&mut self, slot: usize, which: Unbegun) -> bool {
        let taken = self
            .member(slot)
            .map_or_else(Vec::new, |member| member.take_back(which));
        if !taken.is_empty() {
            self.moved(slot);
        }
        self.requeue(taken, Turn::Undone)
    }

    /// Puts calls that were placed, in their order, before all that wait.
    pub(super) fn requeue(&mut self, calls: Vec<CallId>, turn: Turn) -> bool {
        let any = !calls.is_empty();
        for id in calls.into_iter().rev() {
            let call = self.calls.get_mut(id);
            let bound = call.binding.slot();
            call.place = None;
            self.calls.retain(id);
            let mut priority = 0;
            if let Some((course, alarms)) = self.calls.course(id) {
                priority = course.terms.priority;
                // Nobody has looked at it while it was with nobody.
                alarms.add_deadline(course.deadline());
            }
            match bound {
                Some(slot) => self.bound.put_back(slot, id),
                None => self.backlog.put_back(id, priority, turn),
            }
        }
        any
    }
}
