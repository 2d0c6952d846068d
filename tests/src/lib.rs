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
mod misdeed;
mod scratch;
mod setup;
mod skip;
pub mod suite;
pub mod sys;
pub mod tasks;
mod wait;

pub use case::{Isolated, harness, isolated, processes, program, run_case};
pub use footprint::{Footprint, resident, threads};
pub use misdeed::{Fragile, Misdeed, Outcome, Stage};
pub use scratch::{Gate, Log, Scratch};
pub use setup::{
    builder, cubed_or_stopped, cubes, executor, holding, maps, pattern, tireless_executor, values,
};
pub use skip::skipped;
pub use wait::{PATIENCE, fails_with, rounds, until};
