//! What encoding and decoding fail with.

use std::fmt::{self, Display};

use super::Limit;

/// Why a value could not be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeError(Box<str>);

/// Why bytes could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(Box<Undecodable>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Undecodable {
    text: Box<str>,
    limit: Option<Limit>,
}

impl EncodeError {
    #[cold]
    pub(super) fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }
}

impl DecodeError {
    #[cold]
    pub(super) fn new(text: impl Into<Box<str>>) -> Self {
        let text = text.into();
        Self(Box::new(Undecodable { text, limit: None }))
    }

    /// The value goes beyond this limit.
    #[cold]
    pub(super) fn beyond(limit: Limit, text: String) -> Self {
        Self(Box::new(Undecodable {
            text: text.into(),
            limit: Some(limit),
        }))
    }

    /// The limit that the value goes beyond, if that is why.
    pub fn limit(&self) -> Option<Limit> {
        self.0.limit
    }
}

impl Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl std::error::Error for EncodeError {}

impl std::error::Error for DecodeError {}

impl serde::ser::Error for EncodeError {
    #[cold]
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

impl serde::de::Error for DecodeError {
    #[cold]
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

impl From<rmp_serde::encode::Error> for EncodeError {
    #[cold]
    fn from(error: rmp_serde::encode::Error) -> Self {
        Self::new(error.to_string())
    }
}
