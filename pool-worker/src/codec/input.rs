//! The bytes that are being decoded, read as `MessagePack` tokens.

use super::limits::{Allowance, Limits};
use super::{DecodeError, marker};
use rmp::Marker;

/// A scalar, or the beginning of something that has parts.
#[derive(Clone, Copy)]
pub(super) enum Token<'de> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    /// A `u128`, little-endian; as bytes, so that a token is no larger for its sake.
    Unsigned128([u8; 16]),
    /// An `i128`, likewise.
    Signed128([u8; 16]),
    F32(f32),
    F64(f64),
    Str(&'de str),
    Bytes(&'de [u8]),
    /// `Some`, of the value that follows.
    Some,
    /// That many values follow.
    Seq(usize),
    /// That many pairs of key and value follow.
    Map(usize),
}

pub(super) struct Input<'de> {
    bytes: &'de [u8],
    /// How many elements may still be announced to those who allocate ahead.
    unannounced: usize,
    /// How much more may be made of them.
    pub(super) allowance: Allowance,
}

impl<'de> Input<'de> {
    pub(super) fn new(bytes: &'de [u8], limits: Limits) -> Self {
        Self {
            bytes,
            unannounced: bytes.len(),
            allowance: Allowance::new(limits, bytes.len()),
        }
    }

    /// How many bytes were not read yet.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the next token is nil.
    pub(super) fn at_nil(&self) -> bool {
        self.bytes.first() == Some(&marker::NIL)
    }

    /// Whether the next token is [`Token::Some`].
    pub(super) fn at_some(&self) -> bool {
        self.bytes.starts_with(&[marker::ESCAPE, marker::SOME])
    }

    /// How many of `len` elements may be allocated ahead. An element is a byte at least, so what
    /// was encoded here is never short of it, however the elements are nested; but bytes that
    /// announce millions at each level are.
    pub(super) fn announce(&mut self, len: usize) -> usize {
        let announced = len.min(self.unannounced);
        self.unannounced -= announced;
        announced
    }

    /// Reads a number that is not negative, if one comes next; a way for the most frequent tokens
    /// that fits in registers.
    #[inline]
    pub(super) fn unsigned(&mut self) -> Option<u64> {
        let (first, rest) = self.bytes.split_first()?;
        let (value, rest) = match Marker::from_u8(*first) {
            Marker::FixPos(value) => (value.into(), rest),
            Marker::U8 => (u64::from(*rest.first()?), &rest[1..]),
            Marker::U16 => {
                let (value, rest) = rest.split_first_chunk()?;
                (u16::from_be_bytes(*value).into(), rest)
            }
            Marker::U32 => {
                let (value, rest) = rest.split_first_chunk()?;
                (u32::from_be_bytes(*value).into(), rest)
            }
            Marker::U64 => {
                let (value, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*value), rest)
            }
            _ => return None,
        };
        self.bytes = rest;
        Some(value)
    }

    /// Reads one token.
    pub(super) fn token(&mut self) -> Result<Token<'de>, DecodeError> {
        let [byte] = self.array()?;
        Ok(match Marker::from_u8(byte) {
            Marker::Null => Token::Nil,
            Marker::False => Token::Bool(false),
            Marker::True => Token::Bool(true),
            Marker::FixPos(value) => Token::Unsigned(value.into()),
            Marker::U8 => Token::Unsigned(self.u8()?.into()),
            Marker::U16 => Token::Unsigned(self.u16()?.into()),
            Marker::U32 => Token::Unsigned(self.u32()?.into()),
            Marker::U64 => Token::Unsigned(u64::from_be_bytes(self.array()?)),
            Marker::FixNeg(value) => Token::Signed(value.into()),
            Marker::I8 => Token::Signed(i8::from_be_bytes(self.array()?).into()),
            Marker::I16 => Token::Signed(i16::from_be_bytes(self.array()?).into()),
            Marker::I32 => Token::Signed(i32::from_be_bytes(self.array()?).into()),
            Marker::I64 => Token::Signed(i64::from_be_bytes(self.array()?)),
            Marker::F32 => Token::F32(f32::from_be_bytes(self.array()?)),
            Marker::F64 => Token::F64(f64::from_be_bytes(self.array()?)),
            Marker::FixStr(len) => self.str(len.into())?,
            Marker::Str8 => self.u8().and_then(|len| self.str(len.into()))?,
            Marker::Str16 => self.u16().and_then(|len| self.str(len.into()))?,
            Marker::Str32 => self.u32().and_then(|len| self.str(len))?,
            Marker::Bin8 => self.u8().and_then(|len| self.bin(len.into()))?,
            Marker::Bin16 => self.u16().and_then(|len| self.bin(len.into()))?,
            Marker::Bin32 => self.u32().and_then(|len| self.bin(len))?,
            Marker::FixArray(len) => Token::Seq(self.length(len.into(), 1)?),
            Marker::Array16 => self
                .u16()
                .and_then(|len| self.length(len.into(), 1))
                .map(Token::Seq)?,
            Marker::Array32 => self
                .u32()
                .and_then(|len| self.length(len, 1))
                .map(Token::Seq)?,
            Marker::FixMap(len) => Token::Map(self.length(len.into(), 2)?),
            Marker::Map16 => self
                .u16()
                .and_then(|len| self.length(len.into(), 2))
                .map(Token::Map)?,
            Marker::Map32 => self
                .u32()
                .and_then(|len| self.length(len, 2))
                .map(Token::Map)?,
            Marker::Reserved => self.escaped()?,
            Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32
            | Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16 => return Err(unknown(byte)),
        })
    }

    fn escaped(&mut self) -> Result<Token<'de>, DecodeError> {
        match self.u8()? {
            marker::SOME => Ok(Token::Some),
            marker::U128 => self.array().map(Token::Unsigned128),
            marker::I128 => self.array().map(Token::Signed128),
            other => Err(unknown(other)),
        }
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    fn str(&mut self, len: u32) -> Result<Token<'de>, DecodeError> {
        match str::from_utf8(self.slice(len)?) {
            Ok(text) => Ok(Token::Str(text)),
            Err(error) => Err(DecodeError::new(format!("a string is not UTF-8: {error}"))),
        }
    }

    fn bin(&mut self, len: u32) -> Result<Token<'de>, DecodeError> {
        self.slice(len).map(Token::Bytes)
    }

    /// A number of items, each of which takes `least` bytes at least, if there can be so many.
    fn length(&self, items: u32, least: usize) -> Result<usize, DecodeError> {
        let items = items as usize;
        if items > self.bytes.len() / least {
            return Err(ends_early());
        }
        Ok(items)
    }

    fn slice(&mut self, len: u32) -> Result<&'de [u8], DecodeError> {
        let (slice, rest) = self
            .bytes
            .split_at_checked(len as usize)
            .ok_or_else(ends_early)?;
        self.bytes = rest;
        Ok(slice)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (array, rest) = self.bytes.split_first_chunk().ok_or_else(ends_early)?;
        self.bytes = rest;
        Ok(*array)
    }
}

#[cold]
fn ends_early() -> DecodeError {
    DecodeError::new("the bytes end within a value")
}

#[cold]
fn unknown(byte: u8) -> DecodeError {
    DecodeError::new(format!("a value begins with the unknown byte {byte:#04x}"))
}
