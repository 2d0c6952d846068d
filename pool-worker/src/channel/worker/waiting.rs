//! How the worker waits: it looks for a while, and then sleeps until the application wakes it.

use std::hint;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use super::WorkerEnd;
use crate::channel::machine::fence;
use crate::fault::{self, Site};

/// How many times the worker looks between two looks at the clock while it spins.
const LOOKS_PER_CLOCK: u32 = 32;

impl WorkerEnd {
    /// Returns once `ready` holds, between calls; rings for `events` before sleeping.
    pub(super) fn sleep_until(
        &mut self,
        events: u32,
        before_sleep: &mut impl FnMut(),
        ready: impl Fn(&Self) -> bool,
    ) {
        let mut asleep_since = None;
        let looks = self.allowed_spin() > 0;
        self.look_then_sleep(events, before_sleep, ready, |end, ready| {
            end.publish_pace();
            let found = looks && end.spin(ready);
            asleep_since = (!found).then(Instant::now);
            found
        });
        if let Some(since) = asleep_since {
            self.outlook.slept(since.elapsed());
        }
    }

    /// Returns once `ready` holds: where it does not yet, and `look` sees no end of that either,
    /// rings for `events` and sleeps.
    pub(super) fn look_then_sleep<R: Fn(&Self) -> bool>(
        &mut self,
        events: u32,
        before_sleep: &mut impl FnMut(),
        ready: R,
        look: impl FnOnce(&mut Self, &R) -> bool,
    ) {
        if ready(self) {
            return;
        }
        self.ring_unrung();
        if look(self, &ready) {
            return;
        }
        before_sleep();
        loop {
            self.ring(events);
            let doze = &self.segment.header().doze.0;
            doze.store(1, Relaxed);
            fence(SeqCst);
            if ready(self) {
                doze.store(0, Relaxed);
                return;
            }
            fault::at(Site::TaskDozes);
            match self.sleep {
                None => doze.wait(1, None),
                Some(sleep) => sleep(),
            }
            fault::at(Site::TaskWoken);
            if ready(self) {
                return;
            }
        }
    }

    /// For how many microseconds the application lets this worker look before it sleeps.
    pub(super) fn allowed_spin(&self) -> u32 {
        self.segment.header().bell.0.spin.load(Relaxed)
    }

    /// Looks again and again, as long as the application allows.
    fn spin(&self, ready: &impl Fn(&Self) -> bool) -> bool {
        let allowed = Duration::from_micros(self.allowed_spin().into());
        let limit = allowed.min(self.outlook.limit());
        let start = Instant::now();
        while start.elapsed() < limit {
            for _ in 0..LOOKS_PER_CLOCK {
                if ready(self) {
                    return true;
                }
                hint::spin_loop();
            }
        }
        false
    }
}
