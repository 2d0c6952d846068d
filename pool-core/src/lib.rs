//! A process pool.

pub use pool_macros::task;
pub use pool_worker::{AnyError, Task, TaskRef, task_ref};

/// What the output of `#[task]` names. No part of the public interface.
#[doc(hidden)]
pub use pool_worker::__private;
