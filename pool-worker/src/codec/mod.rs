//! Values to bytes and back, one at a time.
//!
//! A plain value (`Vec<u8>`, `String`, `Vec<f64>` and the like) crosses as memory: its
//! length in bytes as a little-endian `u64`, then the bytes. The bytes of a large one lie apart, in
//! memory that is sent and received as it is, so that it is copied nowhere but in the channel; its
//! length tells so. Any other value crosses as
//! `MessagePack` as `rmp-serde` writes it with structs as maps, so that fields may be skipped and
//! untagged, flattened and internally tagged types find what they look for. What comes back must
//! be what was sent, so the format differs where `rmp-serde`'s would not give that:
//!
//! - `Some(x)` is written as `x`, which is ambiguous where `x` itself is written as nil (`None`,
//!   `()`, a unit struct, a JSON null). `marker::SOME` goes in front of such an `x`, and in front
//!   of an `x` that begins with that marker.
//! - A unit struct is nil, not an empty array, which an untagged enum would take for a sequence.
//! - 128-bit integers have markers of their own, or an untagged enum would take them for bytes.
//! - Lengths are checked: against what the `Serialize` implementation then gave, and against the
//!   32 bits that `MessagePack` has for them.
//! - `rmp-serde`'s extension types are refused.
//!
//! These markers begin with `0xc1`, which `MessagePack` never uses, so nothing else looks like
//! them. The format calls itself human-readable (IP addresses are text), because serde's buffers
//! for untagged, flattened and internally tagged types do so whatever format lies beneath, and a
//! type must see the same answer on both sides.
//!
//! Decoding trusts nothing: nesting is bounded by [`MAX_DEPTH`], an announced length by the bytes
//! that are left, and all lengths announced ahead together by the size of the input. So what a
//! decoder allocates is at most the size of one element for each byte of the input, and [`Limits`]
//! bound that whatever the type.

mod compound;
mod decoder;
mod encoded;
mod encoder;
mod error;
mod input;
mod limits;
mod plain;

pub use encoded::{Encoded, Source};
pub use error::{DecodeError, EncodeError};
pub use limits::{Limit, Limits};

use decoder::Decoder;
use encoder::Encoder;
use input::Input;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::TypeId;

/// How many sequences, maps, structs, enum variants with data, newtypes and `Some`s may lie inside
/// one another. Encoding and decoding recurse, so this bounds the stack that they use.
pub const MAX_DEPTH: u32 = 128;

/// What stands where `MessagePack` has no form, or an ambiguous one.
mod marker {
    /// Begins every marker; `MessagePack` never uses this byte.
    pub(super) const ESCAPE: u8 = 0xc1;
    /// After the escape: `Some`, of what follows.
    pub(super) const SOME: u8 = 0;
    /// After the escape: a `u128` follows, 16 bytes, little-endian.
    pub(super) const U128: u8 = 1;
    /// After the escape: an `i128` follows, 16 bytes, little-endian.
    pub(super) const I128: u8 = 2;
    /// What `None`, `()` and unit structs are.
    pub(super) const NIL: u8 = 0xc0;
}

/// Whether values of this type are numbers, truth values, characters or nothing at all: to encode and to
/// decode those runs no users' code, and they refer to nothing. Once compiled it is a constant.
#[inline]
pub fn is_number<T: 'static>() -> bool {
    macro_rules! is_any_of {
        ($($ty:ty)*) => { false $(|| TypeId::of::<T>() == TypeId::of::<$ty>())* };
    }
    is_any_of!(() u8 u16 u32 u64 usize i8 i16 i32 i64 isize f32 f64 bool char)
}

/// Appends the encoding of `value` to `out`.
///
/// Where this fails, or a `Serialize` implementation panics, `out` is as it was before.
pub fn encode<T: Serialize + 'static>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if let Some(bytes) = plain::memory_of(value) {
        plain::write(bytes, out);
        return Ok(());
    }
    let mut appended = Appended::to(out);
    value.serialize(Encoder::new(appended.out, MAX_DEPTH))?;
    appended.keep = true;
    Ok(())
}

/// As [`encode`], but a large plain value lies apart as it is, without a copy.
pub fn encode_owned<T: Serialize + 'static>(
    value: T,
    out: &mut Encoded,
) -> Result<(), EncodeError> {
    match plain::give(value, out) {
        Some(value) => encode(&value, &mut out.bytes),
        None => Ok(()),
    }
}

/// As [`encode`], but a copy of a large plain value lies apart, to be decoded without another one.
pub fn encode_borrowed<T: Serialize + 'static>(
    value: &T,
    out: &mut Encoded,
) -> Result<(), EncodeError> {
    if plain::lend(value, out)? {
        return Ok(());
    }
    encode(value, &mut out.bytes)
}

/// Decodes one value from the front of `input`, and moves `input` past it.
///
/// Where this fails, `input` is as it was before.
pub fn decode<T: DeserializeOwned + 'static>(input: &mut &[u8]) -> Result<T, DecodeError> {
    let mut source = Source::new(input, &mut []);
    let value = decode_from(&mut source)?;
    *input = source.bytes;
    Ok(value)
}

/// Decodes one value from the front of `source`, and moves `source` past it.
pub fn decode_from<T: DeserializeOwned + 'static>(
    source: &mut Source<'_>,
) -> Result<T, DecodeError> {
    if let Some(value) = plain::read(source)? {
        return Ok(value);
    }
    let mut tokens = Input::new(source.bytes, source.limits);
    let value = T::deserialize(Decoder::new(
        &mut tokens,
        source.limits.depth.min(MAX_DEPTH),
    ))?;
    // As a count: a processor stalls on a slice that was written in its parts a moment ago.
    source.bytes = &source.bytes[source.bytes.len() - tokens.left()..];
    Ok(value)
}

/// What is being appended to `out`; taken away again unless it is to be kept.
struct Appended<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    keep: bool,
}

impl<'a> Appended<'a> {
    fn to(out: &'a mut Vec<u8>) -> Self {
        Self {
            start: out.len(),
            out,
            keep: false,
        }
    }
}

impl Drop for Appended<'_> {
    fn drop(&mut self) {
        if !self.keep {
            self.out.truncate(self.start);
        }
    }
}
