//! Values that other formats change, one by one.

use crate::{comes_back, encoded, sent};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
struct Nothing;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newtype<T>(T);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Named<T> {
    before: u8,
    value: T,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skipped: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flattening<T> {
    before: u8,
    #[serde(flatten)]
    inner: Named2<T>,
    #[serde(flatten)]
    others: BTreeMap<String, T>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Named2<T> {
    flattened: T,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum External<T> {
    Newtype(T),
    Tuple(T, T),
    Struct { value: T },
    Unit,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal<T> {
    Newtype(Named<T>),
    Struct { value: T, again: T },
    Unit,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "content")]
enum Adjacent<T> {
    Newtype(T),
    Tuple(T, T),
    Struct { value: T },
    Unit,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged<T> {
    Tuple(T, T),
    Struct { value: T },
    Newtype(T),
}

/// Asserts that `value` comes back alone and inside everything that can hold it.
#[track_caller]
fn comes_back_from_everywhere<T>(value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + Clone + 'static,
{
    let new = || value.clone();
    comes_back_typed(value);
    comes_back(Flattening {
        before: 1,
        inner: Named2 { flattened: new() },
        others: BTreeMap::from([("a".to_owned(), new())]),
    });
    comes_back(Internal::Newtype(Named {
        before: 1,
        value: new(),
        skipped: None,
    }));
    comes_back(Internal::Struct {
        value: new(),
        again: new(),
    });
    comes_back(Untagged::Tuple(new(), new()));
    comes_back(Untagged::Struct { value: new() });
    comes_back(Untagged::Newtype(new()));
}

/// As above, where the type is known while decoding.
#[track_caller]
fn comes_back_typed<T>(value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + Clone + 'static,
{
    let new = || value.clone();
    comes_back(new());
    comes_back(Box::new(new()));
    comes_back(Cow::<T>::Owned(new()));
    comes_back(Some(new()));
    comes_back(Some(Some(new())));
    comes_back(vec![new(), new(), new()]);
    comes_back(vec![
        None,
        Some(None),
        Some(Some(None)),
        Some(Some(Some(new()))),
    ]);
    comes_back([Some(new()), None]);
    comes_back((new(), (), new(), 1));
    comes_back(Newtype(new()));
    comes_back(Some(Newtype(Some(new()))));
    comes_back(BTreeMap::from([(1, new()), (2, new())]));
    comes_back(BTreeMap::from([(Some(1), Some(new())), (None, None)]));
    for skipped in [None, Some(1)] {
        let value = new();
        comes_back(Named {
            before: 1,
            value,
            skipped,
        });
    }
    comes_back(vec![
        External::Unit,
        External::Newtype(new()),
        External::Tuple(new(), new()),
        External::Struct { value: new() },
    ]);
    comes_back(vec![
        Adjacent::Unit,
        Adjacent::Newtype(new()),
        Adjacent::Tuple(new(), new()),
        Adjacent::Struct { value: new() },
    ]);
    comes_back(Internal::<T>::Unit);
    comes_back(Ok::<T, Nothing>(new()));
    comes_back(Err::<Nothing, T>(new()));
}

proptest! {
    #[test]
    fn options_nested_four_deep(value: Option<Option<Option<Option<u8>>>>) {
        comes_back_from_everywhere(&value);
    }

    #[test]
    fn options_of_units(value: Option<Option<Option<Option<()>>>>) {
        comes_back_from_everywhere(&value);
    }

    #[test]
    fn options_as_map_keys(map: HashMap<Option<Option<Option<()>>>, Option<Option<bool>>>) {
        comes_back(map);
    }

    #[test]
    fn numbers(
        a: (u8, u16, u32, u64, u128, usize),
        b: (i8, i16, i32, i64, i128, isize),
        c: (char, bool, String),
    ) {
        comes_back_typed(&a);
        comes_back_typed(&b);
        comes_back_typed(&c);
    }

    #[test]
    fn float_bits(a: u32, b: u64) {
        let floats = (f32::from_bits(a), vec![Some(f64::from_bits(b))], f64::from_bits(b));
        let back = sent(&floats).unwrap();
        prop_assert_eq!(back.0.to_bits(), a);
        prop_assert_eq!(back.1[0].unwrap().to_bits(), b);
        prop_assert_eq!(back.2.to_bits(), b);
    }

    #[test]
    fn plain_numbers(a: Vec<u8>, b: Vec<i16>, c: Vec<u64>, d: Vec<i128>, e: String) {
        comes_back(a.clone().into_boxed_slice());
        comes_back(ByteBuf::from(a.clone()));
        comes_back(c.clone().into_boxed_slice());
        comes_back(e.clone().into_boxed_str());
        comes_back_typed(&a);
        comes_back_typed(&b);
        comes_back_typed(&c);
        comes_back_typed(&d);
        comes_back_typed(&e);
    }
}

#[test]
fn values_that_look_like_nothing() {
    comes_back_from_everywhere(&());
    comes_back_from_everywhere(&Nothing);
    comes_back_from_everywhere(&Some(Nothing));
    comes_back_from_everywhere(&Some(Newtype(())));
    comes_back_from_everywhere(&[0_u8; 0]);
    comes_back_from_everywhere(&serde_json::Value::Null);
    comes_back_from_everywhere(&Some(serde_json::Value::Null));
    comes_back_from_everywhere(&Some(Some(serde_json::Value::Null)));
    comes_back_from_everywhere(&serde_json::json!({"a": [null, 1.5, -1, {"b": null}], "c": ""}));
}

#[test]
fn unit_structs_are_no_sequences() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Many(Vec<u8>),
        Nothing(Nothing),
    }
    comes_back(Either::Nothing(Nothing));
    comes_back(Either::Many(Vec::new()));
}

#[test]
fn extreme_numbers() {
    comes_back_typed(&(u128::MAX, i128::MIN, i128::MAX, Some(0_u128), Some(-1_i128)));
    comes_back_typed(&(u64::MAX, i64::MIN, u8::MAX, i8::MIN, char::MAX, '\0'));
    for bits in [
        0x7ff0_0000_0000_0001, // a signalling NaN
        0xffff_ffff_ffff_ffff,
        0x8000_0000_0000_0000, // -0.0
        f64::INFINITY.to_bits(),
    ] {
        let float = f64::from_bits(bits);
        assert_eq!(sent(&float).unwrap().to_bits(), bits);
        assert_eq!(sent(&vec![float]).unwrap()[0].to_bits(), bits);
        assert_eq!(
            sent(&Untagged::Newtype(Newtype(float)))
                .map(inner)
                .unwrap()
                .to_bits(),
            bits
        );
    }
    let signalling = f32::from_bits(0x7f80_0001);
    assert_eq!(sent(&Newtype(signalling)).unwrap().0.to_bits(), 0x7f80_0001);
}

fn inner(value: Untagged<Newtype<f64>>) -> f64 {
    match value {
        Untagged::Newtype(value) | Untagged::Tuple(value, _) | Untagged::Struct { value } => {
            value.0
        }
    }
}

#[test]
fn values_of_std() {
    comes_back_from_everywhere(&Duration::new(u64::MAX, 999_999_999));
    comes_back_from_everywhere(&SystemTime::now());
    comes_back_from_everywhere(&(UNIX_EPOCH + Duration::from_nanos(1)));
    comes_back_from_everywhere(&IpAddr::from([127, 0, 0, 1]));
    comes_back_from_everywhere(&IpAddr::from(Ipv6Addr::LOCALHOST));
    comes_back_from_everywhere(&SocketAddr::from(([0, 0, 0, 1], 80)));
    comes_back_from_everywhere(&PathBuf::from("/a/ä"));
    comes_back_from_everywhere(&(1..5));
    comes_back_from_everywhere(&std::cmp::Reverse(1));
    comes_back_from_everywhere(&ByteBuf::from([0xc0, 0xc1, 0]));
    comes_back(HashSet::from([(1, 'a'), (2, 'b')]));
    assert_eq!(sent(&AtomicU64::new(5)).unwrap().into_inner(), 5);
}

#[test]
fn maps_with_any_key() {
    comes_back(BTreeMap::from([((), 1)]));
    comes_back(BTreeMap::from([(Nothing, 1)]));
    comes_back(BTreeMap::from([
        ((1, "a".to_owned()), 1),
        ((2, String::new()), 2),
    ]));
    comes_back(BTreeMap::from([(vec![Some(1), None], 1), (vec![], 2)]));
    comes_back(BTreeMap::from([(ByteBuf::from([255, 0]), 1)]));
    comes_back(BTreeMap::from([(BTreeMap::from([(-1, 'x')]), 1)]));
    comes_back(BTreeMap::from([(u128::MAX, i128::MIN)]));
}

#[test]
fn many_things_of_no_size() {
    comes_back(vec![(); 1_000_000]);
    comes_back(vec![Nothing; 1_000]);
    comes_back(vec![Some(()); 100_000]);
}

#[test]
fn lengths_at_every_step_of_the_format() {
    for len in [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536, 70_000] {
        comes_back(Some("x".repeat(len)));
        comes_back(ByteBuf::from(vec![1; len]));
        comes_back((vec![1_u16; len], ()));
        comes_back((0..len).map(|n| (n, n)).collect::<BTreeMap<_, _>>());
    }
}

#[test]
fn large_values_cross_as_memory() {
    let bytes = vec![5_u8; 64 << 20];
    assert_eq!(encoded(&bytes).len(), bytes.len() + 8);
    comes_back(bytes);
    comes_back(vec![1.5_f64; 1 << 20]);
}

#[test]
fn sequences_and_maps_of_unknown_length() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Unknown(Vec<u32>, BTreeMap<u32, u32>);

    impl Serialize for Unknown {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            (Filtered(&self.0), FilteredMap(&self.1)).serialize(serializer)
        }
    }

    struct Filtered<'a>(&'a [u32]);

    impl Serialize for Filtered<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self.0.iter().filter(|_| true))
        }
    }

    struct FilteredMap<'a>(&'a BTreeMap<u32, u32>);

    impl Serialize for FilteredMap<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().filter(|_| true))
        }
    }

    let numbers: Vec<_> = (0..100_000).collect();
    let map = numbers.iter().map(|&n| (n, n)).collect();
    comes_back(Unknown(numbers, map));
}
