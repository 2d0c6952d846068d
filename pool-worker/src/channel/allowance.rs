//! How much memory a worker may have, and how it says that it has more.
//!
//! The application allows a worker so many bytes before it exists. The worker looks at its memory when
//! it has no call. Once it has more than that, it says so, rings, and claims no call before it is
//! *relieved*: before the application has taken all that it has not begun back. So no call begins in a
//! worker that has too much memory already, and one that runs in such a worker has itself to blame.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::machine::{AtomicU32, AtomicU64};
use super::{ApplicationEnd, Segment};

/// What the application tells the worker about its memory.
#[repr(C)]
#[cfg_attr(all(loom, feature = "loom"), derive(Default))]
pub(super) struct Allowance {
    /// The most bytes that it may have; 0 if that does not matter.
    pub(super) bytes: AtomicU64,
    /// 1 once it may go on although it has more.
    pub(super) relieved: AtomicU32,
}

impl Segment {
    /// Allows the worker so many bytes of [`anonymous_memory`](crate::sys::anonymous_memory). To be called
    /// before the worker exists.
    pub fn allow_memory(&self, bytes: u64) {
        self.header().allowance.0.bytes.store(bytes, Relaxed);
    }
}

impl ApplicationEnd {
    /// How much memory the worker has, as it says itself, if it claims no call as that is too much.
    pub fn excess(&self) -> Option<u64> {
        let header = self.segment.header();
        let bytes = header.excess.0.load(Acquire);
        (bytes != 0 && header.allowance.0.relieved.load(Relaxed) == 0).then_some(bytes)
    }

    /// Has the worker claim calls again: all that it had not begun were taken back.
    pub fn relieve(&mut self) {
        let relieved = &self.segment.header().allowance.0.relieved;
        relieved.store(1, Release);
        self.wake();
    }
}
