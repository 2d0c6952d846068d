//! What one frame, or a stream of frames, carries.

use std::{iter, mem};

use super::MAX_BODY;
use super::ring::SHORT;
use crate::codec::{Encoded, Source};
use crate::sys::Buffer;

/// A call's arguments, or its answer.
// With a tag of one byte, values are moved in two parts, of which one is not aligned.
#[derive(Clone, Debug)]
#[repr(u64)]
pub enum Payload {
    /// It fits in one frame, and here.
    Inline(Inline),
    /// It fits in one frame.
    Small(Box<[u8]>),
    /// It is streamed: first the encoded bytes, then the memory of values that lie apart.
    Large(Box<[Buffer]>),
}

/// So few bytes that they lie in the value itself, and how many they are in the last byte of it.
///
/// It is made and moved as words: bytes that are written one by one and read at once stall the
/// processor.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(8))]
pub struct Inline([u8; Inline::SIZE]);

impl Inline {
    const SIZE: usize = 16;
    /// The most bytes that it holds.
    const MAX: usize = Self::SIZE - 1;

    /// The first `len` bytes of a word.
    #[inline]
    pub(super) fn of_word(word: [u8; SHORT], len: usize) -> Self {
        Self::of_padded(u128::from(u64::from_le_bytes(word)), len)
    }

    /// The first `len` bytes of these, if they are few enough. Where more lie there, they are copied at
    /// once instead of byte by byte.
    #[inline]
    pub fn of_first(bytes: &[u8], len: usize) -> Option<Self> {
        if len > Self::MAX {
            return None;
        }
        let padded = bytes.first_chunk().copied().unwrap_or_else(|| {
            let mut padded = [0; Self::SIZE];
            padded[..len].copy_from_slice(&bytes[..len]);
            padded
        });
        let unwanted = u128::MAX << (8 * len);
        let wanted = u128::from_le_bytes(padded) & !unwanted;
        Some(Self::of_padded(wanted, len))
    }

    /// The first `len` bytes of these, of which the last one is 0.
    #[inline]
    fn of_padded(bytes: u128, len: usize) -> Self {
        Self((bytes | (len.min(Self::MAX) as u128) << (8 * Self::MAX)).to_le_bytes())
    }

    /// These bytes as one word, padded to it, if they fit.
    #[inline]
    pub(super) fn word(&self) -> Option<[u8; SHORT]> {
        let word = self.0.first_chunk().copied();
        word.filter(|_| usize::from(self.0[Self::MAX]) <= SHORT)
    }

    /// How many they are.
    #[inline]
    pub fn len(&self) -> usize {
        usize::from(self.0[Self::MAX]).min(Self::MAX)
    }

    /// Whether there is not a single byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0[..self.len()]
    }
}

impl Payload {
    /// A copy of the first `len` bytes, which fit in one frame.
    #[inline]
    pub fn of_first(bytes: &[u8], len: usize) -> Self {
        match Inline::of_first(bytes, len) {
            Some(inline) => Self::Inline(inline),
            None => Self::Small(bytes[..len].into()),
        }
    }

    /// The encoded bytes, without the values that lie apart.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Inline(inline) => inline.as_slice(),
            Self::Small(bytes) => bytes,
            Self::Large(buffers) => buffers.first().map_or(&[], Buffer::as_slice),
        }
    }

    /// How many bytes there are in all.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Inline(inline) => inline.as_slice().len(),
            Self::Small(bytes) => bytes.len(),
            Self::Large(buffers) => buffers.iter().map(Buffer::len).sum(),
        }
    }

    /// Whether there is not a single byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is decoded from it; values that lie apart are taken out.
    #[inline]
    pub fn source(&mut self) -> Source<'_> {
        match self {
            Self::Inline(inline) => Source::new(inline.as_slice(), &mut []),
            Self::Small(bytes) => Source::new(bytes, &mut []),
            Self::Large(buffers) => match &mut **buffers {
                [] => Source::new(&[], &mut []),
                [bytes, parts @ ..] => Source::new(bytes.as_slice(), parts),
            },
        }
    }

    /// Its memory, to be used for something else.
    pub fn into_memory(self) -> Vec<Buffer> {
        match self {
            Self::Inline(_) | Self::Small(_) => Vec::new(),
            Self::Large(buffers) => buffers.into(),
        }
    }

    /// Takes what was encoded from byte `start` on, and all that lies apart; of a small one the bytes
    /// are left, with some more behind, to be thrown away.
    #[inline]
    pub fn take(encoded: &mut Encoded, start: usize) -> Self {
        if let Some(buffers) = take_large(encoded, start) {
            return Self::Large(buffers);
        }
        let len = encoded.bytes.len() - start;
        encoded.bytes.extend_from_slice(&[0; Inline::SIZE]);
        Self::of_first(&encoded.bytes[start..], len)
    }
}

const _: () = assert!(size_of::<Payload>() == 24);

/// Takes what was encoded from byte `start` on, and all that lies apart, if that is too large for one
/// frame.
#[inline]
pub fn take_large(Encoded { bytes, parts }: &mut Encoded, start: usize) -> Option<Box<[Buffer]>> {
    if parts.is_empty() && bytes.len() - start <= MAX_BODY {
        return None;
    }
    let head = match start {
        0 => mem::take(bytes),
        _ => bytes.split_off(start),
    };
    let head = Buffer::from_vec(head);
    Some(iter::once(head).chain(parts.drain(..)).collect())
}

impl Default for Payload {
    #[inline]
    fn default() -> Self {
        Self::Inline(Inline::default())
    }
}
