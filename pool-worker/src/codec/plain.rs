//! Values that cross as memory: text and slices of plain numbers.
//!
//! Which way a value goes hangs on its type alone, so both ends agree, and once compiled the
//! branch is a constant. `bytemuck` looks at numbers as bytes, so there is nothing unsafe here.

use super::DecodeError;
use std::any::Any;

/// What stands in front of the bytes.
type Length = u64;

macro_rules! for_each_number {
    ($number:ident => $do:tt) => {
        for_each_number!(@ $number $do
            u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64)
    };
    (@ $number:ident $do:tt $($type:ident)*) => {$(
        { type $number = $type; $do }
    )*};
}

/// The memory of `value`, if it is of a type that crosses so.
#[inline]
pub(super) fn bytes_of<T: 'static>(value: &T) -> Option<&[u8]> {
    let value: &dyn Any = value;
    if let Some(text) = value.downcast_ref::<String>() {
        return Some(text.as_bytes());
    }
    if let Some(text) = value.downcast_ref::<Box<str>>() {
        return Some(text.as_bytes());
    }
    for_each_number!(Number => {
        if let Some(numbers) = value.downcast_ref::<Vec<Number>>() {
            return Some(bytemuck::cast_slice(numbers));
        }
        if let Some(numbers) = value.downcast_ref::<Box<[Number]>>() {
            return Some(bytemuck::cast_slice(numbers));
        }
    });
    None
}

/// Appends length and bytes.
pub(super) fn write(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(size_of::<Length>() + bytes.len());
    out.extend_from_slice(&(bytes.len() as Length).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Reads a `T` from the front of `input`, if that is a type that crosses as memory.
#[inline]
pub(super) fn read<T: 'static>(input: &mut &[u8]) -> Result<Option<T>, DecodeError> {
    let mut value: Option<T> = None;
    let slot: &mut dyn Any = &mut value;
    if let Some(slot) = slot.downcast_mut::<Option<String>>() {
        *slot = Some(text(bytes(input)?)?.to_owned());
        return Ok(value);
    }
    if let Some(slot) = slot.downcast_mut::<Option<Box<str>>>() {
        *slot = Some(text(bytes(input)?)?.into());
        return Ok(value);
    }
    for_each_number!(Number => {
        if let Some(slot) = slot.downcast_mut::<Option<Vec<Number>>>() {
            *slot = Some(numbers(bytes(input)?, Number::from_ne_bytes)?);
            return Ok(value);
        }
        if let Some(slot) = slot.downcast_mut::<Option<Box<[Number]>>>() {
            *slot = Some(numbers(bytes(input)?, Number::from_ne_bytes)?);
            return Ok(value);
        }
    });
    Ok(None)
}

/// Takes length and bytes from the front of `input`.
fn bytes<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let split = input.split_first_chunk().and_then(|(length, rest)| {
        rest.split_at_checked(Length::from_le_bytes(*length).try_into().ok()?)
    });
    let (bytes, rest) = split.ok_or_else(|| DecodeError::new("the bytes end within a value"))?;
    *input = rest;
    Ok(bytes)
}

fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    str::from_utf8(bytes)
        .map_err(|error| DecodeError::new(format!("a string is not UTF-8: {error}")))
}

fn numbers<N, S: FromIterator<N>, const SIZE: usize>(
    bytes: &[u8],
    from_bytes: impl Fn([u8; SIZE]) -> N,
) -> Result<S, DecodeError> {
    let (chunks, []) = bytes.as_chunks() else {
        return Err(DecodeError::new("bytes of numbers end within a number"));
    };
    Ok(chunks.iter().map(|chunk| from_bytes(*chunk)).collect())
}
