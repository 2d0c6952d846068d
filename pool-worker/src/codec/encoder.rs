//! The serializer.

use super::compound::{self, Compound};
use super::{EncodeError, MAX_DEPTH, marker};
use serde::{Serialize, Serializer};

/// The newtype name by which `rmp-serde` knows its extension types.
const EXTENSION: &str = rmp_serde::MSGPACK_EXT_STRUCT_NAME;

type MessagePack<'a> = rmp_serde::Serializer<&'a mut Vec<u8>>;

/// Writes one value to the end of `out`.
pub(super) struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    /// How many levels may still lie inside this value.
    levels: u32,
}

impl<'a> Encoder<'a> {
    #[inline]
    pub(super) fn new(out: &'a mut Vec<u8>, levels: u32) -> Self {
        Self { out, levels }
    }

    /// The encoder of what lies one level further in.
    #[inline]
    fn inner(self) -> Result<Self, EncodeError> {
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Self { levels, ..self }),
            None => Err(EncodeError::new(format!(
                "nested deeper than {MAX_DEPTH} levels; flatten the type, or encode its parts to \
                 bytes of their own"
            ))),
        }
    }

    #[inline]
    fn messagepack(&mut self) -> MessagePack<'_> {
        rmp_serde::Serializer::new(self.out)
    }

    fn wide(self, marker: u8, bytes: [u8; 16]) {
        self.out.extend([marker::ESCAPE, marker]);
        self.out.extend(bytes);
    }

    fn seq(self, len: Option<usize>) -> Result<Compound<'a>, EncodeError> {
        self.compound(len, compound::UNKNOWN_SEQ, |messagepack, len| {
            messagepack.serialize_seq(Some(len)).map(drop)
        })
    }

    fn map(self, len: Option<usize>) -> Result<Compound<'a>, EncodeError> {
        self.compound(len, compound::UNKNOWN_MAP, |messagepack, len| {
            messagepack.serialize_map(Some(len)).map(drop)
        })
    }

    /// Begins what has parts: `announce` writes how many, and `unknown` stands for that meanwhile.
    #[inline]
    fn compound(
        mut self,
        len: Option<usize>,
        unknown: [u8; 5],
        announce: impl FnOnce(&mut MessagePack<'_>, usize) -> Result<(), rmp_serde::encode::Error>,
    ) -> Result<Compound<'a>, EncodeError> {
        let header = self.out.len();
        match len {
            Some(len) => {
                fitting(len)?;
                announce(&mut self.messagepack(), len)?;
            }
            None => self.out.extend(unknown),
        }
        let Self { out, levels } = self.inner()?;
        Ok(Compound::new(out, levels, header, len))
    }

    /// Begins a variant that has data, which is a map of one entry.
    fn variant(&mut self, name: &'static str) -> Result<(), EncodeError> {
        self.messagepack().serialize_map(Some(1))?;
        self.messagepack().serialize_str(name)?;
        Ok(())
    }
}

/// `len` in the 32 bits that `MessagePack` has for every length, if it fits.
#[inline]
pub(super) fn fitting(len: usize) -> Result<u32, EncodeError> {
    u32::try_from(len).map_err(|_| {
        EncodeError::new(format!(
            "a length of {len} inside a value; only a whole argument or result that is text or \
             plain numbers may be longer than {}",
            u32::MAX
        ))
    })
}

macro_rules! as_messagepack {
    ($($method:ident: $type:ty,)*) => {$(
        #[inline]
        fn $method(mut self, value: $type) -> Result<(), EncodeError> {
            Ok(self.messagepack().$method(value)?)
        }
    )*};
}

impl<'a> Serializer for Encoder<'a> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    as_messagepack! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_char: char,
    }

    fn serialize_i128(self, value: i128) -> Result<(), EncodeError> {
        self.wide(marker::I128, value.to_le_bytes());
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<(), EncodeError> {
        self.wide(marker::U128, value.to_le_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_str(mut self, value: &str) -> Result<(), EncodeError> {
        fitting(value.len())?;
        Ok(self.messagepack().serialize_str(value)?)
    }

    #[inline]
    fn serialize_bytes(mut self, value: &[u8]) -> Result<(), EncodeError> {
        fitting(value.len())?;
        Ok(self.messagepack().serialize_bytes(value)?)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), EncodeError> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), EncodeError> {
        let Self { out, levels } = self.inner()?;
        let start = out.len();
        value.serialize(Encoder::new(out, levels))?;
        if let [marker::NIL] | [marker::ESCAPE, marker::SOME, ..] = out[start..] {
            // Cheap: only markers and a nil can have been written.
            out.splice(start..start, [marker::ESCAPE, marker::SOME]);
        }
        Ok(())
    }

    #[inline]
    fn serialize_unit(mut self) -> Result<(), EncodeError> {
        Ok(self.messagepack().serialize_unit()?)
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), EncodeError> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        if name == EXTENSION {
            return Err(EncodeError::new(
                "a MessagePack extension type; send its tag and its bytes instead",
            ));
        }
        value.serialize(self.inner()?)
    }

    #[inline]
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.variant(variant)?;
        value.serialize(self.inner()?)
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Compound<'a>, EncodeError> {
        self.seq(len)
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Compound<'a>, EncodeError> {
        self.seq(Some(len))
    }

    #[inline]
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        len: usize,
    ) -> Result<Compound<'a>, EncodeError> {
        self.seq(Some(len))
    }

    #[inline]
    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'a>, EncodeError> {
        self.variant(variant)?;
        self.seq(Some(len))
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<Compound<'a>, EncodeError> {
        self.map(len)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Compound<'a>, EncodeError> {
        self.map(Some(len))
    }

    #[inline]
    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'a>, EncodeError> {
        self.variant(variant)?;
        self.map(Some(len))
    }
}
