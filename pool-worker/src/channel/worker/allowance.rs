//! A worker that has too much memory, at its own end.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::WorkerEnd;
use crate::channel::machine;

impl WorkerEnd {
    /// How many bytes of memory this worker may have, if there is a limit.
    pub fn memory_allowed(&self) -> Option<u64> {
        let bytes = self.segment.header().allowance.0.bytes.load(Relaxed);
        (bytes != 0).then_some(bytes)
    }

    /// Says that this worker has so much memory, more than it may have, and waits to be relieved.
    pub fn await_relief(&mut self, bytes: u64, mut before_sleep: impl FnMut()) {
        self.segment.header().excess.0.store(bytes, Release);
        // The application waits for no event in particular.
        machine::ring(self.control.as_fd());
        self.sleep_until(0, &mut before_sleep, |end| {
            let allowance = &end.segment.header().allowance.0;
            allowance.relieved.load(Acquire) != 0
        });
    }
}
