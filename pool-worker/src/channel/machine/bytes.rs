//! The bytes of a ring: the only place that turns positions into addresses.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::channel::{FRAME_UNIT, RING_SIZE};

/// How many bytes ahead a ring's lines are fetched.
const PREFETCHED: u64 = 8 * FRAME_UNIT as u64;

/// One ring's memory, shared with another process that may write it at any time.
#[derive(Clone, Copy)]
pub(in crate::channel) struct Bytes {
    base: NonNull<u8>,
}

// SAFETY: `base` points at memory shared between processes, so threads may share it as well; every
// access is atomic or a raw copy, and the owner of the memory keeps it mapped (see `Bytes::new`).
unsafe impl Send for Bytes {}
// SAFETY: as for `Send`.
unsafe impl Sync for Bytes {}

impl Bytes {
    /// # Safety
    ///
    /// `base` is aligned to [`FRAME_UNIT`] and valid for reads and writes of [`RING_SIZE`] bytes as
    /// long as this value or a copy of it is used.
    pub(super) const unsafe fn new(base: NonNull<u8>) -> Self {
        Self { base }
    }

    #[inline]
    fn at(self, position: u64) -> NonNull<u8> {
        let offset = offset(position);
        // SAFETY: `offset` is below `RING_SIZE`, the size of the memory at `base`.
        unsafe { self.base.add(offset) }
    }

    /// The word of 4 bytes at `position`, a multiple of 4.
    #[inline]
    pub(in crate::channel) fn word(&self, position: u64) -> &AtomicU32 {
        debug_assert!(position.is_multiple_of(4));
        let word = self.at(position).cast::<AtomicU32>();
        // SAFETY: aligned, and so in bounds, as the ring's size is a multiple of 4; atomics may be
        // shared with whoever else writes there.
        unsafe { word.as_ref() }
    }

    /// The word of 8 bytes at `position`, a multiple of 8.
    #[inline]
    pub(in crate::channel) fn long(&self, position: u64) -> &AtomicU64 {
        debug_assert!(position.is_multiple_of(8));
        let long = self.at(position).cast::<AtomicU64>();
        // SAFETY: as in `word`.
        unsafe { long.as_ref() }
    }

    /// Copies `bytes` into the ring from `position` on.
    pub(in crate::channel) fn write(self, position: u64, bytes: &[u8]) {
        debug_assert!(bytes.len() <= RING_SIZE);
        let (first, second) = bytes.split_at(bytes.len().min(until_end(position)));
        // SAFETY: `first` ends at the ring's end at the latest; private memory never overlaps it.
        unsafe {
            self.at(position)
                .copy_from_nonoverlapping(NonNull::from(first).cast(), first.len());
        };
        if !second.is_empty() {
            // SAFETY: `second` is shorter than the ring and starts at its beginning.
            unsafe {
                self.base
                    .copy_from_nonoverlapping(NonNull::from(second).cast(), second.len());
            };
        }
    }

    /// Copies `len` bytes of the ring from `position` on to `to`.
    ///
    /// # Safety
    ///
    /// `to` is valid for writes of `len` bytes of private memory.
    pub(in crate::channel) unsafe fn read(self, position: u64, to: NonNull<u8>, len: usize) {
        debug_assert!(len <= RING_SIZE);
        let first = len.min(until_end(position));
        // SAFETY: the bytes end at the ring's end at the latest, and `to` has room for more; private
        // memory never overlaps the ring.
        unsafe { self.at(position).copy_to_nonoverlapping(to, first) };
        if first < len {
            // SAFETY: `first` is less than `len`, for which there is room.
            let to = unsafe { to.add(first) };
            // SAFETY: the rest is shorter than the ring, starts at its beginning, and fits at `to`.
            unsafe { self.base.copy_to_nonoverlapping(to, len - first) };
        }
    }

    /// Has the cache line fetched, to be written, that lies some frames behind `position`: by then it
    /// has moved here from the other side's core.
    #[inline]
    pub(in crate::channel) fn prefetch(self, position: u64) {
        // Miri knows neither caches nor assembly.
        #[cfg(target_arch = "x86_64")]
        if !cfg!(miri) {
            let line = self.at(position + PREFETCHED).as_ptr();
            // SAFETY: the instruction changes no memory and never faults.
            unsafe {
                std::arch::asm!(
                    "prefetchw [{line}]",
                    line = in(reg) line,
                    options(nostack, preserves_flags, readonly)
                );
            }
        }
    }
}

fn until_end(position: u64) -> usize {
    RING_SIZE - offset(position)
}

/// Where the byte of a position lies in the ring.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder is below RING_SIZE, a usize"
)]
#[inline]
const fn offset(position: u64) -> usize {
    (position % RING_SIZE as u64) as usize
}
