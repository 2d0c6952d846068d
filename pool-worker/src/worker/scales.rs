//! The worker's own look at its memory, between calls.

use std::time::{Duration, Instant};

use super::service::flush_stdout;
use crate::channel::WorkerEnd;
use crate::sys;

/// How long after a look the next one comes at the earliest: a look takes some 3 us, and no call of
/// this length can fill much.
const LOOKED_AT_MOST_EVERY: Duration = Duration::from_micros(250);

/// Looks whether a worker has more memory than it may have.
pub(super) struct Scales {
    allowed: u64,
    next: Instant,
}

impl Scales {
    /// For the worker of this end, if its memory has a limit.
    pub(super) fn new(end: &WorkerEnd) -> Option<Self> {
        let allowed = end.memory_allowed()?;
        let next = Instant::now();
        Some(Self { allowed, next })
    }

    /// Returns once the worker may claim another call. One that has too much memory says so, which it
    /// does once.
    ///
    /// Where the memory cannot be read, as where a task has used up all descriptors, nothing is said.
    pub(super) fn await_leave(scales: &mut Option<Self>, end: &mut WorkerEnd) {
        let Some(Self { allowed, next }) = scales else {
            return;
        };
        let now = Instant::now();
        if now < *next {
            return;
        }
        *next = now + LOOKED_AT_MOST_EVERY;
        let memory = sys::anonymous_memory("self").unwrap_or(0);
        if memory > *allowed {
            end.await_relief(memory, flush_stdout);
            *scales = None;
        }
    }
}
