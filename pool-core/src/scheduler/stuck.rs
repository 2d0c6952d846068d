//! Workers that have calls and begin none, take no errand, or ring nobody.

use std::mem;

use super::Scheduler;
use crate::member::{Member, Sentence, Unbegun, Unclaimed};

impl Scheduler {
    /// Notes that the supervising thread looks every now and then what workers do about their calls, if any
    /// has some, or somebody sleeps on one whose calls another thread has seen the end of; whether it does.
    /// If not, it has to be woken when a worker comes to have calls, which is not to be at each of many with
    /// pauses between them: so it looks as well if some have returned since it did last.
    pub(crate) fn begin_minding(&mut self) -> bool {
        self.members.iter_mut().flatten().for_each(Member::check);
        let is_behind = |member: &Member| member.control.stuck_at().is_some();
        let before = mem::replace(&mut self.looks.returned, self.tally.completed);
        self.looks.minding = self.is_busy()
            || self.looks.returned != before
            || self.members().any(Member::is_attended)
            || self.members().any(is_behind);
        self.looks.minding
    }

    /// Whether the supervising thread has to be woken to look what workers do about their calls.
    #[inline]
    pub(crate) fn is_to_be_minded(&self) -> bool {
        !self.looks.minding && self.is_busy()
    }

    /// Has those look for themselves who sleep on a worker: it may have written over its bell, or been
    /// stopped before it rang.
    pub(crate) fn ring_attendants(&self) {
        self.members().for_each(Member::ring_attendant);
    }

    /// The calls that workers would have to begin now.
    pub(crate) fn unclaimed(&mut self) -> Vec<Unclaimed> {
        let members = self.members.iter_mut().flatten();
        members.filter_map(Member::unclaimed).collect()
    }

    /// Gives the calls of a worker to others, which has not begun this one, and has it killed; neither if it
    /// has begun it by now, or has it no more.
    pub(crate) fn end_stuck(&mut self, unclaimed: Unclaimed) {
        let found = self.find(unclaimed.worker);
        let still = found.and_then(|(slot, member)| {
            let is_stuck =
                member.sentence == Sentence::None && member.unclaimed() == Some(unclaimed);
            is_stuck.then_some(slot)
        });
        let Some(slot) = still else {
            return;
        };
        self.take_back(slot, Unbegun::All);
        // Before answers are taken in: one that has begun it in this very moment may have answered, too.
        let begun = self.member(slot).and_then(Member::begun);
        self.collect(slot);
        if let Some(member) = self.member(slot)
            && begun.is_none()
        {
            member.kill(Sentence::Violation(
                "it did not take what it had to take for a second",
            ));
        }
    }
}
