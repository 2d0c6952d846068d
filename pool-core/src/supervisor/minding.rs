//! Workers that begin nothing although they have calls: somebody has stopped them, or what a task has
//! left behind holds them up.
//!
//! A call that has begun may take as long as it likes, unless it has a limit. One that lies before a
//! worker which does nothing else waits for nothing. So while any worker has calls, this thread looks every
//! now and then which one has not begun the first of them; found twice, that is given to others together
//! with all behind it, and its worker is killed.
//!
//! At the same time it rings all threads that sleep on a worker, in its place: what a worker does to its own
//! bell delays nobody for longer than until that look.

use std::time::{Duration, Instant};

use super::Supervisor;
use crate::driver::Locked;
use crate::member::Unclaimed;
use crate::sys;

/// How long a worker may have nothing to do but to begin a call, and not begin it. It is found out
/// within twice as long.
const BEGINS_WITHIN: Duration = Duration::from_secs(1);

/// What was seen of workers that do not begin their calls.
#[derive(Default)]
pub(super) struct Minding {
    /// When to look again, while workers have calls.
    next: Option<Instant>,
    /// What they had not begun at the last look.
    seen: Vec<Unclaimed>,
    /// What they had not begun at the last two looks, to be seen to without the lock.
    suspects: Vec<Unclaimed>,
}

impl Supervisor {
    /// Looks who has not begun its call, and rings who sleeps, if it is time.
    pub(super) fn mind(&mut self, locked: &mut Locked<'_>) {
        let Minding {
            next,
            seen,
            suspects,
        } = &mut self.minding;
        let now = Instant::now();
        if next.is_some_and(|next| now < next) {
            return;
        }
        // A look that comes late tells nothing: this process may have been frozen together with its workers.
        if next.is_some_and(|next| now > next + BEGINS_WITHIN / 2) {
            seen.clear();
        }
        if next.is_some() {
            locked.ring_attendants();
        }
        let is_used = locked.begin_minding();
        if !is_used && seen.is_empty() {
            *next = None;
            return;
        }
        let before = std::mem::replace(seen, locked.unclaimed());
        suspects.extend(seen.iter().filter(|unclaimed| before.contains(unclaimed)));
        *next = is_used.then(|| now + BEGINS_WITHIN);
    }

    /// Sees to the end of workers that were found twice, and do not run.
    pub(super) fn end_stuck(&mut self) {
        for unclaimed in self.minding.suspects.drain(..) {
            // One that wants a core and gets none is not stuck, nor one that waits for its own pages.
            if sys::is_stuck(unclaimed.pid, unclaimed.is_set_up) {
                let mut locked = self.pool.lock();
                locked.end_stuck(unclaimed);
                locked.turn();
            }
        }
    }

    /// How long until workers are to be looked at.
    pub(super) fn minding_time_left(&self, now: Instant) -> Option<Duration> {
        let next = self.minding.next?;
        Some(next.saturating_duration_since(now))
    }
}
