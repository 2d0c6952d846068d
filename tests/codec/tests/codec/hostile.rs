//! Bytes that nobody encoded.

use pool_worker::codec::{MAX_DEPTH, decode, encode};
use proptest::prelude::*;
use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::thread;

#[derive(Debug, Serialize, Deserialize)]
struct Newtypes(Option<Box<Newtypes>>);

#[derive(Debug, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Node(Vec<Tree>),
    Pair { left: Box<Tree>, right: Box<Tree> },
    One(Box<Tree>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(f64),
    Text(String),
    Address(IpAddr),
    Many(Vec<Untagged>),
    Map(HashMap<String, Untagged>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal {
    One { a: Option<u8>, b: Tree },
    Two(BTreeMap<String, Untagged>),
}

fn decoded<T: DeserializeOwned + 'static>(mut bytes: &[u8]) -> Result<T, String> {
    let before = bytes;
    let result = decode(&mut bytes);
    if result.is_err() {
        assert_eq!(bytes, before, "a failure takes nothing");
    }
    result.map_err(|error| error.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn random_bytes_do_not_panic(
        bytes in prop_oneof![
            any::<Vec<u8>>(),
            // Mostly headers and markers.
            prop::collection::vec(prop_oneof![0x80..=0xe0_u8, 0..4_u8], 0..64),
        ],
    ) {
        let _ = decoded::<u8>(&bytes);
        let _ = decoded::<(char, i128, bool)>(&bytes);
        let _ = decoded::<String>(&bytes);
        let _ = decoded::<Vec<f64>>(&bytes);
        let _ = decoded::<Box<[u8]>>(&bytes);
        let _ = decoded::<Option<Option<String>>>(&bytes);
        let _ = decoded::<Newtypes>(&bytes);
        let _ = decoded::<Vec<Tree>>(&bytes);
        let _ = decoded::<Untagged>(&bytes);
        let _ = decoded::<Internal>(&bytes);
        let _ = decoded::<BTreeMap<Option<u8>, Result<IpAddr, Vec<()>>>>(&bytes);
        let _ = decoded::<serde_json::Value>(&bytes);
        let _ = decoded::<IgnoredAny>(&bytes);
    }
}

#[test]
fn lengths_beyond_the_end() {
    for bytes in [
        &[0xdd, 0xff, 0xff, 0xff, 0xff][..], // an array
        &[0xdf, 0xff, 0xff, 0xff, 0xff],     // a map
        &[0xdb, 0xff, 0xff, 0xff, 0xff],     // a string
        &[0xc6, 0xff, 0xff, 0xff, 0xff],     // bytes
        &[0xc1],
        &[0xc1, 1, 0],
        &[],
    ] {
        let error = decoded::<serde_json::Value>(bytes).unwrap_err();
        assert_eq!(error, "the bytes end within a value");
    }
    for bytes in [&[0xff; 8][..], &[0xff; 20], &[1, 0, 0]] {
        let error = decoded::<Vec<u8>>(bytes).unwrap_err();
        assert_eq!(error, "the bytes end within a value");
    }
    assert!(decoded::<Vec<u64>>(&[3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]).is_err());
    assert!(decoded::<String>(&[1, 0, 0, 0, 0, 0, 0, 0, 0xff]).is_err());
}

/// On a quarter of the 2 MiB that a thread of std has, in debug builds too.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(512 << 10).spawn(run);
    thread.unwrap().join().unwrap();
}

#[test]
fn stack_bombs() {
    on_a_small_stack(|| {
        let deep = |unit: &[u8]| unit.repeat(100_000);
        let too_deep = |result: Result<(), String>| {
            let error = result.unwrap_err();
            assert!(error.contains("deeper than 128 levels"), "{error}");
        };
        let pair = b"\x81\xa4Pair\x82\xa4left";
        too_deep(decoded::<Newtypes>(&[5]).map(drop)); // reads nothing at each level
        too_deep(decoded::<Newtypes>(&deep(&[0xc1, 0])).map(drop));
        too_deep(decoded::<Tree>(&deep(b"\x81\xa4Node\x91")).map(drop));
        too_deep(decoded::<Tree>(&deep(b"\x81\xa3One")).map(drop));
        too_deep(decoded::<Tree>(&deep(pair)).map(drop));
        for unit in [&[0x91][..], &[0xc1, 0], &[0x81, 0xa1, b'k']] {
            too_deep(decoded::<serde_json::Value>(&deep(unit)).map(drop));
            too_deep(decoded::<IgnoredAny>(&deep(unit)).map(drop));
            too_deep(decoded::<Untagged>(&deep(unit)).map(drop));
        }
    });
}

#[test]
fn the_deepest_trees_need_little_stack() {
    on_a_small_stack(|| {
        let mut tree = Tree::Leaf;
        for _ in 0..(MAX_DEPTH - 1) / 2 {
            tree = Tree::Node(vec![tree]); // a variant and a sequence
        }
        let mut bytes = Vec::new();
        encode(&tree, &mut bytes).unwrap();
        decoded::<Tree>(&bytes).unwrap();
    });
}

thread_local! {
    static ALLOCATED_AHEAD: Cell<usize> = const { Cell::new(0) };
}

/// Counts what a collection would allocate before it has seen an element.
struct Counting;

impl<'de> Deserialize<'de> for Counting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Counting)
    }
}

impl<'de> Visitor<'de> for Counting {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nested sequences")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        let hint = seq.size_hint().unwrap_or(0);
        ALLOCATED_AHEAD.set(ALLOCATED_AHEAD.get() + hint);
        while seq.next_element::<Counting>()?.is_some() {}
        Ok(self)
    }
}

#[test]
fn allocation_bombs() {
    // A hundred levels, each of which announces as many elements as there are bytes left.
    let levels = 100_u32;
    let padding = 5_000;
    let mut bytes = Vec::new();
    for level in 0..levels {
        bytes.push(0xdd);
        bytes.extend(((levels - level - 1) * 5 + padding).to_be_bytes());
    }
    bytes.extend(vec![0x90; padding as usize]);
    assert!(decoded::<Counting>(&bytes).is_err());
    let announced = ALLOCATED_AHEAD.get();
    assert!(announced <= bytes.len(), "{announced} of {}", bytes.len());
}

#[test]
fn honest_lengths_are_announced_in_full() {
    ALLOCATED_AHEAD.set(0);
    let honest: Vec<Vec<Vec<()>>> = vec![vec![Vec::new(); 30]; 40];
    let mut bytes = Vec::new();
    encode(&honest, &mut bytes).unwrap();
    decoded::<Counting>(&bytes).unwrap();
    assert_eq!(ALLOCATED_AHEAD.get(), 40 + 40 * 30);
}
