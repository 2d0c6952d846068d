//! Settling: of what each worker is to tell, so that nothing is missed when nobody looks.

use pool_worker::channel::events;
use pool_worker::fault::{self, Site};

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
        let (mut to_relieve, mut last_to_relieve) = (0, None);
        self.to_watch = false;
        for (slot, member) in present(&mut self.members).filter(|(_, member)| member.live() > 1) {
            let pays = deal::is_worth_moving(member);
            if pays {
                to_relieve += 1;
                last_to_relieve = Some(slot);
            }
            // Nobody is sought for what is known to be short.
            self.to_watch |= !pays || may_grow && member.work_left().is_some();
        }
        let mut again = false;
        for (slot, member) in present(&mut self.members) {
            let hungry = hungry || self.bound.any(slot);
            let others = to_relieve > usize::from(last_to_relieve == Some(slot));
            let something = sharing || idle_go || others || !member.serves();
            again |= member.settle(wanted(member, hungry, urgent, something));
        }
        again
    }
}

/// The workers that there are, each with its slot.
fn present(members: &mut [Option<Member>]) -> impl Iterator<Item = (usize, &mut Member)> {
    let slots = members.iter_mut().enumerate();
    slots.filter_map(|(slot, member)| Some((slot, member.as_mut()?)))
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
