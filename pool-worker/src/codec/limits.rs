//! How much may come of bytes that a worker sent.

use super::{DecodeError, MAX_DEPTH};

/// How many bytes of values may be decoded from each byte, beyond [`Limits::memory`].
const EXPANSION: usize = 64;

/// Types of at most this size are not counted: of each byte no more than two values are made, of which
/// one may lie inside the other, so that they take half of what [`EXPANSION`] allows.
const UNCOUNTED: usize = EXPANSION / 4;

/// What a value may be that is decoded from foreign bytes.
///
/// Bytes alone bound no memory: of a single one an empty map is made, and of that a `struct` of any
/// size. So the sizes of values are counted as well. All that is decoded from `n` bytes takes at most
/// 64 · `n` + [`memory`](Self::memory) bytes, and for each byte no more than its type can be made of
/// one. What collections keep in reserve is not in that: as they grow they may have twice as much
/// again for a moment, serde reserves up to 1 MiB for each sequence that has begun, and a `BTreeMap`
/// has room for 11 entries from the first one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many levels may lie inside one another, [`MAX_DEPTH`] at the most.
    pub depth: u32,
    /// How many elements of sequences, entries of maps and fields of structs there may be in all.
    pub elements: usize,
    /// How many bytes the decoded values may take beyond 64 for each byte that they are decoded from.
    pub memory: usize,
}

impl Limits {
    /// As much as can be without danger to whoever decodes it. Values are not refused for their size that
    /// take less than 1 GiB, where one inside another counts for both, however few bytes they come from.
    pub const WIDEST: Self = Self {
        depth: MAX_DEPTH,
        elements: usize::MAX,
        memory: 1 << 30,
    };
}

/// One of the [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::depth`].
    Depth,
    /// [`Limits::elements`].
    Elements,
    /// [`Limits::memory`].
    Memory,
}

/// What is left of the limits.
pub(super) struct Allowance {
    limits: Limits,
    elements: usize,
    memory: usize,
}

impl Allowance {
    /// For a value that is decoded from so many bytes.
    #[inline]
    pub(super) fn new(limits: Limits, bytes: usize) -> Self {
        Self {
            limits,
            elements: limits.elements,
            memory: (bytes.saturating_mul(EXPANSION / 2)).saturating_add(limits.memory),
        }
    }

    /// Counts elements that are about to be decoded.
    #[inline]
    pub(super) fn count(&mut self, elements: usize) -> Result<(), DecodeError> {
        match self.elements.checked_sub(elements) {
            Some(left) => {
                self.elements = left;
                Ok(())
            }
            None => Err(self.too_many()),
        }
    }

    /// Counts the memory of a value of type `T`.
    #[inline]
    pub(super) fn charge<T>(&mut self) -> Result<(), DecodeError> {
        if size_of::<T>() <= UNCOUNTED {
            return Ok(());
        }
        match self.memory.checked_sub(size_of::<T>()) {
            Some(left) => {
                self.memory = left;
                Ok(())
            }
            None => Err(self.too_large()),
        }
    }

    #[cold]
    fn too_many(&self) -> DecodeError {
        let text = format!("more than {} elements", self.limits.elements);
        DecodeError::beyond(Limit::Elements, text)
    }

    #[cold]
    pub(super) fn too_deep(&self) -> DecodeError {
        let text = format!("nested deeper than {} levels", self.limits.depth);
        DecodeError::beyond(Limit::Depth, text)
    }

    #[cold]
    fn too_large(&self) -> DecodeError {
        let text = format!(
            "its values would take more memory than {EXPANSION} times its bytes and {} bytes; put \
             what is seldom there into a Box",
            self.limits.memory
        );
        DecodeError::beyond(Limit::Memory, text)
    }
}
