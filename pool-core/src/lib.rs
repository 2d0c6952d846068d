//! A process pool: mark a function with [`#[task]`](task), call it on worker processes, get its
//! result back, and lose no more than one call when a worker dies.
//!
//! ```
//! use pool_core::{Executor, task};
//!
//! #[task]
//! fn cube(x: i64) -> i64 {
//!     x * x * x
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let executor = Executor::new()?; // one worker for each core
//!     let cubes: Vec<i64> = executor.map(cube, 0..5).collect::<Result<_, _>>()?;
//!     assert_eq!(cubes, [0, 1, 8, 27, 64]);
//!     assert_eq!(executor.submit(cube, 5).result()?, cube(5));
//!     Ok(())
//! }
//! ```
//!
//! The [guide] walks through all of it, and says what the calls of other pools are here.
//!
//! Nothing has to be called first, and `main` needs no guard: executors are built wherever they are
//! wanted, also in tests, in doctests, beside other threads and inside async runtimes.
//!
//! # Tasks
//!
//! [`#[task]`](task) leaves the function as it was and registers it beside. An executor is handed
//! the function's name and the arguments: the argument itself where there is one, `()` where there
//! is none, a tuple where there are more. Which task is meant is known from the function's type, so
//! types are checked when the program is compiled; [`task_ref`] makes a value of a task, to choose
//! at run time.
//!
//! ```
//! # use pool_core::{Executor, task};
//! #[task]
//! fn join(words: Vec<String>, separator: String) -> String {
//!     words.join(&separator)
//! }
//!
//! # let executor = Executor::builder().workers(1).build()?;
//! let words = vec!["a".to_string(), "b".to_string()];
//! assert_eq!(executor.submit(join, (words, ", ".to_string())).result()?, "a, b");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Arguments and results are owned, and cross by serde. Texts and vectors of plain numbers
//! (`String`, `Vec<u8>`, `Vec<f64>`, ...) cross as memory, all else as `MessagePack`. A value that
//! would come back changed is refused instead, with [`Encode`](TaskErrorKind::Encode).
//!
//! A task in a library that the program's source never names is left out by the linker; its calls
//! yield [`UnknownTask`](TaskErrorKind::UnknownTask). Any path into that library cures it, or
//! `use that_crate as _;`.
//!
//! # Results and errors
//!
//! Every call yields a `Result<R, `[`TaskError`]`>`: that error tells what kept the task from
//! returning. A task may itself return a `Result`, whose error is the task's own and comes back as
//! it was; [`AnyError`] carries errors that serde does not know.
//!
//! ```
//! # use pool_core::{Executor, TaskErrorKind, task};
//! #[task]
//! fn parse(text: String) -> Result<u32, String> {
//!     if text.is_empty() {
//!         std::process::abort();
//!     }
//!     text.parse().map_err(|error| format!("{text:?}: {error}"))
//! }
//!
//! # let executor = Executor::builder().workers(1).build()?;
//! assert_eq!(executor.submit(parse, "7".to_string()).result()?, Ok(7));
//! assert!(executor.submit(parse, "x".to_string()).result()?.is_err());
//!
//! let error = executor.submit(parse, String::new()).result().unwrap_err();
//! assert_eq!(error.kind(), TaskErrorKind::WorkerDied);
//! assert_eq!(error.signal(), Some(6));
//! // Another worker has taken the place of the one that died.
//! assert_eq!(executor.submit(parse, "8".to_string()).result()?, Ok(8));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Workers
//!
//! A worker is a process of the same program in which `main` never runs. It runs one call at a
//! time. Its statics are as they are before `main`, and stay from call to call until it dies:
//! [`initializer`](ExecutorBuilder::initializer) is the place to set things up in each, and
//! [`preload`](ExecutorBuilder::preload) the one to load what all of them share. Its environment,
//! working directory, umask and limits are those of the application when the executor was built,
//! however late it starts, unless [`env`](ExecutorBuilder::env) and its like say otherwise. It reads
//! nothing from standard input, shares standard output and error, and belongs to no terminal. Panics
//! of tasks are not printed, as they are the call's error.
//!
//! All workers start with the executor, and stay, unless [`min_workers`](ExecutorBuilder::min_workers)
//! or [`idle_timeout`](ExecutorBuilder::idle_timeout) is set: then there are as many as calls need.
//! [`resize`](Executor::resize) changes how many there can be.
//!
//! How workers come to be is the [`StartMethod`]. By default each executor has a *fork server*: the
//! program executed anew, which never gets to `main` but forks workers when asked. The application
//! itself is never forked, so locks that its threads hold are no worker's affair.
//!
//! # What isolation means here
//!
//! A panic, a segmentation fault, a stack overflow, `exit`, a kill from outside: each costs the call
//! that ran and nothing else. Calls that had not begun run elsewhere, results that were sent count,
//! and the worker is replaced. No call runs twice, unless [`retries`](ExecutorBuilder::retries) asks for
//! that. What a dead worker had started is killed too.
//!
//! A worker has the rights of the application, to files and networks say, but none over the application
//! itself or other workers, where the kernel has what that takes: [`Executor::isolation`] tells. That guards
//! against faults. For code or input that means harm there is [`Profile::Untrusted`], whose workers
//! can do nothing but compute; [`guide::isolation`] says more. What a worker
//! *sends* is checked like any other input, whatever the profile.
//!
//! # Limits to time
//!
//! A call that takes longer than its [`task_timeout`](ExecutorBuilder::task_timeout), or than the
//! [`timeout`](CallOptions::timeout) of its [`options`](Executor::options), is stopped with its worker,
//! and yields [`TimedOut`](TaskErrorKind::TimedOut). The time in the queue does not count, and no other
//! call is harmed. [`Map::deadline`] limits all of a map. [`current`] tells a task how much time is
//! left.
//!
//! ```
//! # use pool_core::{Executor, TaskErrorKind, task};
//! # use std::{thread, time::Duration};
//! #[task]
//! fn hang() {
//!     thread::park_timeout(Duration::from_secs(3600));
//! }
//!
//! # let executor = Executor::builder().workers(1).build()?;
//! let limited = executor.options().timeout(Duration::from_millis(50));
//! let error = limited.submit(hang, ()).result().unwrap_err();
//! assert_eq!(error.kind(), TaskErrorKind::TimedOut);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limits to memory
//!
//! With a [`memory_limit`](ExecutorBuilder::memory_limit), a call that takes more is stopped with its
//! worker and yields [`MemoryLimit`](TaskErrorKind::MemoryLimit), and a worker that is left with more
//! after a call is replaced before another begins. [`Executor::stats`] counts both, and all else.
//!
//! # Limits to size
//!
//! [`max_args`](ExecutorBuilder::max_args) and [`max_result`](ExecutorBuilder::max_result) bound the
//! bytes of a call's arguments and of its result; what is larger yields
//! [`TooLarge`](TaskErrorKind::TooLarge), and costs that call alone. Whatever its type, what an
//! application decodes from a result of `n` bytes takes at most 64 · `n` bytes and 1 GiB, and for each
//! byte no more than its type can be made of one; what collections keep in reserve comes on top.
//! [`max_result_memory`](ExecutorBuilder::max_result_memory) stands for that GiB;
//! [`max_result_elements`](ExecutorBuilder::max_result_elements) and
//! [`max_result_depth`](ExecutorBuilder::max_result_depth) are stricter besides, for results from workers
//! that may mean harm. What goes beyond one of these yields [`Decode`](TaskErrorKind::Decode).
//!
//! # Waiting
//!
//! A [`TaskFuture`] is waited for by a thread ([`result`](TaskFuture::result)), awaited in any async
//! runtime, handed to a callback ([`on_done`](TaskFuture::on_done)), or collected with others
//! ([`wait`](fn@wait), [`as_completed`]). [`Executor::map`] calls a task for each of many inputs,
//! lazily and in bounded memory; with the feature `futures`, `Map::into_stream` gives its results to
//! async tasks.
//!
//! ```
//! # use pool_core::{Executor, task};
//! # use futures_lite::future::block_on;
//! #[task]
//! fn double(x: u32) -> u32 {
//!     x * 2
//! }
//!
//! # let executor = Executor::builder().workers(1).build()?;
//! let doubled = async { executor.submit(double, 4).await };
//! assert_eq!(block_on(doubled)?, 8);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Values for many calls
//!
//! Arguments are copied into the worker at each call. What many calls read is better shared:
//! [`share_slice`](Executor::share_slice) puts plain numbers where workers read them in place,
//! [`share`](Executor::share) does the like for any value that serde knows, which each worker decodes
//! once. The [`Shared`] that they give is passed for the price of a handle, anywhere in arguments.
//!
//! ```
//! # use pool_core::{Executor, Shared, task};
//! #[task]
//! fn count(text: Shared<[u8]>, byte: u8) -> usize {
//!     text.iter().filter(|&&other| other == byte).count()
//! }
//!
//! # let executor = Executor::builder().workers(2).build()?;
//! let text = executor.share_slice("a text that is searched".as_bytes())?;
//! let calls = ['a', 'e', 'x'].map(|letter| (text.clone(), letter as u8));
//! let counts: Vec<usize> = executor.map(count, calls).collect::<Result<_, _>>()?;
//! assert_eq!(counts, [3, 3, 1]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The end
//!
//! Dropping an [`Executor`] waits for its calls, and its processes are gone after that; see
//! [`shutdown`](Executor::shutdown), [`shutdown_timeout`](Executor::shutdown_timeout),
//! [`shutdown_now`](Executor::shutdown_now) and [`kill`](Executor::kill) for other ends. However the
//! application ends, by `kill -9` too, its workers end with it.
//!
//! A fork of the application has copies of its executors and futures. To drop them there does nothing;
//! nothing else may be done with them, as nobody serves them.

pub mod guide;

// The layers, from what users see down to the ground. A module uses those of its own layer and of
// those below it, never in a circle; a test sees to that.

// Face: what users hold.
mod builder;
mod executor;
mod future;
mod map;
mod options;
mod rejected;
mod wait;

// Lives: which processes there are, and why one more or less.
mod hook;
mod supervisor;

// Drive: who moves calls and answers, who sleeps, who is told.
mod driver;
mod notifier;

// Deal: which call goes to which worker.
mod member;
mod scheduler;

// Ground: a call and what comes of it, the fork server, system calls, errors.
mod bounds;
mod call;
mod calls;
mod environment;
mod error;
mod fork_server;
mod gate;
mod memory;
mod oom;
mod stats;
mod sync;
mod sys;
mod task_error;
mod terms;
mod waiter;

pub use builder::ExecutorBuilder;
pub use error::{Error, ErrorKind};
pub use executor::Executor;
pub use future::{TaskFuture, TaskHandle};
pub use hook::InitOutput;
#[cfg(feature = "futures")]
pub use map::MapStream;
pub use map::{Map, Unordered};
pub use options::CallOptions;
pub use pool_macros::task;
pub use pool_worker::protocol::StartMethod;
pub use pool_worker::{
    AnyError, Current, Isolation, Measure, Plain, Profile, Sandbox, Shareable, Shared, Task,
    TaskRef, current, task_ref,
};
pub use rejected::Rejected;
pub use stats::Stats;
pub use task_error::{DeathCause, TaskError, TaskErrorKind};
pub use wait::{AsCompleted, Timeout, WaitFor, Waited, as_completed, wait};

/// What the output of `#[task]` names. No part of the public interface.
#[doc(hidden)]
pub use pool_worker::__private;
