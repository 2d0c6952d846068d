//! Frames in a ring: where their words and bodies lie.

use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;

use super::machine::{AtomicU32, AtomicU64, Bytes};
use super::{FRAME_HEADER, FRAME_UNIT};
use crate::sys::Buffer;

/// Bytes of a body that fit the first unit of a frame, behind the header. So short a body is one
/// word, copied without a call.
pub(super) const SHORT: usize = FRAME_UNIT - FRAME_HEADER;

const _: () = assert!(SHORT == size_of::<u64>());

/// One ring, shared with another process that may write it at any time.
///
/// Everything outside frames' bodies is accessed through atomics, bodies by raw copies. A body is
/// copied while the peer has no business in it; a peer that writes there all the same tears only
/// the copy, which is checked like any other input.
#[derive(Clone, Copy)]
pub(super) struct Ring(pub(super) Bytes);

impl Ring {
    /// The 4-byte word `index` of the frame header at `position`.
    #[inline]
    pub(super) fn word(&self, position: u64, index: usize) -> &AtomicU32 {
        debug_assert!(position.is_multiple_of(FRAME_UNIT as u64) && index < 4);
        self.0.word(position + 4 * index as u64)
    }

    /// The total that the frame header at `position` tells, its bytes 16 to 24.
    #[inline]
    pub(super) fn total(&self, position: u64) -> &AtomicU64 {
        debug_assert!(position.is_multiple_of(FRAME_UNIT as u64));
        self.0.long(position + 16)
    }

    /// The first bytes of the body of the frame at `position`, which no frame is too short for.
    #[inline]
    fn first_bytes(&self, position: u64) -> &AtomicU64 {
        debug_assert!(position.is_multiple_of(FRAME_UNIT as u64));
        self.0.long(position + FRAME_HEADER as u64)
    }

    /// Writes the body of the frame at `position`.
    #[inline]
    pub(super) fn write_body(self, position: u64, body: &[u8]) {
        if body.len() <= SHORT {
            let mut word = [0; SHORT];
            word[..body.len()].copy_from_slice(body);
            self.write_word(position, word);
        } else {
            self.0.write(position + FRAME_HEADER as u64, body);
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

    /// Copies the bytes of the ring from `position` on into `bytes`.
    pub(super) fn read(self, position: u64, bytes: &mut [u8]) {
        // SAFETY: the whole slice may be written.
        unsafe {
            self.0
                .read(position, NonNull::from(&mut *bytes).cast(), bytes.len());
        };
    }

    /// Copies `len` bytes of the ring from `position` on to the end of `buffer`, which has room.
    pub(super) fn append_to(self, position: u64, buffer: &mut Buffer, len: usize) {
        let spare = &mut buffer.spare()[..len];
        // SAFETY: the slice has `len` bytes, which may be written.
        unsafe { self.0.read(position, NonNull::from(spare).cast(), len) };
        // SAFETY: just written.
        unsafe { buffer.filled(len) };
    }

    /// Has the cache line fetched, to be written, that lies some frames behind `position`.
    #[inline]
    pub(super) fn prefetch(self, position: u64) {
        self.0.prefetch(position);
    }
}
