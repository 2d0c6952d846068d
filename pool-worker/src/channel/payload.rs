//! What one frame, or a stream of frames, carries.

use std::{iter, mem};

use smallvec::SmallVec;

use super::MAX_BODY;
use crate::codec::{Encoded, Source};
use crate::sys::Buffer;

/// Bytes of a call's arguments or of its answer; small ones need no memory of their own.
pub type Bytes = SmallVec<[u8; 32]>;

/// A call's arguments, or its answer.
#[derive(Clone, Debug)]
pub enum Payload {
    /// It fits in one frame.
    Small(Bytes),
    /// It is streamed: first the encoded bytes, then the memory of values that lie apart.
    Large(Box<[Buffer]>),
}

impl Payload {
    /// The encoded bytes, without the values that lie apart.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Large(buffers) => buffers.first().map_or(&[], Buffer::as_slice),
        }
    }

    /// How many bytes there are in all.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
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
            Self::Small(_) => Vec::new(),
            Self::Large(buffers) => buffers.into(),
        }
    }

    /// Takes what was encoded; of a small one the buffer is left, to be used again.
    #[inline]
    pub fn take(encoded: &mut Encoded) -> Self {
        match take_large(encoded) {
            Some(buffers) => Self::Large(buffers),
            None => Self::Small(Bytes::from_slice(&encoded.bytes)),
        }
    }
}

/// Takes what was encoded if it is too large for one frame.
#[inline]
pub fn take_large(Encoded { bytes, parts }: &mut Encoded) -> Option<Box<[Buffer]>> {
    if parts.is_empty() && bytes.len() <= MAX_BODY {
        return None;
    }
    let head = Buffer::from_vec(mem::take(bytes));
    Some(iter::once(head).chain(parts.drain(..)).collect())
}

impl Default for Payload {
    fn default() -> Self {
        Self::Small(Bytes::new())
    }
}
