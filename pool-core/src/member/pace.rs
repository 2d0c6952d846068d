//! How fast a worker is, and how much it has before it.

use std::time::{Duration, Instant};

use super::Member;

/// How long after its last answer a worker's pace says nothing about the call that it runs.
const PACE_HOLDS: Duration = Duration::from_millis(1);

impl Member {
    pub(crate) fn pace(&self) -> Option<Duration> {
        self.link.pace()
    }

    /// How much work it has before it, where that can be told.
    pub(crate) fn work_left(&self) -> Option<Duration> {
        if self.live == 0 {
            return Some(Duration::ZERO);
        }
        let pace = self
            .pace()
            .filter(|_| self.now.duration_since(self.last_progress) < PACE_HOLDS)?;
        Some(pace.saturating_mul(u32::try_from(self.live).unwrap_or(u32::MAX)))
    }

    /// Since when it has had nothing to do, if it could do something.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let is_idle = self.is_idle() && self.takes_calls() && self.pid.is_some();
        is_idle.then_some(self.last_progress)
    }

    /// Whether the next call can be its own: it is idle, or on its way to life.
    pub(crate) fn will_be_free(&self) -> bool {
        self.is_in_service() && (self.is_idle() || !self.ready)
    }

    /// Notes what time it is: to look at the clock costs as much as much of the rest of a small call.
    pub(crate) fn look_at_clock(&mut self, now: Instant) {
        self.now = now;
    }

    /// Notes that answers came.
    pub(crate) fn progressed(&mut self) {
        self.last_progress = self.now;
    }
}
