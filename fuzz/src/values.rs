//! Values, decoded from whatever bytes: what they take in memory is bounded by how many these are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use pool_worker::codec::decode;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::sys;

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is there to be decoded")]
enum Tree {
    Leaf,
    Node(Vec<Tree>),
    Pair { left: Box<Tree>, right: Box<Tree> },
    Named(Option<Box<Tree>>, String),
}

#[derive(Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is there to be decoded")]
enum Any {
    Number(f64),
    Text(String),
    Many(Vec<Any>),
    Map(BTreeMap<String, Any>),
}

/// Much memory for what may be no more than a byte.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wide {
    numbers: [u64; 32],
    text: String,
}

/// A vector of `T` holds room for four of them where there is one, and twice that while it grows.
const fn vec_of<T>() -> usize {
    12 * size_of::<T>()
}

/// A node of a map holds room for eleven entries where there is one.
const fn map_of<K, V>() -> usize {
    2 * 11 * (size_of::<K>() + size_of::<V>() + 2 * size_of::<usize>())
}

pub fn target(bytes: &[u8]) {
    bounded::<String>(bytes, 2);
    bounded::<Vec<u8>>(bytes, 2);
    bounded::<Vec<f64>>(bytes, 2);
    bounded::<Vec<Option<Vec<()>>>>(bytes, vec_of::<Vec<()>>());
    bounded::<Vec<(u8, String)>>(bytes, vec_of::<(u8, String)>());
    bounded::<Tree>(bytes, vec_of::<Tree>());
    bounded::<Vec<Wide>>(bytes, vec_of::<Wide>());
    bounded::<BTreeMap<Option<u8>, Vec<u32>>>(bytes, map_of::<Option<u8>, Vec<u32>>());
    // What is untagged is decoded twice: into what holds anything, a pair of such for each entry.
    bounded::<Any>(bytes, map_of::<String, Any>() + vec_of::<[u128; 4]>());
    bounded::<IgnoredAny>(bytes, 1);
}

/// What less than so many bytes take says nothing about multiples of them.
const TELLING: usize = 128;

/// The most memory that as many bytes took as are telling, in thousandths for each.
static MOST: AtomicUsize = AtomicUsize::new(0);

/// How many bytes of memory values took at the most for each byte of theirs, if any were decoded from 128
/// bytes or more.
#[expect(clippy::cast_precision_loss, reason = "it is a small number")]
pub fn most_memory() -> Option<f64> {
    let most = MOST.load(Ordering::Relaxed);
    (most > 0).then(|| most as f64 / 1000.0)
}

/// Decodes a `T` from these bytes, and may use so many times as much memory for it.
fn bounded<T: DeserializeOwned + 'static>(bytes: &[u8], factor: usize) {
    let peak = sys::peak_of(|| {
        let mut rest = bytes;
        let decoded = decode::<T>(&mut rest);
        assert!(decoded.is_ok() || rest == bytes, "a failure takes nothing");
    });
    if bytes.len() >= TELLING {
        MOST.fetch_max(peak * 1000 / bytes.len(), Ordering::Relaxed);
    }
    let most = factor * bytes.len() + 4096;
    assert!(
        peak <= most,
        "{peak} bytes of memory for {} of a {}",
        bytes.len(),
        std::any::type_name::<T>()
    );
}
