//! Numbers that follow from a seed: `SplitMix64`, by Steele, Lea and Flood.

use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

/// A sequence of numbers that a seed determines.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// That of the seed in `POOL_TEST_SEED`, else one that nobody has seen before; the seed is printed.
    pub fn unforeseen() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let unforeseen = || now.map_or(1, |now| now.as_secs());
        let given = std::env::var("POOL_TEST_SEED").ok();
        let seed = given
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(unforeseen);
        println!("the seed is {seed}");
        Self(seed)
    }

    /// A sequence of its own, for a thread: what others draw meanwhile does not change it.
    #[must_use]
    pub fn branch(&mut self) -> Self {
        Self(self.number())
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of the numbers of the range, which may not be empty.
    pub fn within(&mut self, range: Range<usize>) -> usize {
        let count = (range.end - range.start) as u64;
        let offset = usize::try_from(self.number() % count);
        range.start + offset.expect("below a number of that type")
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.within(0..count) == 0
    }

    /// One of several things, of which there is one at least.
    pub fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.within(0..among.len())]
    }

    /// So many milliseconds as one of the numbers of the range.
    pub fn millis(&mut self, range: Range<usize>) -> Duration {
        Duration::from_millis(self.within(range) as u64)
    }

    /// Puts these in an order of its own.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        things.sort_by_cached_key(|_| self.number());
    }
}
