//! Dealing: how many calls each worker gets ahead, and who gets the next one.

use std::time::Duration;

use pool_worker::channel::Inline;
use pool_worker::fault::{self, Site};
use pool_worker::registry::TaskId;

use super::Scheduler;
use super::backlog::Submitter;
use crate::calls::{CallId, Calls, Place};
use crate::member::{Member, Unbegun};
use crate::sys;

/// How much work a worker is dealt ahead.
const RING_TIME: Duration = Duration::from_millis(1);
/// The same while calls have priorities.
const RANKED_RING_TIME: Duration = Duration::from_micros(100);
/// The most calls that a worker is dealt ahead.
const MAX_DEPTH: usize = 1024;
/// How much work a worker is dealt before it is looked again at which worker is next.
const DEAL_TIME: Duration = Duration::from_micros(16);
/// What it costs to have a worker woken that sleeps: less work than this is not worth it.
const WAKING: Duration = Duration::from_micros(50);
/// Work that a worker has before it below this time is not worth taking to another one.
const NOT_WORTH_MOVING: Duration = Duration::from_micros(100);

/// So many calls in a row for the worker in this slot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    slot: usize,
    left: usize,
}

impl Scheduler {
    /// Has a worker dealt no call from now on before it has answered the last one.
    pub(crate) fn deal_one_by_one(&mut self) {
        self.most_ahead = 1;
    }

    /// Notes what time it is, for all that is done until this is called again.
    pub(crate) fn look_at_clock(&mut self) {
        let now = sys::now();
        for member in self.members.iter_mut().flatten() {
            member.look_at_clock(now);
        }
    }

    /// Deals calls from the backlog to the workers that have room for them.
    pub(crate) fn deal(&mut self) {
        for member in self.members.iter_mut().flatten() {
            member.send_more(&self.calls);
        }
        if self.calls.are_ranked() {
            self.relieve_stuck();
        }
        if self.bound.len() > 0 {
            self.deal_bound();
        }
        self.deal_backlog();
        if self.queued() == 0 && self.rebalance() {
            self.deal_backlog();
        }
        self.wake();
    }

    /// Wakes the workers that sleep and for which something has changed.
    pub(crate) fn wake(&mut self) {
        for member in self.members.iter_mut().flatten() {
            member.wake_if_touched();
        }
    }

    fn deal_backlog(&mut self) {
        let mut full = Vec::new();
        while self.queued() > 0 {
            let Some(share) = self.share(self.queued(), &full) else {
                break;
            };
            let slot = share.slot;
            if !self.deal_share(share) {
                full.push(slot);
            }
        }
        while let Some(id) = self.backlog.front()
            && self.calls.get(id).is_done()
        {
            self.backlog.drop_front();
            self.calls.release(id);
        }
    }

    /// What is to be dealt next, of so many calls, and to whom; nothing if no worker takes one.
    fn share(&self, calls: usize, full: &[usize]) -> Option<Share> {
        let slot = self.soonest(full)?;
        if calls == 1 {
            return Some(Share { slot, left: 1 });
        }
        let member = self.members[slot].as_ref()?;
        // The worker may have told another pace since it was chosen.
        let room = self.depth(member).saturating_sub(member.live());
        let room = room.min(member.calls_allowed());
        let fair = calls / self.present();
        let left = fair.min(calls_in(DEAL_TIME, member));
        Some(Share {
            slot,
            left: left.clamp(1, room.max(1)),
        })
    }

    /// Takes one of several short calls in a row, of which so many are `left`, with one reference to it:
    /// [`submit`](Self::submit) without a stay in the backlog, where no call waits there. It is dealt as a
    /// part of `share`, which lasts as long as the lock is held.
    #[inline]
    pub(crate) fn submit_at_once(
        &mut self,
        task: TaskId,
        arguments: Inline,
        left: usize,
        share: &mut Share,
    ) -> CallId {
        let id = self.calls.insert_inline(task, arguments);
        self.outstanding += 1;
        let first = self.backlog.len() == 0 && !self.calls.are_ranked();
        if first && share.left == 0 {
            *share = self.share(left, &[]).unwrap_or_default();
            self.backlog.is_passed();
        }
        if first
            && share.left > 0
            && let Some(member) = self.members[share.slot].as_mut()
            && let Some(seq) = member.offer_inline(id, task, arguments)
        {
            fault::at(Site::Places);
            self.calls.get_mut(id).place = Some(Place::new(share.slot, seq));
            share.left -= 1;
        } else {
            self.calls.retain(id);
            self.backlog.push(id, 0, Submitter::this_thread());
        }
        id
    }

    /// The worker that would begin another call soonest, of those that take one.
    fn soonest(&self, full: &[usize]) -> Option<usize> {
        self.members
            .iter()
            .enumerate()
            .filter_map(|(slot, member)| Some((slot, member.as_ref()?)))
            .filter(|(slot, member)| {
                self.takes_any(*slot, member)
                    && (member.is_idle() || member.live() < self.depth(member))
                    && !full.contains(slot)
            })
            .min_by_key(|(_, member)| (delay(member), member.live()))
            .map(|(slot, _)| slot)
    }

    /// Deals a share of the backlog; `false` if the worker's ring is full.
    fn deal_share(&mut self, Share { slot, left }: Share) -> bool {
        let Some(member) = self.members[slot].as_mut() else {
            return false;
        };
        for _ in 0..left {
            let Some(id) = self.backlog.front() else {
                return false;
            };
            if self.calls.get(id).is_done() {
                self.backlog.drop_front();
                self.calls.release(id);
                continue;
            }
            if !offer(&mut self.calls, member, slot, id) {
                return false;
            }
            self.backlog.pop_front();
            self.calls.release(id);
            if member.is_streaming() {
                break;
            }
        }
        true
    }

    /// Takes calls that have not begun back from a busy worker if another one is idle.
    fn rebalance(&mut self) -> bool {
        if !self.has_loaded() || !self.has_idle() {
            return false;
        }
        let loaded = (0..self.members.len()).filter(|&slot| self.load(slot) > 1);
        let Some(victim) = loaded.max_by_key(|&slot| self.load(slot)) else {
            return false;
        };
        let half = self.load(victim) / 2;
        let Some(member) = self.member(victim) else {
            return false;
        };
        if !is_worth_moving(member) {
            return false;
        }
        self.take_back(victim, Unbegun::Spare(half))
    }

    /// Where priorities matter, no call waits behind one that takes long, and that others may be more
    /// urgent than.
    fn relieve_stuck(&mut self) {
        for slot in 0..self.members.len() {
            let stuck = |member: &Member| member.live() > 1 && member.work_left().is_none();
            if self.members[slot].as_ref().is_some_and(stuck) {
                self.take_back(slot, Unbegun::Spare(usize::MAX));
            }
        }
    }

    /// Whether a worker has nothing to do, and takes calls.
    fn has_idle(&self) -> bool {
        let is_idle = |(slot, member): (usize, &Option<Member>)| {
            let idle = member.as_ref().filter(|member| member.is_idle());
            idle.is_some_and(|member| self.takes_any(slot, member))
        };
        self.members.iter().enumerate().any(is_idle)
    }

    /// Whether a worker has more than it runs.
    fn has_loaded(&self) -> bool {
        self.members().any(|member| member.live() > 1)
    }

    fn depth(&self, member: &Member) -> usize {
        depth(member, self.calls.are_ranked()).min(self.most_ahead)
    }

    fn load(&self, slot: usize) -> usize {
        self.members[slot].as_ref().map_or(0, Member::live)
    }

    /// Whether a worker has calls that another one could run which is idle, or may come to be so
    /// without a word.
    pub(crate) fn is_unbalanced(&self) -> bool {
        let may_move = self.may_grow() && self.to_watch
            || self.members.len() > 1 && (self.to_watch || self.has_idle());
        (may_move || self.calls.are_ranked()) && self.has_loaded()
    }
}

/// Places a call in a worker's ring; `false` if there is no room for it, or it is done.
#[inline]
pub(super) fn offer(calls: &mut Calls, member: &mut Member, slot: usize, id: CallId) -> bool {
    let notice = calls.course(id).map(|(course, _)| course.notice());
    let call = calls.get(id);
    let Some((task, arguments)) = call.pending() else {
        return false;
    };
    let Some(seq) = member.offer(id, task, arguments, call.binding, notice) else {
        return false;
    };
    fault::at(Site::Places);
    calls.get_mut(id).place = Some(Place::new(slot, seq));
    if let Some((course, alarms)) = calls.course(id) {
        alarms.add_running(course.place(sys::monotonic()));
    }
    true
}

/// Whether it pays to have another worker run what this one has before it, as far as can be told.
pub(super) fn is_worth_moving(member: &Member) -> bool {
    member
        .work_left()
        .is_none_or(|left| left >= NOT_WORTH_MOVING)
}

/// How long the worker would take to begin another call, roughly. One that has not answered for a
/// while may be in a long call, whatever its pace was.
fn delay(member: &Member) -> Duration {
    let waking = if member.is_awake() {
        Duration::ZERO
    } else {
        WAKING
    };
    waking + member.work_left().unwrap_or(RING_TIME)
}

/// How many calls the worker may have before it: few where calls may come that are more urgent, and
/// none behind one that takes long.
fn depth(member: &Member, ranked: bool) -> usize {
    match ranked {
        false => calls_in(RING_TIME, member),
        true if member.work_left().is_none() => 1,
        true => calls_in(RANKED_RING_TIME, member),
    }
}

/// How many calls the worker can be expected to run in a time, and at least one.
fn calls_in(time: Duration, member: &Member) -> usize {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    member.pace().map_or(1, |pace| {
        let calls = nanoseconds(time) / nanoseconds(pace).max(1);
        usize::try_from(calls)
            .unwrap_or(MAX_DEPTH)
            .clamp(1, MAX_DEPTH)
    })
}
