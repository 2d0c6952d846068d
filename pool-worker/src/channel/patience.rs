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
/// then slept.
///
/// Looking that would have spared a short sleep is tried for longer the next time. Where even the
/// longest look is followed by a short sleep, it was the look that kept the other side from its core:
/// others have the rest. Then one looks as little as can be, and grows bold again ever more rarely.
#[derive(Debug)]
pub struct Outlook {
    limit: Duration,
    doubt: u32,
    /// How many short sleeps are to change nothing.
    asleep: u32,
}

impl Outlook {
    /// The longest and the shortest time for which one looks.
    pub const MAX: Duration = Duration::from_micros(50);
    const MIN: Duration = Duration::from_micros(1);

    /// For how long to look.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// What was looked for came.
    pub fn found(&mut self) {
        self.doubt = 0;
    }

    /// It did not come, or was not looked for (`looked`), and came after so long a sleep.
    pub fn slept(&mut self, time: Duration, looked: bool) {
        if time >= Self::MAX {
            self.limit = Self::MIN.max(self.limit / 2);
        } else if self.limit < Self::MAX {
            if self.asleep == 0 {
                self.limit = Self::MAX.min(self.limit * 2);
            }
            self.asleep = self.asleep.saturating_sub(1);
        } else if looked {
            self.limit = Self::MIN;
            self.doubt = MAX_DOUBT.min(self.doubt + 1);
            self.asleep = (1 << self.doubt) - 1;
        }
    }
}

impl Default for Outlook {
    fn default() -> Self {
        Self {
            limit: Self::MAX,
            doubt: 0,
            asleep: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(5);
    const LONG: Duration = Duration::from_millis(3);

    #[test]
    fn long_sleeps_shorten_the_look_and_short_ones_lengthen_it() {
        let mut outlook = Outlook::default();
        for _ in 0..20 {
            outlook.slept(LONG, true);
        }
        assert_eq!(outlook.limit(), Outlook::MIN);
        for _ in 0..6 {
            outlook.slept(SHORT, true);
        }
        assert_eq!(outlook.limit(), Outlook::MAX);
        outlook.found();
        outlook.slept(SHORT, false);
        assert_eq!(outlook.limit(), Outlook::MAX, "it was not looked for");
    }

    #[test]
    fn where_the_longest_look_is_in_vain_it_is_tried_ever_more_rarely() {
        let mut outlook = Outlook::default();
        let mut looked = Duration::ZERO;
        for _ in 0..1000 {
            looked += outlook.limit();
            outlook.slept(SHORT, true);
        }
        assert!(looked < 1000 * Duration::from_micros(4), "{looked:?}");
        assert!(looked > 1000 * Outlook::MIN, "it is tried again");
    }
}
