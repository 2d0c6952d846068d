//! Dealing: how many calls each worker gets ahead, and who gets the next one.

use std::time::Duration;

use super::Scheduler;
use crate::member::Member;

/// How much work a worker is dealt ahead.
const RING_TIME: Duration = Duration::from_millis(1);
/// The most calls that a worker is dealt ahead.
const MAX_DEPTH: usize = 1024;
/// Work that a worker has before it below this time is not worth taking to another one.
const NOT_WORTH_MOVING: Duration = Duration::from_micros(50);
/// What waking a worker costs, roughly.
const WAKING: Duration = Duration::from_micros(10);

impl Scheduler {
    /// Deals calls from the backlog to the workers that have room for them.
    pub(crate) fn deal(&mut self) {
        for member in self.members.iter_mut().flatten() {
            member.send_more();
        }
        self.deal_backlog();
        if self.queued() == 0 && self.rebalance() {
            self.deal_backlog();
        }
        for member in self.members.iter_mut().flatten() {
            member.wake_if_touched();
        }
    }

    fn deal_backlog(&mut self) {
        let mut full = Vec::new();
        while self.queued() > 0 {
            let Some(slot) = self.least_loaded(&full) else {
                break;
            };
            if !self.deal_share(slot) {
                full.push(slot);
            }
        }
        if self.queued() == 0 {
            self.backlog.clear();
            self.stale = 0;
        }
    }

    /// The worker with the fewest calls that takes another one. For calls that come one at a time,
    /// one that is awake and soon done comes first: it is quicker than waking another.
    fn least_loaded(&self, full: &[usize]) -> Option<usize> {
        let few = self.queued() < self.members.len();
        self.members
            .iter()
            .enumerate()
            .filter_map(|(slot, member)| Some((slot, member.as_ref()?)))
            .filter(|(slot, member)| {
                member.takes_calls() && member.live() < depth(member) && !full.contains(slot)
            })
            .min_by_key(|(_, member)| (few && !is_at_hand(member), member.live()))
            .map(|(slot, _)| slot)
    }

    /// Deals a fair share of the backlog to the worker in `slot`; `false` if its ring is full.
    fn deal_share(&mut self, slot: usize) -> bool {
        let fair = self.queued() / self.members.len();
        let Some(member) = self.members[slot].as_mut() else {
            return false;
        };
        // The worker may have told another pace since it was chosen.
        let room = depth(member).saturating_sub(member.live());
        for _ in 0..fair.clamp(1, room.max(1)) {
            let Some(call) = self.backlog.pop_front() else {
                break;
            };
            if call.completion.is_done() {
                self.stale -= 1;
                continue;
            }
            if let Err(call) = member.offer(slot, call) {
                self.backlog.push_front(call);
                return false;
            }
            if member.is_streaming() {
                break;
            }
        }
        true
    }

    /// Takes calls that have not begun back from a busy worker if another one is idle.
    fn rebalance(&mut self) -> bool {
        if !self
            .members()
            .any(|member| member.takes_calls() && member.live() == 0)
        {
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
        if member
            .work_left()
            .is_some_and(|left| left < NOT_WORTH_MOVING)
        {
            return false;
        }
        self.take_back(victim, half)
    }

    fn load(&self, slot: usize) -> usize {
        self.members[slot].as_ref().map_or(0, Member::live)
    }

    /// Whether a worker has calls that another one, idle, could run.
    pub(crate) fn is_unbalanced(&self) -> bool {
        self.members()
            .any(|member| member.takes_calls() && member.live() == 0)
            && self.members().any(|member| member.live() > 1)
    }
}

/// Whether the worker is awake and has next to nothing before it. One that has not answered for a
/// while may be in a long call, whatever its pace was.
fn is_at_hand(member: &Member) -> bool {
    let work_left = member.work_left();
    member.is_awake() && (member.is_idle() || work_left.is_some_and(|work| work < WAKING))
}

/// How many calls the worker may have before it.
fn depth(member: &Member) -> usize {
    member.pace().map_or(1, |pace| {
        let calls = RING_TIME.as_nanos() / pace.as_nanos().max(1);
        usize::try_from(calls)
            .unwrap_or(MAX_DEPTH)
            .clamp(1, MAX_DEPTH)
    })
}
