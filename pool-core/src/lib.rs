//! A process pool.

// The layers, from what users see down to the ground; each uses those below it.
mod builder;
mod executor;
mod future;
mod map;
mod wait;

mod supervisor;

mod initializer;

mod driver;

mod notifier;
mod scheduler;

mod member;

mod call;

mod completion;

mod fork_server;

mod error;
mod sys;
mod task_error;

pub use builder::ExecutorBuilder;
pub use error::{Error, ErrorKind};
pub use executor::Executor;
pub use future::{TaskFuture, TaskHandle};
pub use initializer::InitOutput;
pub use map::{Map, Unordered};
pub use pool_macros::task;
pub use pool_worker::protocol::StartMethod;
pub use pool_worker::{AnyError, Task, TaskRef, task_ref};
pub use task_error::{TaskError, TaskErrorKind};
pub use wait::{AsCompleted, Timeout, WaitFor, Waited, as_completed, wait};

/// What the output of `#[task]` names. No part of the public interface.
#[doc(hidden)]
pub use pool_worker::__private;
