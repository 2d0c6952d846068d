//! What the application and its workers share in the `pool-core` process pool.

mod any_error;
pub mod channel;
pub mod codec;
pub mod entry;
pub mod fork_server;
pub mod protocol;
pub mod registry;
pub mod sys;
pub mod task;
mod task_entry;
pub mod worker;

pub use any_error::AnyError;
pub use task::{Task, TaskRef, task_ref};
pub use task_entry::{CallError, TaskEntry};

/// What the output of `#[task]` names. No part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::task_entry::{Arguments, TaskEntry, returned};
    pub use inventory::submit;
}
