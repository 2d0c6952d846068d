//! Values that cross as memory: text and slices of plain numbers.
//!
//! Which way a value goes hangs on its type alone, so both ends agree, and once compiled the
//! branch is a constant. `bytemuck` looks at numbers as bytes, so there is nothing unsafe here.

use super::{DecodeError, EncodeError, Encoded, Source};
use crate::sys::{Buffer, OutOfMemory};
use bytemuck::Pod;
use std::any::{Any, TypeId};

/// What stands in front of the bytes: how many there are, and whether they lie apart.
type Length = u64;

/// The bit of a length that says so.
const APART: Length = 1 << 63;

/// Values of at least this many bytes lie apart from all others, in memory of their own.
const LARGE: usize = 16 * 1024;

/// A type of values that cross as memory.
trait Plain: Sized + 'static {
    /// What the memory has to be aligned to.
    const ALIGN: usize;
    const ID: TypeId = TypeId::of::<Self>();
    const WAY: &'static Way = &Way {
        align: Self::ALIGN,
        memory: |value| value.downcast_ref::<Self>().map(Self::bytes),
        take_large: |slot| {
            let slot = slot.downcast_mut::<Option<Self>>()?;
            slot.take_if(|it| it.bytes().len() >= LARGE)
                .map(Self::into_buffer)
        },
        read: |slot, source| {
            if let Some(slot) = slot.downcast_mut() {
                *slot = Some(Self::from_memory(memory(source)?)?);
            }
            Ok(())
        },
    };

    fn bytes(&self) -> &[u8];
    fn into_buffer(self) -> Buffer;
    fn from_memory(memory: Memory<'_>) -> Result<Self, DecodeError>;
}

/// What is done with values of a plain type: once for each of these, and not for each type that is sent.
/// In a slot lies an `Option` of that type.
struct Way {
    align: usize,
    memory: fn(&dyn Any) -> Option<&[u8]>,
    take_large: fn(&mut dyn Any) -> Option<Buffer>,
    read: fn(&mut dyn Any, &mut Source<'_>) -> Result<(), DecodeError>,
}

impl Plain for String {
    const ALIGN: usize = 1;

    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn into_buffer(self) -> Buffer {
        Buffer::from_vec(self.into_bytes())
    }

    fn from_memory(memory: Memory<'_>) -> Result<Self, DecodeError> {
        text(memory)
    }
}

impl Plain for Box<str> {
    const ALIGN: usize = 1;

    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn into_buffer(self) -> Buffer {
        self.into_string().into_buffer()
    }

    fn from_memory(memory: Memory<'_>) -> Result<Self, DecodeError> {
        Ok(text(memory)?.into())
    }
}

macro_rules! way {
    ($id:ident: $($plain:ty),*) => {
        $(if $id == <$plain>::ID {
            Some(<$plain>::WAY)
        } else)* {
            None
        }
    };
}

macro_rules! plain_numbers {
    ($($number:ident)*) => {
        $(
            impl Plain for Vec<$number> {
                const ALIGN: usize = align_of::<$number>();

                fn bytes(&self) -> &[u8] {
                    bytemuck::cast_slice(self)
                }

                fn into_buffer(self) -> Buffer {
                    Buffer::from_vec(self)
                }

                fn from_memory(memory: Memory<'_>) -> Result<Self, DecodeError> {
                    numbers(memory, $number::from_ne_bytes)
                }
            }

            impl Plain for Box<[$number]> {
                const ALIGN: usize = align_of::<$number>();

                fn bytes(&self) -> &[u8] {
                    bytemuck::cast_slice(self)
                }

                fn into_buffer(self) -> Buffer {
                    self.into_vec().into_buffer()
                }

                fn from_memory(memory: Memory<'_>) -> Result<Self, DecodeError> {
                    Vec::from_memory(memory).map(Vec::into)
                }
            }
        )*

        /// The way of a `T`, if that is a plain type.
        #[inline]
        fn way<T: 'static>() -> Option<&'static Way> {
            let id = TypeId::of::<T>();
            way!(id: String, Box<str>, $(Vec<$number>, Box<[$number]>),*)
        }
    };
}

plain_numbers! {
    u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64
}

/// The memory of `value`, if it is of a type that crosses so.
#[inline]
pub(super) fn memory_of<T: 'static>(value: &T) -> Option<&[u8]> {
    (way::<T>()?.memory)(value)
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
    let mut value = Some(value);
    if let Some(way) = way::<T>()
        && let Some(buffer) = (way.take_large)(&mut value)
    {
        apart(buffer, out);
    }
    value
}

/// Lays a copy of a large value apart; `false` if it is not one.
#[inline]
pub(super) fn lend<T: 'static>(value: &T, out: &mut Encoded) -> Result<bool, EncodeError> {
    if let Some(way) = way::<T>()
        && let Some(bytes) = (way.memory)(value)
        && bytes.len() >= LARGE
    {
        let copy = Buffer::copy_of(bytes, way.align).map_err(|OutOfMemory| {
            EncodeError::new(
                "there is no memory for a copy; give the value away instead of lending it",
            )
        })?;
        apart(copy, out);
        return Ok(true);
    }
    Ok(false)
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
    if let Some(way) = way::<T>() {
        (way.read)(&mut value, source)?;
    }
    Ok(value)
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
