//! Numbers that follow from a seed: `SplitMix64`, by Steele, Lea and Flood.

use std::ops::Range;
use std::time::Duration;

/// A sequence of numbers that a seed determines.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A sequence of its own, for a thread: what others draw meanwhile does not change it.
    pub(crate) fn branch(&mut self) -> Self {
        Self(self.number())
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of the numbers of the range, which may not be empty.
    pub(crate) fn within(&mut self, range: Range<usize>) -> usize {
        let count = (range.end - range.start) as u64;
        let offset = self.number() % count;
        range.start + usize::try_from(offset).unwrap_or(0)
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.within(0..count) == 0
    }

    /// One of several things, of which there is one at least.
    pub(crate) fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.within(0..among.len())]
    }

    pub(crate) fn millis(&mut self, range: Range<usize>) -> Duration {
        Duration::from_millis(self.within(range) as u64)
    }

    pub(crate) fn shuffle<T>(&mut self, things: &mut [T]) {
        for end in (1..things.len()).rev() {
            things.swap(end, self.within(0..end + 1));
        }
    }
}
