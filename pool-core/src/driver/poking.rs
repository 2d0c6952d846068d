//! When the supervising thread is woken: for what nobody else does, and what it would not see in time.

use std::mem;
use std::time::Duration;

use super::Locked;
use crate::sys;

#[cfg(test)]
mod tests;

/// For how long the supervising thread goes on looking whether calls should move. With short calls there
/// is something to move in one moment and nothing in the next: to be woken each time would cost more than
/// all the rest of them.
const BALANCES_FOR: Duration = Duration::from_millis(20);

impl Locked<'_> {
    /// Wakes the supervising thread if there is anything left for it to do.
    pub(super) fn leave_rest(&mut self, more: bool) {
        let unbalanced = !self.is_balancing() && self.is_unbalanced();
        self.state_mut().unbalanced |= unbalanced;
        let soon = unbalanced
            || self.has_early_alarm()
            || self.is_to_be_weighed()
            || self.is_to_be_minded();
        let lives = self.has_left_off() || self.lacks_workers() || self.has_unseen_idle();
        if more || soon || lives || self.is_over() {
            self.poke();
        }
    }

    /// The supervising thread is about to sleep, and looks by itself in time at what it sees now: nobody
    /// has to wake it for that.
    pub(crate) fn arm_alarms(&mut self) {
        self.arm_alarm();
        self.arm_idle_alarm();
        let now = sys::now();
        let unbalanced = mem::take(&mut self.state_mut().unbalanced) || self.is_unbalanced();
        let balancing = self.state().balancing.filter(|&until| now < until);
        self.state_mut().balancing = unbalanced.then(|| now + BALANCES_FOR).or(balancing);
    }

    /// Whether the supervising thread looks every now and then whether calls should move.
    pub(crate) fn is_balancing(&self) -> bool {
        self.state().balancing.is_some()
    }

    /// Wakes the supervising thread.
    pub(crate) fn poke(&mut self) {
        if !mem::replace(&mut self.state_mut().poked, true) {
            sys::signal_event(&self.pool.poke);
        }
    }
}
