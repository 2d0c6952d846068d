//! Values that cross as memory: text and slices of plain numbers.
//!
//! Which way a value goes hangs on its type alone, so both ends agree, and once compiled the
//! branch is a constant. `bytemuck` looks at numbers as bytes, so there is nothing unsafe here.

use super::{DecodeError, EncodeError, Encoded, Source};
use crate::sys::{Buffer, OutOfMemory};
use bytemuck::Pod;
use std::any::Any;

/// What stands in front of the bytes: how many there are, and whether they lie apart.
type Length = u64;

/// The bit of a length that says so.
const APART: Length = 1 << 63;

/// Values of at least this many bytes lie apart from all others, in memory of their own.
const LARGE: usize = 16 * 1024;

macro_rules! for_each_number {
    ($number:ident => $do:tt) => {
        for_each_number!(@ $number $do
            u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64)
    };
    (@ $number:ident $do:tt $($type:ident)*) => {$(
        { type $number = $type; $do; }
    )*};
}

/// The memory of `value`, and what it has to be aligned to, if it is of a type that crosses so.
#[inline]
pub(super) fn memory_of<T: 'static>(value: &T) -> Option<(&[u8], usize)> {
    let value: &dyn Any = value;
    if let Some(text) = value.downcast_ref::<String>() {
        return Some((text.as_bytes(), 1));
    }
    if let Some(text) = value.downcast_ref::<Box<str>>() {
        return Some((text.as_bytes(), 1));
    }
    for_each_number!(Number => {
        if let Some(numbers) = value.downcast_ref::<Vec<Number>>() {
            return Some((bytemuck::cast_slice(numbers), align_of::<Number>()));
        }
        if let Some(numbers) = value.downcast_ref::<Box<[Number]>>() {
            return Some((bytemuck::cast_slice(numbers), align_of::<Number>()));
        }
    });
    None
}

/// As [`memory_of`], for values that lie apart.
#[inline]
fn large_memory_of<T: 'static>(value: &T) -> Option<(&[u8], usize)> {
    memory_of(value).filter(|(bytes, _)| bytes.len() >= LARGE)
}

/// Appends length and bytes.
pub(super) fn write(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(size_of::<Length>() + bytes.len());
    out.extend_from_slice(&(bytes.len() as Length).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Lays a large value apart, without a copy; gives back what is not one.
#[inline]
pub(super) fn give<T: 'static>(value: T, out: &mut Encoded) -> Option<T> {
    if large_memory_of(&value).is_none() {
        return Some(value);
    }
    let mut value = Some(value);
    let slot: &mut dyn Any = &mut value;
    if let Some(text) = taken::<String>(slot) {
        apart(Buffer::from_vec(text.into_bytes()), out);
    } else if let Some(text) = taken::<Box<str>>(slot) {
        apart(Buffer::from_vec(String::from(text).into_bytes()), out);
    }
    for_each_number!(Number => {
        if let Some(numbers) = taken::<Vec<Number>>(slot) {
            apart(Buffer::from_vec(numbers), out);
        } else if let Some(numbers) = taken::<Box<[Number]>>(slot) {
            apart(Buffer::from_vec(numbers.into_vec()), out);
        }
    });
    value
}

/// Lays a copy of a large value apart; `false` if it is not one.
#[inline]
pub(super) fn lend<T: 'static>(value: &T, out: &mut Encoded) -> Result<bool, EncodeError> {
    let Some((bytes, align)) = large_memory_of(value) else {
        return Ok(false);
    };
    let copy = Buffer::copy_of(bytes, align).map_err(|OutOfMemory| {
        EncodeError::new("there is no memory for a copy; give the value away instead of lending it")
    })?;
    apart(copy, out);
    Ok(true)
}

fn taken<T: 'static>(slot: &mut dyn Any) -> Option<T> {
    slot.downcast_mut::<Option<T>>()?.take()
}

fn apart(buffer: Buffer, out: &mut Encoded) {
    let length = buffer.len() as Length | APART;
    out.bytes.extend_from_slice(&length.to_le_bytes());
    out.parts.push(buffer);
}

/// Reads a `T` from the front of `source`, if that is a type that crosses as memory.
#[inline]
pub(super) fn read<T: 'static>(source: &mut Source<'_>) -> Result<Option<T>, DecodeError> {
    let mut value: Option<T> = None;
    let slot: &mut dyn Any = &mut value;
    if let Some(slot) = slot.downcast_mut::<Option<String>>() {
        *slot = Some(text(memory(source)?)?);
        return Ok(value);
    }
    if let Some(slot) = slot.downcast_mut::<Option<Box<str>>>() {
        *slot = Some(text(memory(source)?)?.into());
        return Ok(value);
    }
    for_each_number!(Number => {
        if let Some(slot) = slot.downcast_mut::<Option<Vec<Number>>>() {
            *slot = Some(numbers(memory(source)?, Number::from_ne_bytes)?);
            return Ok(value);
        }
        if let Some(slot) = slot.downcast_mut::<Option<Box<[Number]>>>() {
            *slot = Some(numbers(memory(source)?, Number::from_ne_bytes)?.into());
            return Ok(value);
        }
    });
    Ok(None)
}

/// Where the bytes of a value are.
enum Memory<'a> {
    Inline(&'a [u8]),
    Apart(Buffer),
}

/// Takes a value that crossed as memory from the front of `source`.
fn memory<'a>(source: &mut Source<'a>) -> Result<Memory<'a>, DecodeError> {
    taken_from(source).ok_or_else(|| DecodeError::new("the bytes end within a value"))
}

fn taken_from<'a>(source: &mut Source<'a>) -> Option<Memory<'a>> {
    let (length, rest) = source.bytes.split_first_chunk()?;
    let length = Length::from_le_bytes(*length);
    if length & APART == 0 {
        let (bytes, rest) = rest.split_at_checked(length.try_into().ok()?)?;
        source.bytes = rest;
        return Some(Memory::Inline(bytes));
    }
    let part = source.take_part(length & !APART)?;
    source.bytes = rest;
    Some(Memory::Apart(part))
}

fn text(memory: Memory<'_>) -> Result<String, DecodeError> {
    let invalid = |error| DecodeError::new(format!("a string is not UTF-8: {error}"));
    let bytes = match memory {
        Memory::Inline(bytes) => return Ok(str::from_utf8(bytes).map_err(invalid)?.to_owned()),
        Memory::Apart(part) => numbers(Memory::Apart(part), u8::from_ne_bytes)?,
    };
    String::from_utf8(bytes).map_err(|error| invalid(error.utf8_error()))
}

fn numbers<N: Pod, const SIZE: usize>(
    memory: Memory<'_>,
    from_bytes: impl Fn([u8; SIZE]) -> N,
) -> Result<Vec<N>, DecodeError> {
    let collect = |bytes: &[u8]| {
        let (chunks, []) = bytes.as_chunks() else {
            return Err(DecodeError::new("bytes of numbers end within a number"));
        };
        Ok(chunks.iter().map(|chunk| from_bytes(*chunk)).collect())
    };
    match memory {
        Memory::Inline(bytes) => collect(bytes),
        // Memory that is not aligned as these numbers are was sent by nobody who means well.
        Memory::Apart(part) => part
            .into_vec()
            .map_err(|_| DecodeError::new("bytes of numbers are those of other numbers")),
    }
}
