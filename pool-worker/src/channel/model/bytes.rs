//! The bytes of a ring in a model: for each unit of a frame the words of a header and the first word
//! of a body, and beside them the bytes, which loom watches.
//!
//! Words and bytes that lie in one place of a ring are apart here. Nobody reads as words what was
//! written as bytes: a header is written before it is published.

use std::ptr::NonNull;
use std::slice;

use loom::cell::UnsafeCell;

use super::{AtomicU32, AtomicU64};
use crate::channel::{FRAME_UNIT, RING_SIZE};

#[derive(Default)]
pub(super) struct Unit {
    words: [AtomicU32; FRAME_UNIT / 4],
    longs: [AtomicU64; FRAME_UNIT / 8],
    bytes: UnsafeCell<[u8; FRAME_UNIT]>,
}

// SAFETY: loom panics where two threads access the bytes at a time, of which one writes.
unsafe impl Sync for Unit {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Unit {}

/// The memory of a ring.
pub(super) type Units = [Unit; RING_SIZE / FRAME_UNIT];

#[derive(Clone, Copy)]
pub(in crate::channel) struct Bytes(NonNull<Units>);

// SAFETY: what it points at may be shared.
unsafe impl Send for Bytes {}
// SAFETY: as for `Send`.
unsafe impl Sync for Bytes {}

impl Bytes {
    /// # Safety
    ///
    /// The memory lives as long as this value or a copy of it is used.
    pub(super) unsafe fn new(units: &Units) -> Self {
        Self(NonNull::from(units))
    }

    /// The unit that `position` lies in, and where in it.
    fn at(&self, position: u64) -> (&Unit, usize) {
        let offset = usize::try_from(position % RING_SIZE as u64).expect("it is below RING_SIZE");
        // SAFETY: the memory lives, as `new` asks for.
        let units = unsafe { self.0.as_ref() };
        (&units[offset / FRAME_UNIT], offset % FRAME_UNIT)
    }

    pub(in crate::channel) fn word(&self, position: u64) -> &AtomicU32 {
        let (unit, offset) = self.at(position);
        &unit.words[offset / 4]
    }

    pub(in crate::channel) fn long(&self, position: u64) -> &AtomicU64 {
        let (unit, offset) = self.at(position);
        &unit.longs[offset / 8]
    }

    pub(in crate::channel) fn write(self, position: u64, bytes: &[u8]) {
        for (position, &byte) in (position..).zip(bytes) {
            let (unit, offset) = self.at(position);
            unit.bytes.with_mut(|bytes| {
                // SAFETY: nobody else accesses the bytes, or loom has panicked.
                unsafe { (*bytes)[offset] = byte };
            });
        }
    }

    /// # Safety
    ///
    /// `to` is valid for writes of `len` bytes of private memory.
    pub(in crate::channel) unsafe fn read(self, position: u64, to: NonNull<u8>, len: usize) {
        // SAFETY: as this function asks for.
        let to = unsafe { slice::from_raw_parts_mut(to.as_ptr(), len) };
        for (position, byte) in (position..).zip(to) {
            let (unit, offset) = self.at(position);
            // SAFETY: nobody writes to the bytes, or loom has panicked.
            *byte = unit.bytes.with(|bytes| unsafe { (*bytes)[offset] });
        }
    }

    pub(in crate::channel) fn prefetch(self, position: u64) {
        // There are no cache lines; each position has its unit.
        let _ = self.at(position);
    }
}
