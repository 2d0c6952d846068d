//! The calls that wait for a worker to have room, and which of them is next.
//!
//! Those of a higher priority come first; but of [`PATIENCE`] calls one is of a lower priority, so that
//! none waits for ever. Within a priority the threads that submitted take turns, so that one which
//! submits much keeps no other waiting; and of a thread's calls the first comes first. What was with a
//! worker before comes before all others of its priority.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::ptr;

use crate::calls::CallId;

#[cfg(test)]
mod tests;

/// How many calls in a row are of the highest priority while others wait.
const PATIENCE: u32 = 15;
/// How many turns before higher ones are remembered, for calls that may be put back.
const KEPT_FAVOURS: usize = 64;
/// As many threads are remembered although nothing of theirs waits.
const KEPT_LANES: usize = 8;

/// A thread that submits, as told from others: those that have ended may be confused with later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Submitter(usize);

impl Submitter {
    /// This thread.
    #[inline]
    pub(super) fn this_thread() -> Self {
        thread_local!(static PLACE: u8 = const { 0 });
        Self(PLACE.with(|place| ptr::from_ref(place).addr()))
    }
}

/// What becomes of the turn of a call that is put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It had it.
    Had,
    /// It did not come to it, as it was taken back: it has passed nobody, and is before higher ones again
    /// if it was. Else calls that go back and forth would change what is next.
    Undone,
}

/// All calls that wait.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// The calls of priority 0: as a rule, all.
    plain: Rank,
    /// Those of other priorities, none of them empty.
    ranked: BTreeMap<Reverse<i32>, Rank>,
    len: usize,
    /// How many of them are done, as they were cancelled.
    stale: usize,
    /// How many of the highest priority were taken since one of another was, which waits.
    passed: u32,
    /// The last priority that had its turn although it was not the highest.
    favoured: i32,
    /// Calls that had such turns of late.
    favours: VecDeque<CallId>,
}

/// The calls of one priority.
#[derive(Debug, Default)]
struct Rank {
    len: usize,
    /// Those that were with a worker.
    returned: VecDeque<CallId>,
    lanes: Vec<Lane>,
    /// Whose turn it is.
    turn: usize,
}

/// The calls of one thread.
#[derive(Debug)]
struct Lane {
    submitter: Submitter,
    calls: VecDeque<CallId>,
}

impl Backlog {
    /// How many calls wait.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len - self.stale
    }

    /// Adds a new call.
    #[inline]
    pub(super) fn push(&mut self, id: CallId, priority: i32, submitter: Submitter) {
        self.len += 1;
        self.rank(priority).push(id, submitter);
    }

    /// Puts a call back, before all others of its priority.
    pub(super) fn put_back(&mut self, id: CallId, priority: i32, turn: Turn) {
        self.len += 1;
        let rank = self.rank(priority);
        rank.len += 1;
        rank.returned.push_front(id);
        if turn == Turn::Undone && self.forget_favour(id) {
            self.favoured = priority.saturating_add(1);
            self.passed = PATIENCE;
        } else if turn == Turn::Undone && self.highest(None) == Some(priority) {
            self.passed = self.passed.saturating_sub(1);
        }
    }

    /// The next call, which may be done.
    #[inline]
    pub(super) fn front(&mut self) -> Option<CallId> {
        if self.len == 0 {
            return None;
        }
        let priority = self.next_priority();
        self.rank(priority).front()
    }

    /// Calls go past the backlog, in which none waits: turns that earlier calls in their slots have had are
    /// not theirs.
    pub(super) fn is_passed(&mut self) {
        self.favours.clear();
    }

    /// Takes the next call out, which has its turn.
    #[inline]
    pub(super) fn pop_front(&mut self) {
        if self.len == 0 {
            return;
        }
        let priority = self.next_priority();
        if self.ranked.is_empty() {
            self.favours.clear();
        } else if let Some(id) = self.rank(priority).front() {
            self.has_its_turn(id, priority);
        }
        self.take_of(priority);
    }

    /// Takes the next call out, which is done.
    pub(super) fn drop_front(&mut self) {
        if self.len > 0 {
            self.stale -= 1;
            let priority = self.next_priority();
            self.take_of(priority);
        }
    }

    #[inline]
    fn take_of(&mut self, priority: i32) {
        self.len -= 1;
        let rank = self.rank(priority);
        rank.pop_front();
        if rank.len == 0 && priority != 0 {
            self.ranked.remove(&Reverse(priority));
        }
    }

    /// Notes that a call is done which waits here: it stays until its turn, or until such calls are
    /// the greater part: then `true` says that it is time to have them out.
    #[must_use]
    pub(super) fn note_stale(&mut self) -> bool {
        self.stale += 1;
        self.stale > 64 && self.stale > self.len / 2
    }

    /// Takes out all calls that are not to stay, of which none but those that are done.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(CallId) -> bool) {
        self.plain.retain(&mut stays);
        self.ranked.retain(|_, rank| {
            rank.retain(&mut stays);
            rank.len > 0
        });
        self.len -= std::mem::take(&mut self.stale);
    }

    /// All calls, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = CallId> {
        let ranks = std::iter::once(&self.plain).chain(self.ranked.values());
        ranks.flat_map(Rank::iter)
    }

    #[inline]
    fn rank(&mut self, priority: i32) -> &mut Rank {
        if priority == 0 {
            &mut self.plain
        } else {
            self.ranked.entry(Reverse(priority)).or_default()
        }
    }

    /// The priority of the next call, of which there is one.
    #[inline]
    fn next_priority(&self) -> i32 {
        if self.ranked.is_empty() {
            return 0;
        }
        let highest = self.highest(None).unwrap_or_default();
        if self.passed < PATIENCE {
            return highest;
        }
        let lower = self.highest(Some(self.favoured.min(highest)));
        let lower = lower.or_else(|| self.highest(Some(highest)));
        lower.unwrap_or(highest)
    }

    /// The highest priority of a call, of those below another one.
    fn highest(&self, below: Option<i32>) -> Option<i32> {
        let start = below.map_or(Unbounded, |below| Excluded(Reverse(below)));
        let ranked = self.ranked.range((start, Unbounded)).next();
        let plain = self.plain.len > 0 && below.is_none_or(|below| below > 0);
        ranked
            .map(|(Reverse(priority), _)| *priority)
            .max(plain.then_some(0))
    }

    /// Notes whose turn it is, as this call is taken out.
    fn has_its_turn(&mut self, id: CallId, priority: i32) {
        // An earlier call in the same slot may have had one.
        self.forget_favour(id);
        let higher = self.highest(None).filter(|&highest| highest > priority);
        if higher.is_some() {
            self.favoured = priority;
            self.passed = 0;
            if self.favours.len() == KEPT_FAVOURS {
                self.favours.pop_front();
            }
            self.favours.push_back(id);
        } else if self.highest(Some(priority)).is_some() {
            self.passed += 1;
        } else {
            self.passed = 0;
        }
    }

    /// Whether this call had a turn before higher ones, which is forgotten.
    fn forget_favour(&mut self, id: CallId) -> bool {
        let at = self.favours.iter().rposition(|&favoured| favoured == id);
        at.is_some_and(|at| self.favours.remove(at).is_some())
    }
}

impl Rank {
    #[inline]
    fn push(&mut self, id: CallId, submitter: Submitter) {
        self.len += 1;
        let lane = self
            .lanes
            .iter_mut()
            .find(|lane| lane.submitter == submitter);
        match lane {
            Some(lane) => lane.calls.push_back(id),
            None => self.add_lane(id, submitter),
        }
    }

    #[cold]
    fn add_lane(&mut self, id: CallId, submitter: Submitter) {
        let idle = |lane: &Lane| lane.calls.is_empty();
        if self.lanes.len() >= KEPT_LANES
            && let Some(at) = self.lanes.iter().position(idle)
        {
            self.lanes.remove(at);
            self.turn -= usize::from(at < self.turn);
        }
        self.lanes.push(Lane {
            submitter,
            calls: VecDeque::from([id]),
        });
    }

    #[inline]
    fn front(&mut self) -> Option<CallId> {
        if let Some(id) = self.returned.front() {
            return Some(*id);
        }
        for _ in 0..=self.lanes.len() {
            let Some(lane) = self.lanes.get(self.turn) else {
                self.turn = 0;
                continue;
            };
            if let Some(id) = lane.calls.front() {
                return Some(*id);
            }
            self.turn += 1;
        }
        None
    }

    /// Takes out what [`front`](Self::front) gave, and gives the turn on.
    #[inline]
    fn pop_front(&mut self) {
        if self.front().is_none() {
            return;
        }
        self.len -= 1;
        if self.returned.pop_front().is_some() {
            return;
        }
        let lane = &mut self.lanes[self.turn].calls;
        lane.pop_front();
        if lane.is_empty() && self.lanes.len() > KEPT_LANES {
            self.lanes.remove(self.turn);
        } else {
            self.turn += 1;
        }
    }

    fn retain(&mut self, stays: &mut impl FnMut(CallId) -> bool) {
        let lanes = self.lanes.iter_mut().map(|lane| &mut lane.calls);
        self.len = 0;
        for calls in lanes.chain([&mut self.returned]) {
            calls.retain(|&id| stays(id));
            self.len += calls.len();
        }
    }

    fn iter(&self) -> impl Iterator<Item = CallId> {
        let lanes = self.lanes.iter().flat_map(|lane| &lane.calls);
        self.returned.iter().chain(lanes).copied()
    }
}
