//! Fuzz targets: whatever reads bytes that another process wrote, given any bytes.
//!
//! Each target is a function of some bytes that panics where something is wrong. `main` tries them
//! on what is kept in `corpus` and on random changes of it, for a quick look with the stable compiler;
//! the programs of `fuzz_targets` look for ways that were not taken yet, for hours.

mod frames;
mod input;
mod memory;
mod messages;
mod session;
mod sys;
mod torn;
mod values;

pub use frames::target as frames;
pub use messages::panics;
pub use messages::target as messages;
pub use session::target as session;
pub use torn::target as torn;
pub use values::{most_memory, target as values};

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// All targets, by their names.
pub const TARGETS: [(&str, Target); 6] = [
    ("frames", frames),
    ("torn", torn),
    ("session", session),
    ("values", values),
    ("panics", panics),
    ("messages", messages),
];
