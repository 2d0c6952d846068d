//! Sites at which a test can plant a fault: a death, a delay, an error, just there.
//!
//! Crashes that are timed by chance hit the short steps of a protocol hardly ever. So each step at
//! which a process could die, stop or be refused something bears a name, a [`Site`], and says when
//! it comes by: [`at`], or [`try_at`] where an error may come of it. With the feature `fault-injection`
//! the variable `PLAN` of the environment tells at which of them what happens. Without it, as in
//! every program that does not ask for it, the two functions are empty, and nothing is left of them.
//!
//! Sites of all processes are listed in one table, so that a test can try each with each `Action`,
//! and see that none is out of reach.

#[cfg(feature = "fault-injection")]
mod action;
#[cfg(feature = "fault-injection")]
mod plan;
mod site;
#[cfg(feature = "fault-injection")]
mod sys;

#[cfg(feature = "fault-injection")]
pub use action::Action;
#[cfg(feature = "fault-injection")]
pub use plan::{Fault, LEDGER, PLAN, at, enter, try_at};
pub use site::{Process, Site};

/// This process is one of this kind from now on.
#[cfg(not(feature = "fault-injection"))]
#[inline]
pub fn enter(_: Process) {}

/// The calling thread comes by a site.
#[cfg(not(feature = "fault-injection"))]
#[inline]
pub fn at(_: Site) {}

/// The calling thread comes by a site that can fail.
///
/// # Errors
///
/// Never, without the feature.
#[cfg(not(feature = "fault-injection"))]
#[inline]
pub fn try_at(_: Site) -> std::io::Result<()> {
    Ok(())
}
