//! Few bytes that would become much memory, and how much they become.

use pool_worker::codec::{Limits, Source, decode_from, encode};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

/// Counts the memory of each thread.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: all is left to the system's allocator; what is counted beside it has no destructor and
// allocates nothing.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: as the trait asks of callers.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller keeps the same conditions.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: as the trait asks of callers.
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller keeps the same conditions.
        unsafe { System.dealloc(memory, layout) }
    }

    // SAFETY: as the trait asks of callers.
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are there while one is copied into the other.
        count(size.cast_signed());
        count(-layout.size().cast_signed());
        // SAFETY: the caller keeps the same conditions.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// The most bytes that were allocated at a time while `bytes` were decoded as a `T`, and what came of it.
fn peak<T: DeserializeOwned + 'static>(bytes: &[u8], limits: Limits) -> (usize, Result<T, String>) {
    let before = HELD.get();
    PEAK.set(before);
    let mut source = Source::new(bytes, &mut []).within(limits);
    let result = decode_from(&mut source).map_err(|error| error.to_string());
    let peak = PEAK.get() - before;
    (peak.unsigned_abs(), result)
}

/// Much memory, of which the bytes say nothing.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Wide {
    #[serde(skip_serializing_if = "Option::is_none")]
    seldom: Option<u8>,
    #[serde(skip)]
    _cold: Option<[u64; 38]>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are made, and that is all")]
enum Nested {
    Many(Vec<Nested>),
    One(Box<Nested>),
    Wide(Box<Wide>),
}

/// A sequence that announces `count` elements, and has them.
fn seq(count: u32, element: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xdd];
    bytes.extend(count.to_be_bytes());
    bytes.extend(element.repeat(count as usize));
    bytes
}

/// Limits without any memory but what the bytes are worth.
const NARROW: Limits = Limits {
    memory: 0,
    ..Limits::WIDEST
};

/// What serde reserves of a sequence's announced length, at the most.
const RESERVED: usize = 1 << 20;

/// Asserts that no more than 64 bytes are allocated for each of `bytes`, twice as many more while
/// collections grow, and what is reserved for one of them.
#[track_caller]
fn stays_small<T: DeserializeOwned + 'static>(what: &str, bytes: &[u8]) -> Result<T, String> {
    let (peak, result) = peak::<T>(bytes, NARROW);
    let most = 3 * 64 * bytes.len() + RESERVED;
    assert!(
        peak <= most,
        "{what}: {peak} bytes were allocated for {}",
        bytes.len()
    );
    result
}

#[test]
fn one_byte_each_becomes_no_large_value() {
    for count in [1_000, 100_000] {
        for element in [&[0x80][..], &[0x90]] {
            let bytes = seq(count, element);
            let error = stays_small::<Vec<Wide>>("empty maps", &bytes).unwrap_err();
            assert!(error.contains("more memory than 64 times"), "{error}");
            assert!(error.contains("into a Box"), "{error}");
            stays_small::<Vec<Option<Wide>>>("optional ones", &bytes).unwrap_err();
            stays_small::<Vec<Box<Wide>>>("boxed ones", &bytes).unwrap_err();
        }
        let nothing = seq(count, &[0xc0]);
        stays_small::<Vec<Option<Wide>>>("nothing, with room", &nothing).unwrap_err();
        let nowhere = stays_small::<Vec<Option<Box<Wide>>>>("nothing", &nothing);
        assert_eq!(nowhere.unwrap().len(), count as usize);
        let octets: Vec<u8> = [0xc6].into_iter().chain(count.to_be_bytes()).collect();
        let octets = [octets, vec![1; count as usize]].concat();
        stays_small::<Vec<(Fat,)>>("bytes for pairs", &octets).unwrap_err();
        stays_small::<Vec<Fat>>("bytes for large values", &octets).unwrap_err();
    }
}

/// A large value that is made of a number.
#[derive(Debug)]
#[expect(dead_code, reason = "it is made, and that is all")]
struct Fat([u64; 100]);

impl<'de> Deserialize<'de> for Fat {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        Ok(Self([number; 100]))
    }
}

#[test]
fn claimed_lengths_reserve_no_more_than_there_are_bytes() {
    let mut bytes = Vec::new();
    for level in 0..100_u32 {
        bytes.push(0xdd);
        bytes.extend(((99 - level) * 5 + 5_000).to_be_bytes());
    }
    bytes.extend(vec![0x90; 5_000]);
    stays_small::<serde_json::Value>("arrays in arrays", &bytes).unwrap_err();
    stays_small::<Nested>("arrays for enums", &bytes).unwrap_err();
    stays_small::<IgnoredAny>("what is ignored", &bytes).unwrap_err();
}

#[test]
fn values_within_values_are_bounded_as_well() {
    let wide = seq(50_000, b"\x81\xa4Wide\x80");
    stays_small::<Vec<Nested>>("boxes in enums", &wide).unwrap_err();
    let many = seq(50_000, b"\x81\xa4Many\x90");
    assert!(stays_small::<Vec<Nested>>("vectors in enums", &many).is_ok());
    let one = seq(50_000, b"\x81\xa3One\x81\xa4Many\x90");
    assert!(stays_small::<Vec<Nested>>("boxes of enums", &one).is_ok());
    let arrays = seq(50_000, &[0x91, 0x90]);
    stays_small::<Vec<Vec<Vec<Wide>>>>("vectors of vectors", &arrays).unwrap_err();
    let (_, arrays) = peak::<Vec<Vec<Vec<Wide>>>>(&arrays, Limits::WIDEST);
    assert_eq!(arrays.unwrap().len(), 50_000);
}

#[test]
fn maps_of_one_entry_have_room_for_eleven() {
    let maps = seq(20_000, &[0x81, 0x07, 0x07]);
    let (peak, trees) = peak::<Vec<BTreeMap<u8, u64>>>(&maps, NARROW);
    assert_eq!(trees.unwrap().len(), 20_000);
    assert!(peak <= 12 * 64 * maps.len(), "{peak} for {}", maps.len());
    let (_, tables) = self::peak::<Vec<HashMap<u8, Wide>>>(&seq(20_000, b"\x81\x07\x80"), NARROW);
    tables.unwrap_err();
}

#[test]
fn elements_are_counted_at_all_levels() {
    let limits = |elements| Limits {
        elements,
        ..Limits::WIDEST
    };
    let rows = seq(100, &[0x92, 0x01, 0x02]);
    let decoded = |limits| peak::<Vec<(u8, u8)>>(&rows, limits).1;
    assert_eq!(decoded(limits(300)).unwrap().len(), 100);
    assert_eq!(decoded(limits(299)).unwrap_err(), "more than 299 elements");
    // Before anything is reserved for them.
    let (peak, result) = peak::<Vec<Wide>>(&seq(10_000_000, &[0x80]), limits(1_000_000));
    assert_eq!(result.unwrap_err(), "more than 1000000 elements");
    assert!(peak < 1000, "{peak}");
}

#[test]
fn levels_are_counted() {
    let deep = |depth| Limits {
        depth,
        ..Limits::WIDEST
    };
    let bytes = [0x91, 0x91, 0x91, 0x01];
    let decoded = |limits| peak::<Vec<Vec<Vec<u8>>>>(&bytes, limits).1;
    assert_eq!(decoded(deep(3)).unwrap(), [[[1]]]);
    assert_eq!(decoded(deep(2)).unwrap_err(), "nested deeper than 2 levels");
}

#[test]
fn honest_values_are_not_refused() {
    let sparse: Vec<Option<Wide>> = (0..100_000).map(|_| None).collect();
    let mut bytes = Vec::new();
    encode(&sparse, &mut bytes).unwrap();
    let (_, back) = peak::<Vec<Option<Wide>>>(&bytes, Limits::WIDEST);
    assert_eq!(back.unwrap().len(), sparse.len());
    let wide: Vec<Wide> = (0..10_000).map(|_| Wide::default()).collect();
    let mut bytes = Vec::new();
    encode(&wide, &mut bytes).unwrap();
    assert_eq!(bytes.len(), 10_003);
    let (_, back) = peak::<Vec<Wide>>(&bytes, Limits::WIDEST);
    assert_eq!(back.unwrap().len(), wide.len());
}
