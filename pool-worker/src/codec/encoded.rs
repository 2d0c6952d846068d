//! What values are encoded into, and decoded from.

use super::{DecodeError, Limits};
use crate::sys::Buffer;
use serde::de::Error as _;

/// Values on their way out: their bytes, and the memory of large ones, which crosses as it is.
#[derive(Debug, Default)]
pub struct Encoded {
    /// The encodings of all values, one after another.
    pub bytes: Vec<u8>,
    /// The memory of those that lie apart, in the order in which `bytes` refers to them.
    pub parts: Vec<Buffer>,
}

impl Encoded {
    /// How many bytes there are in all.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.parts.iter().map(Buffer::len).sum::<usize>()
    }

    /// Whether there is not a single byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it has memory to give back: more than so many bytes, or values that lie apart.
    pub fn is_heavy(&self, bytes: usize) -> bool {
        self.bytes.capacity() > bytes || !self.parts.is_empty()
    }

    /// What the values are decoded from; those that lie apart are taken out.
    pub fn source(&mut self) -> Source<'_> {
        Source::new(&self.bytes, &mut self.parts)
    }
}

/// Values that have arrived, to be decoded one after another.
#[derive(Debug)]
pub struct Source<'a> {
    pub(super) bytes: &'a [u8],
    parts: &'a mut [Buffer],
    pub(super) limits: Limits,
}

impl<'a> Source<'a> {
    /// All values of `bytes`; those that lie apart are taken out of `parts`.
    pub fn new(bytes: &'a [u8], parts: &'a mut [Buffer]) -> Self {
        Self {
            bytes,
            parts,
            limits: Limits::WIDEST,
        }
    }

    /// The same, of which no value may be more than `limits` allow.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Takes the next part, which is to be of `len` bytes.
    pub(super) fn take_part(&mut self, len: u64) -> Option<Buffer> {
        if self.parts.first()?.len() as u64 != len {
            return None;
        }
        let part = std::mem::take(self.parts.split_off_first_mut()?);
        Some(part)
    }

    /// Refuses what is left behind the last value.
    #[inline]
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.bytes.is_empty() && self.parts.is_empty() {
            return Ok(());
        }
        Err(DecodeError::custom(format_args!(
            "{} bytes are left behind the last value",
            self.bytes.len() + self.parts.iter().map(Buffer::len).sum::<usize>()
        )))
    }
}
