//! What is encoded comes back as it was, or not at all; whatever else is decoded is an error.

#![expect(
    clippy::option_option,
    reason = "nested options are what other formats change"
)]

mod apart;
mod bombs;
mod hostile;
mod refused;
mod shapes;
mod values;

use pool_worker::codec::{
    DecodeError, Encoded, decode, decode_from, encode, encode_borrowed, encode_owned,
};
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

/// What `value` is decoded as, from between other values, where large ones lie apart.
fn sent_apart<T: Serialize + DeserializeOwned + 'static>(value: &T) -> Result<T, DecodeError> {
    let mut encoded = Encoded::default();
    encode_owned(7, &mut encoded).expect("can be encoded");
    encode_borrowed(value, &mut encoded).expect("can be encoded");
    encode_owned(vec![9; 100_000], &mut encoded).expect("can be encoded");
    let mut source = encoded.source();
    assert_eq!(decode_from(&mut source), Ok(7));
    let back = decode_from(&mut source)?;
    assert_eq!(decode_from(&mut source), Ok(vec![9; 100_000]));
    assert_eq!(source.finish(), Ok(()));
    Ok(back)
}

/// Asserts that `value` comes back as it was.
#[track_caller]
fn comes_back<T>(value: T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + 'static,
{
    assert_eq!(sent(&value).as_ref(), Ok(&value));
    assert_eq!(sent_apart(&value), Ok(value));
}
