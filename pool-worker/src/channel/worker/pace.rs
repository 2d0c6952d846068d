//! How long calls take of late, told to the application for the price of a clock reading now and then.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::WorkerEnd;

/// After how many calls in a row the worker looks anew how long one takes.
const CALLS_PER_BATCH: u32 = 64;

/// A run of calls without a pause, and what was told.
#[derive(Default)]
pub(super) struct Pace {
    start: Option<Duration>,
    calls: u32,
    /// How many nanoseconds a call takes, as was told last; 0 before.
    told: u64,
}

impl Pace {
    /// Ends the run and gives the nanoseconds that a call of it took.
    fn end(&mut self, clock: fn() -> Duration) -> Option<u64> {
        let start = self.start.take()?;
        let elapsed = clock().saturating_sub(start);
        let calls = std::mem::take(&mut self.calls);
        let each = elapsed.as_nanos() / u128::from(calls.max(1));
        Some(u64::try_from(each).unwrap_or(u64::MAX).max(1))
    }
}

impl WorkerEnd {
    /// Counts a call that begins now.
    #[inline]
    pub(super) fn count_call(&mut self) {
        if self.pace.calls == CALLS_PER_BATCH {
            self.publish_pace();
        }
        self.pace.start.get_or_insert_with(self.clock);
        self.pace.calls += 1;
    }

    /// Ends a run of calls, and tells how long one took if that has changed by much: the application looks
    /// often, and the word moves between the cores each time that it was written.
    pub(super) fn publish_pace(&mut self) {
        if let Some(each) = self.pace.end(self.clock)
            && each.abs_diff(self.pace.told) > self.pace.told / 8
        {
            self.pace.told = each;
            self.segment.header().pace.0.store(each, Relaxed);
        }
    }
}
