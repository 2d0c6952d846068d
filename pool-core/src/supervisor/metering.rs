//! Calls that take more processor time than they may.
//!
//! The kernel counts it for each process, and tells everybody. This thread asks while workers have calls:
//! when it first sees a call that runs, and again once that call can have taken what is left to it, on all
//! the cores that there are. What a worker did before does not count, nor does what it says itself.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::Supervisor;
use crate::member::Begun;
use crate::sys;
use crate::terms::Overuse;

/// How soon after a look the next one comes, and how late: a call may begin unseen for so long.
const SOONEST: Duration = Duration::from_millis(1);
const LATEST: Duration = Duration::from_millis(20);

/// How processor time is looked at.
#[derive(Default)]
pub(super) struct Metering {
    /// When to look again, while workers have calls.
    next: Option<Instant>,
    /// The calls that ran at the last look: the worker's number, the call, and what its worker had taken
    /// when the call was first seen.
    running: Vec<(u64, Begun, Duration)>,
}

impl Supervisor {
    /// Sees to calls that take too much processor time, if that has a limit, while any worker has calls.
    pub(super) fn meter(&mut self) {
        let Some(limit) = self.recycling.processor else {
            return;
        };
        let is_early = |next: Instant| Instant::now() < next;
        if self.metering.next.is_some_and(is_early) {
            return;
        }
        let pool = Arc::clone(&self.pool);
        let mut locked = pool.lock();
        let is_busy = locked.begin_weighing();
        let workers = locked.workers_begun();
        drop(locked);
        let pause = self.look_at_clocks(&workers, limit);
        self.metering.next = is_busy.then(|| Instant::now() + pause);
    }

    /// Stops calls that have taken too much; how long until they are to be looked at again.
    fn look_at_clocks(
        &mut self,
        workers: &[(u64, u32, Option<Begun>)],
        limit: Duration,
    ) -> Duration {
        let before = std::mem::take(&mut self.metering.running);
        let mut most = Duration::ZERO;
        for &(number, pid, begun) in workers {
            // Of one that is gone there is no clock.
            let (Some(begun), Ok(now)) = (begun, sys::processor_time(pid)) else {
                continue;
            };
            let seen = before
                .iter()
                .find(|(other, call, _)| (*other, *call) == (number, begun));
            let start = seen.map_or(now, |(_, _, start)| *start);
            let used = now.saturating_sub(start);
            if used >= limit {
                let overuse = Overuse { used, limit };
                self.pool.lock().end_overuse(number, begun, overuse);
            } else {
                most = most.max(used);
                self.metering.running.push((number, begun, start));
            }
        }
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let left = limit.saturating_sub(most) / u32::try_from(cores).unwrap_or(u32::MAX);
        left.clamp(SOONEST, LATEST)
    }

    /// How long until clocks are to be looked at.
    pub(super) fn metering_time_left(&self, now: Instant) -> Option<Duration> {
        let next = self.metering.next?;
        Some(next.saturating_duration_since(now))
    }
}
