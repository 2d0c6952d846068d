//! Workers that have too much memory, and calls that take too much processor time.

use super::Scheduler;
use crate::member::{Begun, Member, Sentence};
use crate::memory::Excess;
use crate::terms::Overuse;

impl Scheduler {
    /// Ends a worker that was seen with too much memory while it ran this call, or none, unless it is at
    /// something else by now: after a call it sees itself what is left.
    pub(crate) fn end_excess(&mut self, number: u64, begun: Option<Begun>, excess: Excess) {
        let Some((slot, member)) = self.find(number) else {
            return;
        };
        if member.begun() != begun {
            return;
        }
        match begun {
            // A new one tells of itself.
            None if member.has_served() => self.retire_full(slot),
            None => {}
            // Its last call is not to blame for what others left.
            Some(begun) if begun.is_own && member.is_full() => {}
            Some(Begun { id, .. }) => {
                self.stop_running(id, |member| member.kill(Sentence::OverMemory(excess)));
            }
        }
    }

    /// Stops this call, if the worker of this number still runs it.
    pub(crate) fn end_overuse(&mut self, number: u64, begun: Begun, overuse: Overuse) {
        if let Some((_, member)) = self.find(number)
            && member.begun() == Some(begun)
        {
            self.stop_running(begun.id, |member| member.kill(Sentence::Overused(overuse)));
        }
    }

    /// Has a worker replaced for the memory that it has between calls.
    pub(crate) fn retire_full(&mut self, slot: usize) {
        if let Some(member) = self.member(slot) {
            member.be_full();
        }
        self.retire(slot);
    }

    /// The numbers of all workers that exist, their processes, and what they have begun.
    pub(crate) fn workers_begun(&mut self) -> Vec<(u64, u32, Option<Begun>)> {
        let of = |member: &mut Member| Some((member.number, member.pid?, member.begun()));
        self.members.iter_mut().flatten().filter_map(of).collect()
    }

    /// Notes that the supervising thread looks at what workers take, if any is busy; whether any
    /// is. If none is, it has to be woken when one comes to be.
    pub(crate) fn begin_weighing(&mut self) -> bool {
        self.looks.weighing = self.is_busy();
        self.looks.weighing
    }

    /// Whether the supervising thread has to be woken to look at the memory of workers.
    #[inline]
    pub(crate) fn is_to_be_weighed(&self) -> bool {
        !self.looks.weighing && self.is_busy()
    }

    /// Whether a worker has calls.
    #[inline]
    pub(super) fn is_busy(&self) -> bool {
        self.members().any(|member| !member.is_idle())
    }
}
