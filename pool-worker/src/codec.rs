//! Values to bytes and back, one value at a time.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

/// A value that cannot be encoded.
#[derive(Debug)]
pub struct EncodeError(String);

/// Bytes that are no value of the type asked for.
#[derive(Debug)]
pub struct DecodeError(String);

/// Appends the encoding of `value` to `out`.
pub fn encode<T: Serialize + 'static>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    rmp_serde::encode::write(out, value).map_err(|error| EncodeError(error.to_string()))
}

/// Reads one value from the front of `input`, which then begins behind it.
pub fn decode<T: DeserializeOwned + 'static>(input: &mut &[u8]) -> Result<T, DecodeError> {
    rmp_serde::from_read(input).map_err(|error| DecodeError(error.to_string()))
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EncodeError {}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

impl serde::de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}
