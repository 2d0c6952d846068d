//! How much memory a worker may have, and how much it has.

use std::fmt;

/// More memory than a worker may have, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    /// What it has.
    pub(crate) seen: u64,
    /// What it may have.
    pub(crate) limit: u64,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seen, limit } = *self;
        let (seen, limit) = (Bytes(seen), Bytes(limit));
        write!(
            f,
            "it had {seen} of its own, and its memory_limit is {limit}"
        )
    }
}

/// A number of bytes, in the unit that people would take.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let Some((unit, name)) = units.into_iter().find(|(unit, _)| self.0 >= *unit) else {
            return write!(f, "{} bytes", self.0);
        };
        let tenths = self.0 % unit * 10 / unit;
        write!(f, "{}.{tenths} {name}", self.0 / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_their_unit() {
        let texts = [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (64 << 20, "64.0 MiB"),
            ((64 << 20) - 1, "63.9 MiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ];
        for (bytes, text) in texts {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
