//! Sleeping until a worker rings.

use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::time::Duration;

use super::segment::Segment;

/// What a thread needs in order to sleep until a worker rings.
#[derive(Clone, Debug)]
pub struct Doorbell {
    pub(super) segment: Arc<Segment>,
    /// Up to where answers had been taken.
    pub(super) tail: u64,
    /// What the worker must have taken of the ring of calls for a piece to fit, if one is to be sent.
    /// Where none is, that word is left alone: each look would take it from the worker's cache.
    pub(super) room_from: Option<u64>,
}

impl Doorbell {
    /// Whether answers came since this handle was made, or room for what is to be sent.
    pub fn has_news(&self) -> bool {
        let header = self.segment.header();
        header.answers_head.0.load(Acquire) != self.tail
            || self
                .room_from
                .is_some_and(|room_from| header.calls_tail.0.load(Acquire) >= room_from)
    }

    /// How often the doorbell was rung; to be read before the bell is armed.
    pub fn count(&self) -> u32 {
        self.segment.header().doorbell.0.load(Acquire)
    }

    /// Sleeps until the doorbell was rung more often than `count`, at most for `timeout`.
    pub fn sleep(&self, count: u32, timeout: Option<Duration>) {
        self.segment.header().doorbell.0.wait(count, timeout);
    }

    /// Rings, in the worker's place.
    pub fn ring(&self) {
        let doorbell = &self.segment.header().doorbell.0;
        doorbell.fetch_add(1, AcqRel);
        doorbell.wake();
    }
}
