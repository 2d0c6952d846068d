//! Large plain values, which lie apart in memory of their own.

use super::comes_back;
use pool_worker::codec::{Encoded, Source, decode_from, encode_borrowed, encode_owned};
use pool_worker::sys::Buffer;
use std::fmt::Debug;

/// What lies apart after `value` was encoded.
fn apart<T: serde::Serialize + 'static>(value: T) -> Encoded {
    let mut encoded = Encoded::default();
    encode_owned(value, &mut encoded).unwrap();
    encoded
}

/// The bytes as numbers of another type.
fn numbers<N: From<u8>>(bytes: &[u8]) -> Vec<N> {
    bytes.iter().copied().map(N::from).collect()
}

#[track_caller]
fn refused<T: serde::de::DeserializeOwned + Debug + 'static>(bytes: &[u8], parts: &mut [Buffer]) {
    let mut source = Source::new(bytes, parts);
    let result = decode_from::<T>(&mut source);
    assert!(result.is_err(), "{result:?}");
}

#[test]
fn values_of_all_plain_types_come_back() {
    for len in [0, 1, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 1_000_001] {
        let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
        comes_back(bytes.clone().into_boxed_slice());
        comes_back(numbers::<i16>(&bytes));
        comes_back(numbers::<f32>(&bytes));
        comes_back(numbers::<f64>(&bytes).into_boxed_slice());
        comes_back(numbers::<usize>(&bytes));
        comes_back(numbers::<u128>(&bytes));
        let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
        comes_back(text.clone().into_boxed_str());
        comes_back(text);
        comes_back(bytes);
    }
}

#[test]
fn given_away_a_value_is_not_copied() {
    let numbers = vec![1.5; 100_000];
    let address = numbers.as_ptr().addr();
    let mut encoded = apart(numbers);
    assert_eq!(encoded.bytes.len(), 8, "a length");
    let back: Vec<f64> = decode_from(&mut encoded.source()).unwrap();
    assert_eq!(back.as_ptr().addr(), address);
    assert_eq!(back, vec![1.5; 100_000]);
}

#[test]
fn lent_a_value_is_copied_once() {
    let text = "ü".repeat(50_000);
    let mut encoded = Encoded::default();
    encode_borrowed(&text, &mut encoded).unwrap();
    let address = encoded.parts[0].as_slice().as_ptr().addr();
    let back: String = decode_from(&mut encoded.source()).unwrap();
    assert_eq!(back.as_ptr().addr(), address);
    assert_eq!(back, text);
}

#[test]
fn what_does_not_fit_is_refused() {
    let Encoded { bytes, parts } = apart(vec![1_u8; 20_000]);
    refused::<Vec<u8>>(&bytes, &mut []);
    refused::<Vec<u8>>(&bytes[..7], &mut parts.clone());
    refused::<Vec<u8>>(&bytes, &mut apart(vec![1_u8; 20_001]).parts);
    refused::<Vec<u16>>(&bytes, &mut parts.clone());
    refused::<String>(&bytes, &mut apart(vec![0xff_u8; 20_000]).parts);

    let mut parts = parts;
    let source = Source::new(&[], &mut parts);
    let error = source.finish().unwrap_err().to_string();
    assert!(error.starts_with("20000 bytes are left"), "{error}");
}
