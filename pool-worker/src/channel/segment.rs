//! The words that an application and one worker share, and the segment that they lie in.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::MAX_LAST_WORDS;
use super::allowance::Allowance;
use super::machine::{AtomicU32, AtomicU64, Futex, Memory};
use super::notice::{Instructions, Stamp};
use super::ring::Ring;

/// A cache line pair of its own, so that words written by different sides do not disturb each other.
#[repr(C, align(128))]
#[cfg_attr(all(loom, feature = "loom"), derive(Default))]
pub(super) struct Line<T>(pub(super) T);

/// What the application tells the worker about waking it.
#[repr(C)]
#[cfg_attr(all(loom, feature = "loom"), derive(Default))]
pub(super) struct Bell {
    /// Events, where to ring, and a number; see [`super::events`].
    pub(super) word: AtomicU32,
    /// Bytes of calls left at which `LOW` is rung.
    pub(super) low_water: AtomicU32,
    /// Microseconds for which the worker may look for calls before it sleeps.
    pub(super) spin: AtomicU32,
}

/// The words that both sides share. All zero is a fresh channel.
#[repr(C)]
#[cfg_attr(all(loom, feature = "loom"), derive(Default))]
pub(super) struct Header {
    /// Written by the application.
    pub(super) calls_head: Line<AtomicU64>,
    /// Written by the worker.
    pub(super) calls_tail: Line<AtomicU64>,
    /// Written by the worker.
    pub(super) answers_head: Line<AtomicU64>,
    /// Written by the application.
    pub(super) answers_tail: Line<AtomicU64>,
    /// Written by the application.
    pub(super) bell: Line<Bell>,
    /// 1 while the worker sleeps or is about to; whoever wakes it sets it to 0.
    pub(super) doze: Line<Futex>,
    /// Counted up by the worker when it rings a thread of the application.
    pub(super) doorbell: Line<Futex>,
    /// Written by the worker: nanoseconds that a call took of late, 0 while that is unknown.
    pub(super) pace: Line<AtomicU64>,
    /// Written by the worker: its process, 0 before it has begun.
    pub(super) pid: Line<AtomicU32>,
    /// Written by the worker.
    pub(super) stamp: Line<Stamp>,
    /// Written by the application.
    pub(super) instructions: Line<Instructions>,
    /// Written by the application.
    pub(super) allowance: Line<Allowance>,
    /// Written by the worker.
    pub(super) excess: Line<AtomicU64>,
    /// Written by the application: the most bytes of an output, 0 where that does not matter.
    pub(super) max_output: Line<AtomicU64>,
}

/// How many words of four bytes the last words have; no model looks at them.
const LAST_WORDS: usize = if cfg!(all(loom, feature = "loom")) {
    1
} else {
    MAX_LAST_WORDS / 4
};

/// The last words of a worker: `kind` is stored last, 0 means that there are none.
#[repr(C)]
#[cfg_attr(all(loom, feature = "loom"), derive(Default))]
pub(super) struct Words {
    pub(super) kind: AtomicU32,
    pub(super) seq: AtomicU32,
    pub(super) len: AtomicU32,
    pub(super) reserved: AtomicU32,
    pub(super) bytes: [AtomicU32; LAST_WORDS],
}

/// The memory that an application and one worker share, as one of them sees it.
#[derive(Debug)]
pub struct Segment(Memory);

impl Segment {
    /// Makes a new segment; the descriptor is for the worker.
    ///
    /// # Errors
    ///
    /// If the memory or a descriptor for it cannot be had.
    pub fn create() -> io::Result<(Self, OwnedFd)> {
        let (memory, memfd) = Memory::create()?;
        Ok((Self(memory), memfd))
    }

    /// Maps the segment that the application made.
    ///
    /// # Errors
    ///
    /// If the memory cannot be mapped.
    pub fn open(memfd: BorrowedFd<'_>) -> io::Result<Self> {
        Memory::open(memfd).map(Self)
    }

    /// A new segment that no other process can map, for tests in which there are no descriptors.
    #[cfg(all(test, not(all(loom, feature = "loom"))))]
    pub(super) fn anonymous() -> io::Result<Self> {
        Memory::anonymous().map(Self)
    }

    pub(super) fn header(&self) -> &Header {
        self.0.header()
    }

    pub(super) fn last_words(&self) -> &Words {
        self.0.last_words()
    }

    pub(super) fn calls(&self) -> Ring {
        Ring(self.0.calls())
    }

    pub(super) fn answers(&self) -> Ring {
        Ring(self.0.answers())
    }
}
