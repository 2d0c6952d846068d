//! Bytes in a ring: the only place that turns positions into addresses.

use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

use super::{FRAME_HEADER, FRAME_UNIT, RING_SIZE};
use crate::sys::Buffer;

/// Bytes of a body that fit the first unit of a frame, behind the header. So short a body is one
/// word, copied without a call.
pub(super) const SHORT: usize = FRAME_UNIT - FRAME_HEADER;

/// How many bytes ahead a ring's lines are fetched.
const PREFETCHED: u64 = 8 * FRAME_UNIT as u64;

const _: () = assert!(SHORT == size_of::<u64>());

/// One ring's memory, shared with another process that may write it at any time.
///
/// Everything outside frames' bodies is accessed through atomics, bodies by raw copies. A body is
/// copied while the peer has no business in it; a peer that writes there all the same tears only
/// the copy, which is checked like any other input.
#[derive(Clone, Copy)]
pub(super) struct Ring {
    base: NonNull<u8>,
}

// SAFETY: `base` points at memory shared between processes, so threads may share it as well; every
// access is atomic or a raw copy, and the owner of the memory keeps it mapped (see `Ring::new`).
unsafe impl Send for Ring {}
// SAFETY: as for `Send`.
unsafe impl Sync for Ring {}

impl Ring {
    /// # Safety
    ///
    /// `base` is aligned to [`FRAME_UNIT`] and valid for reads and writes of [`RING_SIZE`] bytes as
    /// long as this ring or a copy of it is used.
    pub(super) const unsafe fn new(base: NonNull<u8>) -> Self {
        Self { base }
    }

    #[inline]
    fn at(self, position: u64) -> NonNull<u8> {
        let offset = offset(position);
        // SAFETY: `offset` is below `RING_SIZE`, the size of the memory at `base`.
        unsafe { self.base.add(offset) }
    }

    /// The 4-byte word `index` of the frame header at `position`.
    #[inline]
    pub(super) fn word(&self, position: u64, index: usize) -> &AtomicU32 {
        debug_assert!(position.is_multiple_of(FRAME_UNIT as u64) && index < 4);
        let word = self.at(position + 4 * index as u64).cast::<AtomicU32>();
        // SAFETY: in bounds and aligned, as `position` is a multiple of `FRAME_UNIT` and a header
        // never wraps; atomics may be shared with whoever else writes there.
        unsafe { word.as_ref() }
    }

    /// The total that the frame header at `position` tells, its bytes 16 to 24.
    #[inline]
    pub(super) fn total(&self, position: u64) -> &AtomicU64 {
        debug_assert!(position.is_multiple_of(FRAME_UNIT as u64));
        let total = self.at(position + 16).cast::<AtomicU64>();
        // SAFETY: as in `word`; byte 16 of a frame is aligned to 8.
        unsafe { total.as_ref() }
    }

    /// The first bytes of the body of the frame at `position`, which no frame is too short for.
    #[inline]
    fn first_bytes(&self, position: u64) -> &AtomicU64 {
        debug_assert!(position.is_multiple_of(FRAME_UNIT as u64));
        let bytes = self.at(position + FRAME_HEADER as u64).cast::<AtomicU64>();
        // SAFETY: as in `word`: a frame takes a whole `FRAME_UNIT`, which ends 8 bytes after the
        // header.
        unsafe { bytes.as_ref() }
    }

    /// Writes the body of the frame at `position`.
    #[inline]
    pub(super) fn write_body(self, position: u64, body: &[u8]) {
        if body.len() <= SHORT {
            let mut word = [0; SHORT];
            word[..body.len()].copy_from_slice(body);
            self.write_word(position, word);
        } else {
            self.write(position + FRAME_HEADER as u64, body);
        }
    }

    /// Writes a body that fits one word, padded to it, into the frame at `position`.
    #[inline]
    pub(super) fn write_word(self, position: u64, word: [u8; SHORT]) {
        self.first_bytes(position)
            .store(u64::from_ne_bytes(word), Relaxed);
    }

    /// The body of the frame at `position`, if it has so few bytes that they fit one word.
    #[inline]
    pub(super) fn short_body(self, position: u64, len: usize) -> Option<[u8; SHORT]> {
        (len <= SHORT).then(|| self.first_bytes(position).load(Relaxed).to_ne_bytes())
    }

    /// Copies `bytes` into the ring from `position` on.
    fn write(self, position: u64, bytes: &[u8]) {
        debug_assert!(bytes.len() <= RING_SIZE);
        let (first, second) = bytes.split_at(bytes.len().min(Self::until_end(position)));
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

    /// Copies the bytes of the ring from `position` on into `bytes`.
    pub(super) fn read(self, position: u64, bytes: &mut [u8]) {
        // SAFETY: the whole slice may be written.
        unsafe { self.copy(position, NonNull::from(&mut *bytes).cast(), bytes.len()) };
    }

    /// Copies `len` bytes of the ring from `position` on to the end of `buffer`, which has room.
    pub(super) fn append_to(self, position: u64, buffer: &mut Buffer, len: usize) {
        let spare = &mut buffer.spare()[..len];
        // SAFETY: the slice has `len` bytes, which may be written.
        unsafe { self.copy(position, NonNull::from(spare).cast(), len) };
        // SAFETY: just written.
        unsafe { buffer.filled(len) };
    }

    /// Copies `len` bytes of the ring from `position` on to `to`.
    ///
    /// # Safety
    ///
    /// `to` is valid for writes of `len` bytes of private memory.
    unsafe fn copy(self, position: u64, to: NonNull<u8>, len: usize) {
        debug_assert!(len <= RING_SIZE);
        let first = len.min(Self::until_end(position));
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
    pub(super) fn prefetch(self, position: u64) {
        #[cfg(target_arch = "x86_64")]
        {
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

    fn until_end(position: u64) -> usize {
        RING_SIZE - offset(position)
    }
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
