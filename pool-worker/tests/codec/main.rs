//! What is encoded comes back as it was, or not at all; whatever else is decoded is an error.

#![expect(
    clippy::option_option,
    reason = "nested options are what other formats change"
)]

mod hostile;
mod refused;
mod shapes;
mod values;

use pool_worker::codec::{DecodeError, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// The encoding of `value`.
fn encoded<T: Serialize + 'static>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes).expect("can be encoded");
    bytes
}

/// What `value` is decoded as, from between other bytes.
fn sent<T: Serialize + DeserializeOwned + 'static>(value: &T) -> Result<T, DecodeError> {
    let mut bytes = vec![7];
    encode(value, &mut bytes).expect("can be encoded");
    bytes.push(9);
    assert_eq!(bytes[0], 7, "encoding appends");
    let mut rest = &bytes[1..];
    let back = decode(&mut rest)?;
    assert_eq!(rest, [9], "decoding ends where the value does");
    Ok(back)
}

/// Asserts that `value` comes back as it was.
#[track_caller]
fn comes_back<T>(value: T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + 'static,
{
    assert_eq!(sent(&value), Ok(value));
}
