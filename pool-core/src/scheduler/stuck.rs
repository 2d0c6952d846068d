//! Workers that have calls and begin none, or take no errand.

use super::Scheduler;
use crate::member::{Member, Sentence, Unbegun, Unclaimed};

impl Scheduler {
    /// Notes that the supervising thread looks whether workers begin their calls, if any may have to be
    /// waited for; whether any may. If none, it has to be woken when one comes to be.
    pub(crate) fn begin_minding(&mut self) -> bool {
        self.members.iter_mut().flatten().for_each(Member::check);
        let is_behind = |member: &Member| member.control.stuck_at().is_some();
        self.looks.minding = self.may_be_stuck() || self.members().any(is_behind);
        self.looks.minding
    }

    /// Whether the supervising thread has to be woken to look whether workers begin their calls.
    #[inline]
    pub(crate) fn is_to_be_minded(&mut self) -> bool {
        !self.looks.minding && self.may_be_stuck()
    }

    fn may_be_stuck(&mut self) -> bool {
        self.members.iter_mut().flatten().any(Member::may_be_stuck)
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
