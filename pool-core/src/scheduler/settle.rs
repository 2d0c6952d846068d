//! Settling: of what each worker is to tell, so that nothing is missed when nobody looks.

use pool_worker::channel::events;
use pool_worker::fault::{self, Site};
use smallvec::SmallVec;

use super::{Scheduler, deal};
use crate::gate::Gate;
use crate::member::Member;

impl Scheduler {
    /// Whether anybody waits for a call beside those who attend a worker.
    pub(crate) fn has_waiters(&self) -> bool {
        self.waiting > 0
    }

    /// Arms each worker's bell with what the executor has to hear of.
    pub(crate) fn settle(&mut self) -> bool {
        fault::at(Site::Settles);
        let hungry = self.queued() > 0;
        let urgent = self.waiting > 0 || !matches!(self.gate, Gate::Open);
        let sharing = self.calls.are_sharing();
        let may_grow = self.may_grow();
        let idle_go = self.may_let_idle_go();
        let mut to_relieve = 0;
        self.to_watch = false;
        let relieve: SmallVec<[bool; 64]> = self
            .members
            .iter()
            .map(|member| {
                let spare = member.as_ref().filter(|member| member.live() > 1);
                let pays = spare.is_some_and(deal::is_worth_moving);
                // Nobody is sought for what is known to be short.
                let is_short = |member: &Member| member.work_left().is_some();
                self.to_watch |= spare.is_some_and(|member| !pays || may_grow && is_short(member));
                to_relieve += usize::from(pays);
                pays
            })
            .collect();
        let mut again = false;
        for (slot, (member, relieve)) in self.members.iter_mut().zip(relieve).enumerate() {
            if let Some(member) = member {
                let hungry = hungry || self.bound.any(slot);
                let something =
                    sharing || idle_go || to_relieve > usize::from(relieve) || !member.serves();
                again |= member.settle(wanted(member, hungry, urgent, something));
            }
        }
        again
    }
}

/// The events that the executor has to hear of from this worker: `hungry` if calls wait to be dealt,
/// `urgent` if somebody waits for an answer, and that it is idle if there is something to do then:
/// calls of others to run, shared values to let go of, its end to be seen to, now or after a while.
fn wanted(member: &Member, hungry: bool, urgent: bool, something: bool) -> u32 {
    // An idle worker may have to get over calls that were taken back before there is room.
    if member.is_idle() && !hungry {
        return 0;
    }
    let answer = if urgent { events::ANSWER } else { 0 };
    let idle = if hungry || urgent || something {
        events::IDLE
    } else {
        0
    };
    idle | answer | member.flow(hungry)
}
