//! What cannot cross is an error, and leaves the buffer as it was.

use crate::sent;
use pool_worker::codec::{DecodeError, EncodeError, MAX_DEPTH, encode};
use serde::ser::{Error as _, SerializeMap, SerializeSeq, SerializeTuple};
use serde::{Deserialize, Serialize, Serializer};
use serde_bytes::ByteBuf;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Why `value` cannot be encoded.
#[track_caller]
fn refusal<T: Serialize + 'static>(value: T) -> String {
    let mut out = vec![1, 2, 3];
    let error = encode(&(5, vec![Some(())], value), &mut out).expect_err("refused");
    assert_eq!(out, [1, 2, 3]);
    error.to_string()
}

macro_rules! serialize_by {
    ($name:ident: |$serializer:ident| $body:expr) => {
        struct $name;

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, $serializer: S) -> Result<S::Ok, S::Error> {
                $body
            }
        }
    };
}

serialize_by!(Failing: |_serializer| Err(S::Error::custom("no, thanks")));

serialize_by!(Panicking: |serializer| {
    let mut seq = serializer.serialize_seq(Some(2))?;
    seq.serialize_element("half")?;
    panic!("in serialize")
});

serialize_by!(TooFew: |serializer| {
    let mut seq = serializer.serialize_seq(Some(3))?;
    seq.serialize_element(&1)?;
    seq.end()
});

serialize_by!(TooMany: |serializer| {
    let mut tuple = serializer.serialize_tuple(1)?;
    tuple.serialize_element(&1)?;
    tuple.serialize_element(&1)?;
    tuple.end()
});

serialize_by!(KeyAlone: |serializer| {
    let mut map = serializer.serialize_map(None)?;
    map.serialize_key(&1)?;
    map.end()
});

serialize_by!(Ignoring: |serializer| {
    let mut seq = serializer.serialize_seq(None)?;
    seq.serialize_element(&1)?;
    let _ = seq.serialize_element(&(1, Failing));
    seq.end()
});

#[test]
fn failing_implementations() {
    assert_eq!(refusal(Failing), "no, thanks");
    assert!(refusal(TooFew).contains("announced 3 items and wrote 1"));
    assert!(refusal(TooMany).contains("announced 1 items and wrote 2"));
    assert!(refusal(KeyAlone).contains("key without its value"));
    assert!(refusal(Ignoring).contains("went on after"));
}

#[test]
fn panicking_implementations_unwind() {
    let mut out = vec![1, 2, 3];
    let panic = catch_unwind(AssertUnwindSafe(|| encode(&Panicking, &mut out)));
    assert!(panic.is_err());
    assert_eq!(out, [1, 2, 3]);
    encode(&4, &mut out).unwrap();
    assert_eq!(out, [1, 2, 3, 4]);
}

#[test]
fn paths_that_are_not_utf8() {
    let path = PathBuf::from(OsStr::from_bytes(b"/\xff"));
    assert!(refusal(path).contains("UTF-8"));
}

#[test]
fn messagepack_extensions() {
    #[derive(Serialize, Deserialize)]
    #[serde(rename = "_ExtStruct")]
    struct Extension((i8, ByteBuf));

    for tag in [-128, -1, 0, 1, 127] {
        let extension = Extension((tag, ByteBuf::from([0; 4])));
        assert!(refusal(extension).contains("extension"));
    }
}

#[test]
fn wide_integers_in_buffered_types() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Bytes(ByteBuf),
        Small(u64),
        Wide(u128),
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum Internal {
        Wide { value: i128 },
    }

    // Serde's buffer cannot hold them; taking them for bytes or for a `u64` would be worse.
    assert!(sent(&Untagged::Wide(5)).is_err());
    assert!(sent(&Internal::Wide { value: -5 }).is_err());
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Nested(Option<Box<Nested>>);

fn nested(levels: u32) -> Nested {
    (0..levels).fold(Nested::default(), |inner, _| Nested(Some(Box::new(inner))))
}

#[test]
fn nesting_up_to_the_limit_on_both_sides() {
    // Each level is a newtype and a `Some`, and the innermost a newtype.
    let deepest = (MAX_DEPTH - 1) / 2;
    let value = nested(deepest);
    assert_eq!(sent(&value), Ok(value));
    let error = encode(&nested(deepest + 1), &mut Vec::new()).unwrap_err();
    assert!(
        error.to_string().contains("deeper than 128 levels"),
        "{error}"
    );
}

#[test]
fn errors_travel() {
    fn travels<E: std::error::Error + Clone + Send + Sync + 'static>() {}
    travels::<EncodeError>();
    travels::<DecodeError>();
}
