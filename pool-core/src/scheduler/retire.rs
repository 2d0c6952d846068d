//! Workers that have done enough.

use super::Scheduler;
use crate::member::{Member, Unbegun};

impl Scheduler {
    /// Has a worker given no more calls; what it has not begun goes to others.
    pub(crate) fn retire(&mut self, slot: usize) {
        if let Some(member) = self.member(slot) {
            member.end_tenure();
            self.take_back(slot, Unbegun::All);
        }
    }

    /// Whether there are workers whose end is to be seen to.
    pub(crate) fn has_left_off(&self) -> bool {
        self.members().any(Member::has_left_off)
    }
}
