//! Whether it is worth while to look for the other side's next piece instead of sleeping.

use std::hint;
use std::time::{Duration, Instant};

/// For how long one looks: a few times what the other side takes to copy a piece.
const LIMIT: Duration = Duration::from_micros(10);
/// How many looks there are between two looks at the clock.
const LOOKS_PER_CLOCK: u32 = 32;
/// The most waits that are slept through after one in which looking was in vain, as a power of two.
const MAX_DOUBT: u32 = 6;

/// What a side of a stream has learnt of the other.
///
/// Where both sides have a core each, looking is quicker than sleeping. Where they share one, as
/// other processes have the rest, whoever looks keeps the other from its work; then looking is
/// tried ever more rarely.
#[derive(Debug, Default)]
pub struct Patience {
    doubt: u32,
    /// How many waits are to be slept through.
    asleep: u32,
}

impl Patience {
    /// Whether to look, this time.
    pub fn is_worth_while(&mut self) -> bool {
        let asleep = self.asleep;
        self.asleep = asleep.saturating_sub(1);
        asleep == 0
    }

    /// Looks for a while whether `ready` holds.
    pub fn look(ready: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            for _ in 0..LOOKS_PER_CLOCK {
                if ready() {
                    return true;
                }
                hint::spin_loop();
            }
        }
        false
    }

    /// Learns from having looked.
    pub fn learn(&mut self, found: bool) {
        if found {
            self.doubt = 0;
        } else {
            self.doubt = MAX_DOUBT.min(self.doubt + 1);
            self.asleep = (1 << self.doubt) - 1;
        }
    }
}
