//! How many workers there are to be.
//!
//! Never more than the executor's size. As many as are kept are there even if they have nothing to
//! do; between the two, as many as calls wait for, who find no worker that is idle, or about to be
//! born. The supervising thread asks [`openings`](Scheduler::openings) how many it has to seek, and
//! whoever leaves calls waiting wakes it if that is more than it knows of.
//!
//! A size that shrinks makes workers *surplus*: they are given no more calls, and end once they have
//! run what they have begun. Until then they can be kept after all, where the size grows again or
//! others die.

use std::time::Duration;

use super::Scheduler;
use crate::member::{Member, Unbegun};

/// How many workers an executor is to have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// As many can be there.
    pub(crate) most: usize,
    /// As many are kept whether or not they have anything to do, or `most` if that is less.
    pub(crate) least: usize,
    /// After how long an idle worker ends, if more are there than are kept.
    pub(crate) idle_timeout: Option<Duration>,
}

impl Size {
    /// So many workers, all the time.
    pub(crate) fn fixed(workers: usize) -> Self {
        Self {
            most: workers,
            least: usize::MAX,
            idle_timeout: None,
        }
    }

    pub(super) fn least(&self) -> usize {
        self.least.min(self.most)
    }
}

/// How many workers there are, and are sought.
#[derive(Debug)]
pub(super) struct Staff {
    pub(super) size: Size,
    /// Workers that are there, on their way to life or to their end, too.
    pub(super) present: usize,
    /// Workers that the supervising thread knows it has to seek.
    sought: usize,
    /// Some workers may be surplus.
    trimmed: bool,
    /// The supervising thread looks for idle workers by itself, in time.
    pub(super) looks_for_idle: bool,
}

impl Staff {
    pub(super) fn of(size: Size) -> Self {
        Self {
            size,
            present: 0,
            sought: 0,
            trimmed: false,
            looks_for_idle: false,
        }
    }
}

impl Scheduler {
    /// The most workers that there can be.
    pub(crate) fn size(&self) -> usize {
        self.staff.size.most
    }

    /// How many workers there are.
    pub(crate) fn present(&self) -> usize {
        self.staff.present
    }

    /// Has at most so many workers from now on, and keeps those that run something before others.
    pub(crate) fn resize(&mut self, workers: usize) {
        self.staff.size.most = workers;
        self.trim();
    }

    /// A slot for a new worker: one whose next worker is waited for, else the first one that has none.
    pub(crate) fn vacant_slot(&self) -> usize {
        let awaited = self.awaited_slots().next();
        let vacant = || self.members.iter().position(Option::is_none);
        awaited.or_else(vacant).unwrap_or(self.members.len())
    }

    /// Takes a new worker into an empty slot.
    pub(crate) fn admit(&mut self, slot: usize, member: Member) {
        if slot >= self.members.len() {
            self.members.resize_with(slot + 1, || None);
        }
        self.members[slot] = Some(member);
        self.staff.present += 1;
        self.let_spin();
        // The size may have shrunk since it was asked for.
        self.trim();
    }

    /// Takes a worker out of its slot.
    pub(super) fn vacate(&mut self, slot: usize) -> Option<Member> {
        let member = self.members.get_mut(slot)?.take()?;
        self.staff.present -= 1;
        while let Some(None) = self.members.last() {
            self.members.pop();
        }
        self.trim();
        if self.openings() == 0 {
            // Nobody takes its place.
            self.let_spin();
        }
        Some(member)
    }

    /// Takes all workers out.
    pub(super) fn vacate_all(&mut self) -> Vec<Member> {
        self.staff.present = 0;
        std::mem::take(&mut self.members)
            .into_iter()
            .flatten()
            .collect()
    }

    /// Has as many workers look for calls without sleep as may.
    fn let_spin(&mut self) {
        let spinning = self.members().filter(|member| member.may_spin()).count();
        let others = self.members.iter_mut().flatten();
        others
            .filter(|member| !member.may_spin())
            .take(self.spinners.saturating_sub(spinning))
            .for_each(Member::allow_spinning);
    }

    /// Whether there can be more workers than there are.
    #[inline]
    pub(super) fn may_grow(&self) -> bool {
        self.staff.present < self.staff.size.most
    }

    /// How many workers are to be sought.
    pub(crate) fn openings(&self) -> usize {
        if !self.may_grow() {
            return 0;
        }
        let Size { most, .. } = self.staff.size;
        let present = self.staff.present;
        let missing = self.staff.size.least().saturating_sub(present);
        let free = self.members().filter(|member| member.will_be_free());
        // Behind a call that is known to be short nobody waits for long.
        let behind = self
            .members()
            .filter(|member| member.work_left().is_none())
            .map(|member| member.live().saturating_sub(1));
        let waiting = self.queued() + behind.sum::<usize>();
        let called_for = waiting.saturating_sub(free.count()) + self.awaited_slots().count();
        missing.max(called_for).min(most - present)
    }

    /// Whether more workers are to be sought than the supervising thread knows of.
    #[inline]
    pub(crate) fn lacks_workers(&self) -> bool {
        self.may_grow() && self.openings() > self.staff.sought
    }

    /// The supervising thread seeks so many.
    pub(crate) fn seek(&mut self, workers: usize) {
        self.staff.sought = workers;
    }

    /// Has those workers leave that are too many, and keeps all others: those that run something
    /// before those that are idle, and those before others that have not come to life.
    fn trim(&mut self) {
        let most = self.staff.size.most;
        if !self.staff.trimmed && self.staff.present <= most {
            return;
        }
        let rank = |(slot, member): (usize, &Option<Member>)| {
            let member = member.as_ref().filter(|member| member.may_stay())?;
            let is_alive = member.ready && member.pid.is_some();
            Some((!is_alive, member.is_idle(), slot))
        };
        let mut ranks: Vec<_> = self.members.iter().enumerate().filter_map(rank).collect();
        ranks.sort_unstable();
        for (index, &(.., slot)) in ranks.iter().enumerate() {
            if let Some(member) = self.member(slot) {
                member.be_surplus(index >= most);
            }
            if index >= most {
                // What is for this very worker is still its own.
                self.take_back(slot, Unbegun::Spare(usize::MAX));
            }
        }
        self.staff.trimmed = ranks.len() > most;
    }
}
