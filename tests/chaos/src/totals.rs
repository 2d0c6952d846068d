//! How much was tried.

use std::fmt;
use std::iter::Sum;
use std::sync::atomic::Ordering;

use crate::killer::Shots;
use crate::ledger::Ledger;

const NAMES: [&str; 7] = [
    "rounds",
    "calls",
    "of them failed",
    "signals to workers",
    "signals to fork servers",
    "applications killed",
    "violations",
];

/// The line in which a process tells its totals begins so.
const MARK: &str = "totals: ";

/// Sums over rounds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals([u64; NAMES.len()]);

impl Totals {
    /// Those of one round.
    pub(crate) fn of(ledger: &Ledger, shots: &Shots) -> Self {
        Self([
            1,
            ledger.made.load(Ordering::SeqCst),
            ledger.failed(),
            shots.workers.load(Ordering::SeqCst),
            shots.servers.load(Ordering::SeqCst),
            0,
            ledger.violations() as u64,
        ])
    }

    /// Those of a round whose application was killed, which could not tell what it did.
    pub(crate) fn of_killed() -> Self {
        Self([1, 0, 0, 0, 0, 1, 0])
    }

    pub(crate) fn violations(&self) -> u64 {
        self.0[NAMES.len() - 1]
    }

    /// Tells them to whoever reads the output of this process.
    pub(crate) fn tell(&self) {
        let numbers: Vec<_> = self.0.iter().map(u64::to_string).collect();
        println!("{MARK}{}", numbers.join(" "));
    }

    /// Those that a process has told in its output.
    pub(crate) fn told_in(output: &str) -> Option<Self> {
        let line = output.lines().find_map(|line| line.strip_prefix(MARK))?;
        let numbers: Result<Vec<_>, _> = line.split(' ').map(str::parse).collect();
        Some(Self(numbers.ok()?.try_into().ok()?))
    }
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        for totals in all {
            let pairs = sum.0.iter_mut().zip(totals.0);
            pairs.for_each(|(sum, number)| *sum += number);
        }
        sum
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<_> = NAMES
            .iter()
            .zip(self.0)
            .map(|(name, number)| format!("{number} {name}"))
            .collect();
        f.write_str(&named.join(", "))
    }
}
