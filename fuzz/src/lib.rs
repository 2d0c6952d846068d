//! Fuzz targets: whatever reads bytes that another process wrote, given any bytes.
//!
//! Each target is a function of some bytes that panics where something is wrong. `main` tries them
//! on what is kept in `corpus` and on random changes of it, for a quick look with the stable compiler;
//! `libfuzzer` looks for ways that were not taken yet, for hours.

mod frames;
mod input;
mod memory;
mod messages;
mod session;
mod sys;
mod torn;
mod values;

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// All targets, by their names.
pub const TARGETS: [(&str, Target); 6] = [
    ("frames", frames::target),
    ("torn", torn::target),
    ("session", session::target),
    ("values", values::target),
    ("panics", messages::panics),
    ("messages", messages::target),
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    let found = TARGETS.iter().find(|(other, _)| *other == name);
    found.map(|(_, target)| *target)
}
