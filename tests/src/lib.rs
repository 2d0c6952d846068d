//! What the tests of the process pool share: processes of their own for tests, conditions with
//! deadlines, meeting points that cross processes, and tasks that end in every bad way.
//!
//! See `README.md` beside this crate for which behaviour is covered where.

#![expect(
    clippy::missing_panics_doc,
    reason = "what tests share panics where a test fails"
)]

mod case;
mod footprint;
pub mod load;
mod misdeed;
mod random;
mod scratch;
mod setup;
mod skip;
pub mod suite;
pub mod sys;
pub mod tasks;
pub mod trials;
mod wait;

pub use case::{
    Isolated, Observed, harness, isolated, observe, processes, program, run_case, run_here,
};
pub use footprint::{
    Footprint, anonymous, most_reserved, resident, threads, threads_with_executor,
};
pub use misdeed::{Fragile, Misdeed, Outcome, Stage};
pub use random::Random;
pub use scratch::{Gate, Log, Scratch};
pub use setup::{
    builder, cubed_or_stopped, cubes, executor, holding, maps, pattern, tireless_executor, values,
};
pub use skip::skipped;
pub use wait::{PATIENCE, fails_with, holds_within, rounds, until};
