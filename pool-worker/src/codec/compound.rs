//! The serializer of what has parts.

use super::EncodeError;
use super::encoder::{Encoder, fitting};
use serde::{Serialize, ser};

/// An array and a map of 32-bit length, which is filled in once it is known.
pub(super) const UNKNOWN_SEQ: [u8; 5] = [0xdd, 0, 0, 0, 0];
pub(super) const UNKNOWN_MAP: [u8; 5] = [0xdf, 0, 0, 0, 0];

/// Writes the elements of a sequence, or the keys and values of a map.
pub(super) struct Compound<'a> {
    out: &'a mut Vec<u8>,
    levels: u32,
    /// Where in `out` the header stands.
    header: usize,
    /// The length that the header says; where there is none, it is filled in at the end.
    announced: Option<usize>,
    /// How many values were written.
    given: usize,
    /// A value could not be written, so that its bytes are broken off.
    failed: bool,
}

impl<'a> Compound<'a> {
    #[inline]
    pub(super) fn new(
        out: &'a mut Vec<u8>,
        levels: u32,
        header: usize,
        announced: Option<usize>,
    ) -> Self {
        Self {
            out,
            levels,
            header,
            announced,
            given: 0,
            failed: false,
        }
    }

    #[inline]
    fn push<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), EncodeError> {
        let result = value.serialize(Encoder::new(self.out, self.levels));
        self.given += 1;
        self.failed |= result.is_err();
        result
    }

    /// Ends a sequence (`values` = 1) or a map (2), each of whose items is that many values.
    #[inline]
    fn finish(self, values: usize) -> Result<(), EncodeError> {
        let items = self.given / values;
        if self.failed {
            return Err(EncodeError::new(
                "a Serialize implementation went on after one of its parts had failed",
            ));
        }
        if !self.given.is_multiple_of(values) {
            return Err(EncodeError::new(
                "a Serialize implementation wrote a map key without its value",
            ));
        }
        match self.announced {
            Some(announced) if announced == items => Ok(()),
            Some(announced) => Err(EncodeError::new(format!(
                "a Serialize implementation announced {announced} items and wrote {items}"
            ))),
            None => {
                let length = fitting(items)?.to_be_bytes();
                self.out[self.header + 1..][..length.len()].copy_from_slice(&length);
                Ok(())
            }
        }
    }
}

macro_rules! sequences {
    ($($trait:ident: $push:ident,)*) => {$(
        impl ser::$trait for Compound<'_> {
            type Ok = ();
            type Error = EncodeError;

            #[inline]
            fn $push<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), EncodeError> {
                self.push(value)
            }

            #[inline]
            fn end(self) -> Result<(), EncodeError> {
                self.finish(1)
            }
        }
    )*};
}

sequences! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

macro_rules! structs {
    ($($trait:ident)*) => {$(
        impl ser::$trait for Compound<'_> {
            type Ok = ();
            type Error = EncodeError;

            #[inline]
            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), EncodeError> {
                self.push(name)?;
                self.push(value)
            }

            #[inline]
            fn end(self) -> Result<(), EncodeError> {
                self.finish(2)
            }
        }
    )*};
}

structs!(SerializeStruct SerializeStructVariant);

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), EncodeError> {
        self.push(key)
    }

    #[inline]
    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.push(value)
    }

    #[inline]
    fn end(self) -> Result<(), EncodeError> {
        self.finish(2)
    }
}
