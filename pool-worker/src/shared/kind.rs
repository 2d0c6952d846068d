//! What can be shared, and how each kind of it lies in memory.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{self, DeserializeOwned, Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::{self, DecodeError, EncodeError};
use crate::sys::{Sealed, SealedText};

/// Numbers whose slices are shared as the memory that they are: integers and floating-point numbers.
///
/// The trait is sealed.
///
/// ```
/// use pool_core::{Plain, Shared};
///
/// fn halves<T: Plain>(numbers: &[T]) -> [Shared<[T]>; 2] {
///     let (left, right) = numbers.split_at(numbers.len() / 2);
///     [Shared::from_slice(left), Shared::from_slice(right)]
/// }
///
/// let [left, right] = halves(&[1.5, 2.5, 3.5]);
/// assert_eq!((&left[..], &right[..]), (&[1.5][..], &[2.5, 3.5][..]));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no plain number",
    note = "slices of `u8` to `u128`, `usize`, `i8` to `i128`, `isize`, `f32` and `f64` are shared \
            in place; share a `Vec<{Self}>` for anything else that serde knows"
)]
pub trait Plain: sealed::Plain {}

/// What a [`Shared`](crate::Shared) may hold: a value that serde knows and threads may share, a slice
/// of [`Plain`] numbers, or text.
///
/// The trait is sealed.
///
/// ```
/// use pool_core::{Shareable, Shared};
///
/// fn holders<T: Shareable + ?Sized>(value: &Shared<T>) -> [Shared<T>; 2] {
///     [value.clone(), value.clone()]
/// }
///
/// let [a, b] = holders(&Shared::from_slice(&[1u8, 2]));
/// assert!(std::ptr::eq(&*a, &*b));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be shared",
    note = "share a value that is `Serialize + DeserializeOwned + Send + Sync + 'static`, a slice \
            of plain numbers, or `str`"
)]
pub trait Shareable: sealed::Shareable {}

impl<T: ?Sized + sealed::Shareable> Shareable for T {}

pub(super) mod sealed {
    use super::{Arc, DecodeError, Deserializer, EncodeError, Sealed, Serializer};

    pub trait Plain: bytemuck::Pod + Send + Sync {}

    pub trait Shareable: 'static {
        /// What stands for the value in this process.
        type Held: Send + Sync + 'static;

        /// The value.
        fn value(held: &Self::Held) -> &Self;

        /// The value that lies in this memory.
        fn open(memory: &Arc<Sealed>) -> Result<Self::Held, DecodeError>;

        /// Hands `write` the bytes that [`open`](Self::open) is to find.
        fn bytes<R>(held: &Self::Held, write: impl FnOnce(&[u8]) -> R) -> Result<R, EncodeError>;

        /// Encodes the value itself.
        fn encode<S: Serializer>(held: &Self::Held, to: S) -> Result<S::Ok, S::Error>;

        /// Decodes the value itself.
        fn decode<'de, D: Deserializer<'de>>(from: D) -> Result<Self::Held, D::Error>;
    }
}

macro_rules! plain {
    ($($number:ident)*) => {$(
        impl sealed::Plain for $number {}
        impl Plain for $number {}
    )*};
}

plain!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64);

/// A value that serde knows: decoded once, and then held as itself.
impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> sealed::Shareable for T {
    type Held = T;

    fn value(held: &T) -> &T {
        held
    }

    fn open(memory: &Arc<Sealed>) -> Result<T, DecodeError> {
        codec::decode(&mut memory.bytes())
    }

    fn bytes<R>(held: &T, write: impl FnOnce(&[u8]) -> R) -> Result<R, EncodeError> {
        let mut bytes = Vec::new();
        codec::encode(held, &mut bytes)?;
        Ok(write(&bytes))
    }

    fn encode<S: Serializer>(held: &T, to: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(held, to)
    }

    fn decode<'de, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        Deserialize::deserialize(from)
    }
}

/// Numbers in a row.
pub enum Numbers<T> {
    /// In memory that other processes read too.
    Mapped(Arc<Sealed>),
    /// In this process alone.
    Private(Vec<T>),
}

/// Numbers: read where they lie.
impl<T: Plain> sealed::Shareable for [T] {
    type Held = Numbers<T>;

    #[inline]
    fn value(held: &Numbers<T>) -> &[T] {
        match held {
            // Whole numbers were found in it when it was opened.
            Numbers::Mapped(memory) => bytemuck::cast_slice(memory.bytes()),
            Numbers::Private(numbers) => numbers,
        }
    }

    fn open(memory: &Arc<Sealed>) -> Result<Numbers<T>, DecodeError> {
        whole::<T, DecodeError>(memory.bytes())?;
        Ok(Numbers::Mapped(Arc::clone(memory)))
    }

    fn bytes<R>(held: &Numbers<T>, write: impl FnOnce(&[u8]) -> R) -> Result<R, EncodeError> {
        Ok(write(bytemuck::cast_slice(Self::value(held))))
    }

    fn encode<S: Serializer>(held: &Numbers<T>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytemuck::cast_slice(Self::value(held)))
    }

    fn decode<'de, D: Deserializer<'de>>(from: D) -> Result<Numbers<T>, D::Error> {
        from.deserialize_bytes(Copied(PhantomData))
            .map(Numbers::Private)
    }
}

/// Text.
pub enum Text {
    /// In memory that other processes read too.
    Mapped(SealedText),
    /// In this process alone.
    Private(Box<str>),
}

/// Text: checked once, and read where it lies.
impl sealed::Shareable for str {
    type Held = Text;

    #[inline]
    fn value(held: &Text) -> &str {
        match held {
            Text::Mapped(text) => text.as_str(),
            Text::Private(text) => text,
        }
    }

    fn open(memory: &Arc<Sealed>) -> Result<Text, DecodeError> {
        SealedText::new(memory)
            .map(Text::Mapped)
            .map_err(DecodeError::custom)
    }

    fn bytes<R>(held: &Text, write: impl FnOnce(&[u8]) -> R) -> Result<R, EncodeError> {
        Ok(write(Self::value(held).as_bytes()))
    }

    fn encode<S: Serializer>(held: &Text, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(Self::value(held))
    }

    fn decode<'de, D: Deserializer<'de>>(from: D) -> Result<Text, D::Error> {
        Box::<str>::deserialize(from).map(Text::Private)
    }
}

/// How many numbers lie in these bytes, if they are whole.
fn whole<T: Plain, E: de::Error>(bytes: &[u8]) -> Result<usize, E> {
    if bytes.len().is_multiple_of(size_of::<T>()) {
        Ok(bytes.len() / size_of::<T>())
    } else {
        Err(E::custom("bytes of numbers end within a number"))
    }
}

/// Copies bytes into memory that is aligned for the numbers that they are.
struct Copied<T>(PhantomData<T>);

impl<T: Plain> Visitor<'_> for Copied<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of numbers")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<T>, E> {
        let mut numbers = vec![T::zeroed(); whole::<T, E>(bytes)?];
        bytemuck::cast_slice_mut(&mut numbers).copy_from_slice(bytes);
        Ok(numbers)
    }
}
