//! Whether, and for how long, it is worth while to look for the other side instead of sleeping.

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

/// For how long a side looks for what the other does next before it sleeps, learnt from how long it
/// then slept: longer if looking would have spared it that sleep, less long if not.
#[derive(Debug)]
pub struct Outlook {
    limit: Duration,
}

impl Outlook {
    /// The longest and the shortest time for which one looks, if at all.
    pub const MAX: Duration = Duration::from_micros(50);
    const MIN: Duration = Duration::from_micros(1);
    /// A sleep shorter than this may have been for something that looking would have found: where both
    /// sides sleep, most of it is what it takes to wake first the one and then the other.
    const SHORT_SLEEP: Duration = Duration::from_micros(100);

    /// For how long to look.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// It had to sleep so long.
    pub fn slept(&mut self, time: Duration) {
        self.limit = if time < Self::SHORT_SLEEP {
            (self.limit * 2).clamp(Self::MIN, Self::MAX)
        } else if self.limit > Self::MIN {
            self.limit / 2
        } else {
            Duration::ZERO
        };
    }
}

impl Default for Outlook {
    fn default() -> Self {
        Self { limit: Self::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sleeps_shorten_the_look_and_short_ones_lengthen_it() {
        let mut outlook = Outlook::default();
        for _ in 0..20 {
            outlook.slept(Duration::from_millis(3));
        }
        assert_eq!(outlook.limit(), Duration::ZERO);
        // As long as it takes to wake two sides where that is slow.
        for _ in 0..7 {
            outlook.slept(Duration::from_micros(80));
        }
        assert_eq!(outlook.limit(), Outlook::MAX);
    }
}
