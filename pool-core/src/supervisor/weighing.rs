//! Workers that have more memory than they may have.
//!
//! One that has it in the middle of a call is found by this thread, which looks at `/proc` while
//! workers have calls. It is stopped if the next look finds the same: a short call that leaves memory
//! behind should end, and its worker after it. One that has it after a call finds out itself, says so,
//! and begins no other before its calls were given to others: so no call is stopped for what another
//! left behind, nor is the last call of a worker that ends for its memory. What threads fill that a task has left running is found after all calls are done, too,
//! by one last look.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_worker::channel::Segment;
use pool_worker::protocol::StartMethod;

use super::Supervisor;
use crate::driver::Locked;
use crate::member::Begun;
use crate::memory::Excess;
use crate::sys;

/// How soon after a look the next one comes, and how late: an excess may last so long.
const SOONEST: Duration = Duration::from_millis(10);
const LATEST: Duration = Duration::from_millis(100);
/// How many bytes one thread fills in a millisecond at the most: 4 GiB in a second.
const FILLED_PER_MILLISECOND: u64 = 4 << 20;

/// How memory is looked at.
#[derive(Default)]
pub(super) struct Weighing {
    /// When to look again, while workers have calls.
    next: Option<Instant>,
    inherited: Inherited,
    /// The workers that had too much at the last look, by their numbers, and in which call.
    suspects: Vec<(u64, Option<Begun>)>,
}

/// How much a worker has from its birth on, as it shares that with the fork server.
#[derive(Clone, Copy, Default)]
struct Inherited {
    /// The process of the fork server.
    server: u32,
    /// The most that it was seen with: it seems to have less while some is swapped out, and those of
    /// its workers that have read it do not.
    bytes: u64,
}

impl Inherited {
    /// The fork server was seen with so much.
    fn note(&mut self, server: u32, bytes: u64) {
        let before = if server == self.server { self.bytes } else { 0 };
        let bytes = bytes.max(before);
        *self = Self { server, bytes };
    }
}

impl Supervisor {
    /// Tells a worker that is to be born how much memory it may have, if that has a limit.
    pub(super) fn allow_memory(&mut self, segment: &Segment) {
        let Some(limit) = self.recycling.memory else {
            return;
        };
        if self.setup.start_method != StartMethod::Spawn
            && let Ok(memory) = sys::anonymous_memory(self.server.pid())
        {
            self.weighing.inherited.note(self.server.pid(), memory);
        }
        segment.allow_memory(self.weighing.inherited.bytes.saturating_add(limit));
    }

    /// Sees to workers with too much memory, if that has a limit: to those that say so, and, while any
    /// has calls, every now and then to all.
    pub(super) fn weigh(&mut self) {
        let Some(limit) = self.recycling.memory else {
            return;
        };
        self.retire_full(limit);
        let is_early = |next: Instant| Instant::now() < next;
        if self.weighing.next.is_some_and(is_early) {
            return;
        }
        let mut locked = self.pool.lock();
        let is_busy = locked.begin_weighing();
        let workers = locked.workers_begun();
        drop(locked);
        let pause = self.look_at(&workers, limit);
        self.weighing.next = is_busy.then(|| Instant::now() + pause);
    }

    /// Has workers replaced that begin no call as they have too much memory.
    fn retire_full(&mut self, limit: u64) {
        let pool = Arc::clone(&self.pool);
        let mut locked = pool.lock();
        let mut newborn = Vec::new();
        for slot in 0..locked.slots() {
            let Some(memory) = locked.member(slot).and_then(|member| member.excess()) else {
                continue;
            };
            locked.retire_full(slot);
            let Some(member) = locked.member(slot) else {
                continue;
            };
            if !member.has_served() && !member.is_seen_off() {
                newborn.push(memory);
            }
            member.relieve();
        }
        if newborn.is_empty() || self.farewell.is_some() {
            return;
        }
        let is_proven = locked.stats().completed > 0;
        drop(locked);
        for memory in newborn {
            let excess = self.excess(memory, limit);
            let reason = format!(
                "a worker has too much memory before its first call: {excess}; set a higher one, or \
                 have initializer and constructors take less"
            );
            if is_proven {
                // The next one may fare better; and a task may have forged that it never began.
                self.count_restart(&reason);
            } else {
                // An initializer may take so long that deaths would never be too many.
                self.break_down(reason);
            }
        }
    }

    /// Sees to the end of workers that have too much memory, as they had at the last look; how long
    /// until they are to be looked at again.
    fn look_at(&mut self, workers: &[(u64, u32, Option<Begun>)], limit: u64) -> Duration {
        let suspects = std::mem::take(&mut self.weighing.suspects);
        let mut most = 0;
        for &(number, pid, begun) in workers {
            // One that is gone has none.
            let memory = sys::anonymous_memory(pid).unwrap_or(0);
            let excess = self.excess(memory, limit);
            most = most.max(excess.seen);
            let suspect = (number, begun);
            if excess.seen > limit && (begun.is_none() || suspects.contains(&suspect)) {
                self.pool.lock().end_excess(number, begun, excess);
            } else if excess.seen > limit {
                self.weighing.suspects.push(suspect);
            }
        }
        let left = limit.saturating_sub(most);
        Duration::from_millis(left / FILLED_PER_MILLISECOND).clamp(SOONEST, LATEST)
    }

    fn excess(&self, memory: u64, limit: u64) -> Excess {
        let seen = memory.saturating_sub(self.weighing.inherited.bytes);
        Excess { seen, limit }
    }

    /// How long until workers are to be looked at.
    pub(super) fn weighing_time_left(&self, locked: &Locked<'_>, now: Instant) -> Option<Duration> {
        if locked.is_to_be_weighed() {
            // This very thread has dealt a call since the last look.
            return Some(Duration::ZERO);
        }
        let next = self.weighing.next?;
        Some(next.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_fork_server_had_counts_until_there_is_another_one() {
        let mut inherited = Inherited::default();
        for (server, seen, counts) in [(7, 50, 50), (7, 20, 50), (7, 60, 60), (8, 30, 30)] {
            inherited.note(server, seen);
            assert_eq!(inherited.bytes, counts, "{seen} in {server}");
        }
    }
}
