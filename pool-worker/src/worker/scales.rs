//! The worker's own look at its memory, between calls.

use std::io;
use std::time::{Duration, Instant};

use super::service::flush_stdout;
use crate::channel::WorkerEnd;
use crate::sys::OwnMemory;

/// How long after a look that found ample room the next one comes at the earliest: a look takes some
/// 3 us.
const LOOKED_AT_MOST_EVERY: Duration = Duration::from_micros(250);
/// How many bytes that takes: one thread can fill half of them in this time, at 4 GiB in a second. With
/// less, a call could begin over the limit for what the one before it left.
const AMPLE_ROOM: u64 = 2 << 20;

/// Looks whether a worker has more memory than it may have.
pub(super) struct Scales {
    memory: OwnMemory,
    allowed: u64,
    next: Instant,
}

impl Scales {
    /// For the worker of this end, if its memory has a limit.
    pub(super) fn new(end: &WorkerEnd) -> io::Result<Option<Self>> {
        let Some(allowed) = end.memory_allowed() else {
            return Ok(None);
        };
        Ok(Some(Self {
            memory: OwnMemory::open()?,
            allowed,
            next: Instant::now(),
        }))
    }

    /// Returns once the worker may claim another call. One that has too much memory says so, which it
    /// does once.
    ///
    /// Where the memory cannot be read, as where a task has closed all descriptors, nothing is said.
    pub(super) fn await_leave(scales: &mut Option<Self>, end: &mut WorkerEnd) {
        let Some(Self {
            memory,
            allowed,
            next,
        }) = scales
        else {
            return;
        };
        let now = Instant::now();
        if now < *next {
            return;
        }
        let memory = memory.anonymous().unwrap_or(0);
        if allowed.saturating_sub(memory) >= AMPLE_ROOM {
            *next = now + LOOKED_AT_MOST_EVERY;
        }
        if memory > *allowed {
            end.await_relief(memory, flush_stdout);
            *scales = None;
        }
    }
}
