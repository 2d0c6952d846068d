//! A process pool.

mod error;
mod fork_server;
mod sys;
mod task_error;

pub use error::{Error, ErrorKind};
pub use pool_macros::task;
pub use pool_worker::{AnyError, Task, TaskRef, task_ref};
pub use task_error::{TaskError, TaskErrorKind};

/// What the output of `#[task]` names. No part of the public interface.
#[doc(hidden)]
pub use pool_worker::__private;
