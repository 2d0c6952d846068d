//! What the application and its workers share in the `pool-core` process pool.
//!
//! Applications depend on `pool-core`, which re-exports what is theirs; nothing here is a promise to
//! anybody else. Whatever links this crate can become a fork server or a worker before its `main`:
//!
//! - [`entry`]: what happens before `main`, and which processes it is meant for.
//! - [`fork_server`]: forks workers when asked, reaps them, and ends with its application.
//! - [`worker`]: what a worker does, from its birth to its last words.
//! - [`Profile`], [`Isolation`]: how far workers are kept from all else; [`Confinement`]: what each of
//!   them gives up for that.
//!
//! Both ends speak by these:
//!
//! - [`Task`], [`TaskEntry`], [`registry`]: functions as tasks, found by type and by name.
//! - [`codec`]: values to bytes and back.
//! - [`protocol`]: messages between application and fork server, and how calls end.
//! - [`channel`]: two rings in shared memory for each worker, and bells.
//! - [`shared`]: values that many calls refer to.
//! - [`sys`]: system calls, each behind a safe function.
//! - [`fault`]: where tests can plant faults.

mod any_error;
pub mod channel;
pub mod codec;
mod confinement;
pub mod entry;
pub mod fault;
pub mod fork_server;
mod isolation;
pub mod protocol;
pub mod registry;
pub mod shared;
pub mod sys;
pub mod task;
mod task_entry;
pub mod worker;

pub use any_error::AnyError;
pub use confinement::Confinement;
pub use isolation::{Isolation, Lack, Measure, Measures, Profile, Sandbox};
pub use shared::{Plain, Shareable, Shared};
pub use task::{Task, TaskRef, task_ref};
pub use task_entry::{CallError, TaskEntry};
pub use worker::{Current, current};

/// What the output of `#[task]` names. No part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::task_entry::{Arguments, TaskEntry, returned};
    pub use inventory::submit;
}
