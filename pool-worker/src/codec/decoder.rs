//! The deserializer.

use super::DecodeError;
use super::input::{Input, Token};
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Reads one value from the front of `input`.
pub(super) struct Decoder<'a, 'de> {
    input: &'a mut Input<'de>,
    /// How many levels may still lie inside this value.
    levels: u32,
}

impl<'a, 'de> Decoder<'a, 'de> {
    #[inline]
    pub(super) fn new(input: &'a mut Input<'de>, levels: u32) -> Self {
        Self { input, levels }
    }

    /// The decoder of what lies one level further in. Every step inwards counts, also those that
    /// read no byte: a type can hold itself behind nothing but `Some`s and newtypes.
    #[inline]
    fn inner(self) -> Result<Self, DecodeError> {
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Self { levels, ..self }),
            None => Err(self.input.allowance.too_deep()),
        }
    }

    #[inline]
    fn visit<V: Visitor<'de>>(
        self,
        token: Token<'de>,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match token {
            Token::Nil => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Unsigned(value) => visitor.visit_u64(value),
            Token::Signed(value) => visitor.visit_i64(value),
            Token::Unsigned128(bytes) => visitor.visit_u128(u128::from_le_bytes(bytes)),
            Token::Signed128(bytes) => visitor.visit_i128(i128::from_le_bytes(bytes)),
            Token::F32(value) => visitor.visit_f32(value),
            Token::F64(value) => visitor.visit_f64(value),
            Token::Str(text) => visitor.visit_borrowed_str(text),
            Token::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Token::Some => visitor.visit_some(self.inner()?),
            Token::Seq(len) => self.parts(len, |parts| visitor.visit_seq(parts)),
            Token::Map(len) => self.parts(len, |parts| visitor.visit_map(parts)),
        }
    }

    /// Has all `len` elements or entries visited by `visit`.
    #[inline]
    fn parts<T>(
        self,
        len: usize,
        visit: impl FnOnce(&mut Parts<'_, 'de>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let Self { input, levels } = self.inner()?;
        input.allowance.count(len)?;
        input.allowance.charge::<T>()?;
        let mut parts = Parts {
            announced: input.announce(len),
            input,
            levels,
            left: len,
        };
        let value = visit(&mut parts)?;
        match parts.left {
            0 => Ok(value),
            left => Err(left_over(left, len)),
        }
    }

    /// Reads a sequence; bytes are one, too, to a type that asks for it.
    #[inline]
    fn seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.input.token()? {
            Token::Bytes(bytes) => {
                self.input.allowance.count(bytes.len())?;
                let mut octets = Octets {
                    input: self.input,
                    bytes,
                };
                let value = visitor.visit_seq(&mut octets)?;
                match octets.bytes.len() {
                    0 => Ok(value),
                    left => Err(left_over(left, bytes.len())),
                }
            }
            token => self.visit(token, visitor),
        }
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            match self.input.unsigned() {
                Some(value) => visitor.visit_u64(value),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Decoder<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let token = self.input.token()?;
        self.visit(token, visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.input.at_nil() {
            self.input.token()?;
            return visitor.visit_none();
        }
        if self.input.at_some() {
            self.input.token()?;
        }
        visitor.visit_some(self.inner()?)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self.inner()?)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.seq(visitor)
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.seq(visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.seq(visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.input.token()? {
            Token::Str(variant) => visitor.visit_enum(BorrowedStrDeserializer::new(variant)),
            Token::Map(1) => visitor.visit_enum(Variant(self)),
            token => self.visit(token, visitor),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct map struct identifier ignored_any
    }
}

#[cold]
fn left_over(left: usize, len: usize) -> DecodeError {
    DecodeError::new(format!(
        "{left} of {len} items are more than the type takes"
    ))
}

/// The elements of a sequence, or the entries of a map.
struct Parts<'a, 'de> {
    input: &'a mut Input<'de>,
    levels: u32,
    left: usize,
    /// How many of them may be allocated ahead.
    announced: usize,
}

impl<'de> Parts<'_, 'de> {
    #[inline]
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        match self.left.checked_sub(1) {
            None => Ok(None),
            Some(left) => {
                self.left = left;
                self.value(seed).map(Some)
            }
        }
    }

    #[inline]
    fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, DecodeError> {
        self.input.allowance.charge::<S::Value>()?;
        seed.deserialize(Decoder::new(self.input, self.levels))
    }
}

impl<'de> de::SeqAccess<'de> for Parts<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        self.next(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.announced.min(self.left))
    }
}

impl<'de> de::MapAccess<'de> for Parts<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        self.next(seed)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        self.value(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.announced.min(self.left))
    }
}

/// Bytes as a sequence of numbers.
struct Octets<'a, 'de> {
    input: &'a mut Input<'de>,
    bytes: &'de [u8],
}

impl<'de> de::SeqAccess<'de> for &mut Octets<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        let Some(&byte) = self.bytes.split_off_first() else {
            return Ok(None);
        };
        self.input.allowance.charge::<S::Value>()?;
        seed.deserialize(byte.into_deserializer()).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.bytes.len())
    }
}

/// A variant with data: its name and the data follow.
struct Variant<'a, 'de>(Decoder<'a, 'de>);

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self), DecodeError> {
        let Decoder { input, levels } = self.0;
        let name = seed.deserialize(Decoder::new(input, levels))?;
        Ok((name, Self(Decoder::new(input, levels))))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        Err(DecodeError::new("an enum variant without data has data"))
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        seed.deserialize(self.0.inner()?)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.0.deserialize_tuple(len, visitor)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.0.deserialize_any(visitor)
    }
}
