//! A walk through all of it, from the first call to the end of the last process.
//!
//! Coming from another pool, [`from_other_pools`] says what each of its calls is here.
//!
//! # Calls
//!
//! [`submit`](crate::Executor::submit) takes a task and its arguments, and gives a
//! [`TaskFuture`](crate::TaskFuture) at once. Both ends of the call are typed: the arguments by the
//! function, the result by the future.
//!
//! ```
//! use pool_core::{Executor, task};
//! use std::time::Duration;
//!
//! #[task]
//! fn power(base: u64, exponent: u32) -> Option<u64> {
//!     base.checked_pow(exponent)
//! }
//!
//! let executor = Executor::builder().workers(2).build()?;
//! let small = executor.submit(power, (3, 4));
//! let large = executor.submit(power, (10, 100));
//! assert_eq!(small.result()?, Some(81));
//!
//! // A wait with a limit gives the future back if it is not done by then.
//! match large.result_timeout(Duration::from_secs(60)) {
//!     Ok(result) => assert_eq!(result?, None),
//!     Err(_still_running) => unreachable!("it takes no minute"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Many futures are waited for by [`wait`](fn@crate::wait), in the order in which they are done by
//! [`as_completed`](crate::as_completed), by a callback each
//! ([`on_done`](crate::TaskFuture::on_done)), or by `.await` in any async runtime. A
//! [`TaskHandle`](crate::TaskHandle) cancels or kills a call whose future was handed on.
//!
//! ```
//! # use pool_core::{Executor, as_completed, task};
//! # use std::{sync::mpsc, thread, time::Duration};
//! #[task]
//! fn nap(milliseconds: u64) -> u64 {
//!     thread::sleep(Duration::from_millis(milliseconds));
//!     milliseconds
//! }
//!
//! # let executor = Executor::builder().workers(2).build()?;
//! let naps = [300, 1].map(|milliseconds| executor.submit(nap, milliseconds));
//! let first = as_completed(naps).next().expect("there are two");
//! assert_eq!((first.0, first.1?), (1, 1));
//!
//! let (sender, receiver) = mpsc::channel();
//! executor.submit(nap, 2).on_done(move |result| drop(sender.send(result)));
//! assert_eq!(receiver.recv()??, 2);
//!
//! let long = executor.submit(nap, 60_000);
//! let handle = long.handle();
//! thread::spawn(move || handle.kill());
//! assert!(long.result().is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! To `.await` a future needs no feature and no certain runtime. It borrows nothing, and one that lost a
//! `select!`, here [`or`](https://docs.rs/futures-lite/2/futures_lite/future/fn.or.html), can be awaited again:
//!
//! ```
//! # use pool_core::{Executor, task};
//! # use std::{thread, time::Duration};
//! # #[task]
//! # fn nap(milliseconds: u64) -> u64 {
//! #     thread::sleep(Duration::from_millis(milliseconds));
//! #     milliseconds
//! # }
//! use futures_lite::future::{block_on, or};
//!
//! # let executor = Executor::builder().workers(2).build()?;
//! block_on(async {
//!     let mut slow = executor.submit(nap, 300);
//!     assert_eq!(or(executor.submit(nap, 1), &mut slow).await?, 1);
//!     assert_eq!(slow.await?, 300);
//!     Ok::<(), pool_core::TaskError>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Maps
//!
//! [`map`](crate::Executor::map) calls a task for each of many inputs. It is an iterator: lazy, in the
//! order of inputs, over inputs without end too, with as much in flight as keeps the workers busy and no
//! more. Nobody chooses the size of a chunk. What fails is an item, and ends nothing.
//!
//! ```
//! use pool_core::{Executor, task};
//!
//! #[task]
//! fn root(x: i64) -> Result<f64, String> {
//!     if x < 0 { Err(format!("{x} is negative")) } else { Ok((x as f64).sqrt()) }
//! }
//!
//! let executor = Executor::builder().workers(2).build()?;
//! let roots: Vec<_> = executor.map(root, [4, -1, 9]).collect();
//! assert_eq!(roots[0].as_ref().unwrap(), &Ok(2.0));
//! assert_eq!(roots[1].as_ref().unwrap(), &Err("-1 is negative".to_string()));
//! assert_eq!(roots[2].as_ref().unwrap(), &Ok(3.0));
//!
//! // Whatever comes first, of inputs without end; what is not needed is cancelled.
//! let (index, found) = executor.map(root, 10..).unordered().next().expect("no end");
//! assert_eq!(found??, ((10 + index) as f64).sqrt());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`start`](crate::Map::start) begins before the first result is asked for,
//! [`window`](crate::Map::window) bounds what is in flight, where inputs are precious or large,
//! [`deadline`](crate::Map::deadline) [the time](stopping) for all of it, and `into_stream` (feature
//! `futures`) gives the results to async tasks.
//!
//! ```
//! # use pool_core::{Executor, task};
//! # #[task]
//! # fn half(x: u64) -> u64 {
//! #     x / 2
//! # }
//! # let executor = Executor::builder().workers(2).build()?;
//! let mut drawn = 0;
//! let inputs = (0..100).inspect(|_| drawn += 1);
//! assert_eq!(executor.map(half, inputs).window(3).next().expect("a hundred")?, 0);
//! assert!(drawn <= 3);
//!
//! # #[cfg(feature = "futures")]
//! # {
//! use futures_lite::{StreamExt, future::block_on};
//!
//! let mut halves = executor.map(half, [2, 4]).into_stream();
//! assert_eq!(block_on(halves.next()).expect("two")?, 1);
//! assert_eq!(block_on(halves.next()).expect("two")?, 2);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Errors
//!
//! A call yields `Result<R, TaskError>`. What the task itself returns, also if that is an `Err`, is the
//! `R`; a [`TaskError`](crate::TaskError) says why there is none:
//!
//! | [`kind`](crate::TaskError::kind) | what happened | the worker |
//! |---|---|---|
//! | `Panicked` | the task panicked; message, place and backtrace are told | goes on |
//! | `WorkerDied` | the task crashed, exited, or was killed; signal or exit code are told | is replaced |
//! | `TimedOut` | the call ran for longer than it may, or its map had to be done | is replaced, if it ran |
//! | `MemoryLimit` | the worker had more memory than `memory_limit` allows | is replaced |
//! | `CpuLimit` | the call took more processor time than `cpu_limit` allows | is replaced |
//! | `SandboxViolation` | the call made a system call that its profile forbids | is replaced |
//! | `Killed` | somebody stopped the call, or the executor, while it ran | is replaced |
//! | `Cancelled` | somebody stopped it before it began | |
//! | `TooLarge` | the arguments or the result have more bytes than `max_args` or `max_result` allow | goes on |
//! | `Poisoned` | workers died one after the other, each before it began this very call | is replaced |
//! | `Encode`, `Decode` | serde refused the arguments or the result, at either end; or a result has more elements or levels, or takes more memory, than `max_result_elements`, `max_result_depth` or `max_result_memory` allows | goes on |
//! | `UnknownTask` | the function has no `#[task]`, or its library is not linked | |
//! | `QueueFull` | more calls wait than `queue_limit` or `queue_bytes` allow | |
//! | `ShutDown` | the executor takes no calls any more | |
//! | `PoolBroken` | workers cannot be had: an initializer fails, say; `source` tells why | |
//!
//! For errors that serde does not know there is [`AnyError`](crate::AnyError), into which `?` turns
//! them:
//!
//! ```
//! use pool_core::{AnyError, Executor, task};
//!
//! #[task]
//! fn lines(path: String) -> Result<usize, AnyError> {
//!     Ok(std::fs::read_to_string(path)?.lines().count())
//! }
//!
//! let executor = Executor::builder().workers(1).build()?;
//! let error = executor.submit(lines, "/no/such/file".to_string()).result()?.unwrap_err();
//! assert!(error.to_string().contains("No such file"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Deaths, and second attempts
//!
//! A worker that dies costs the call that it ran. Nothing runs twice by itself;
//! [`retries`](crate::CallOptions::retries) begins a call anew whose worker died, be it a crash of the
//! task's own or the kernel's want of memory, and the last error tells of all
//! [`attempts`](crate::TaskError::attempts). Deaths outside of any task, at the start say, are tried
//! again up to the [`restart_limit`](crate::ExecutorBuilder::restart_limit), past which the executor is
//! broken and says why.
//!
//! ```
//! use pool_core::{Executor, TaskErrorKind, current, task};
//!
//! #[task]
//! fn flaky() -> u32 {
//!     let attempt = current().expect("in a worker").attempt();
//!     if attempt < 3 {
//!         std::process::abort();
//!     }
//!     attempt
//! }
//!
//! let executor = Executor::builder().workers(1).build()?;
//! assert_eq!(executor.options().retries(2).submit(flaky, ()).result()?, 3);
//! let error = executor.options().retries(1).submit(flaky, ()).result().unwrap_err();
//! assert_eq!((error.kind(), error.attempts()), (TaskErrorKind::WorkerDied, 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`started`](crate::TaskError::started) tells whether the task of a failed call may have run at all, and
//! [`death_cause`](crate::TaskError::death_cause) what its worker died of beyond the signal, where that
//! can be seen: a stack that overflowed, memory that could not be had, the kernel's OOM killer.
//!
//! # Limits, and calls that nobody wants any more
//!
//! A call may have a limit to its time, to its processor time and to its memory, past which it is stopped,
//! whatever its task does against it; and whoever holds its future or a handle can stop it. [`stopping`] has
//! all ways to do so.
//!
//! # What waits, and what comes first
//!
//! A thread's calls begin in their order, threads take turns, and a higher
//! [`priority`](crate::CallOptions::priority) comes first.
//! [`queue_limit`](crate::ExecutorBuilder::queue_limit) and
//! [`queue_bytes`](crate::ExecutorBuilder::queue_bytes) bound what waits;
//! [`try_submit`](crate::Executor::try_submit) gives the arguments of a call back that finds no room, to
//! be tried again once an earlier one is done:
//!
//! ```
//! use pool_core::{Executor, TaskErrorKind, task};
//! use std::collections::VecDeque;
//!
//! #[task]
//! fn length(text: String) -> usize {
//!     text.len()
//! }
//!
//! let executor = Executor::builder().workers(1).queue_limit(4).build()?;
//! let (mut pending, mut total) = (VecDeque::new(), 0);
//! for number in 0..100 {
//!     let mut text = number.to_string();
//!     loop {
//!         match executor.try_submit(length, text) {
//!             Ok(future) => break pending.push_back(future),
//!             Err(full) => {
//!                 assert_eq!(full.kind(), TaskErrorKind::QueueFull);
//!                 text = full.into_args();
//!                 total += pending.pop_front().expect("one is pending").result()?;
//!             }
//!         }
//!     }
//! }
//! for future in pending {
//!     total += future.result()?;
//! }
//! assert_eq!(total, 190);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Values that many calls refer to
//!
//! Arguments are copied into a worker, results back. What many calls read is put once into a
//! [`Shared`](crate::Shared), by [`share`](crate::Executor::share), or by
//! [`share_slice`](crate::Executor::share_slice) and [`share_str`](crate::Executor::share_str), which workers
//! read in place; it is read-only, and goes with its last user.
//!
//! ```
//! use pool_core::{Executor, Shared, task};
//!
//! #[task]
//! fn above(numbers: Shared<[f64]>, limit: f64) -> usize {
//!     numbers.iter().filter(|&&number| number > limit).count()
//! }
//!
//! let executor = Executor::builder().workers(2).build()?;
//! let numbers: Vec<f64> = (0..1_000_000).map(f64::from).collect();
//! let numbers = executor.share_slice(&numbers)?;
//! let calls = [10.0, 999_998.0].map(|limit| (numbers.clone(), limit));
//! assert_eq!(executor.map(above, calls).collect::<Result<Vec<_>, _>>()?, [999_989, 1]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Workers
//!
//! How they start, how many there are, what they find around them, what runs at their birth and their end,
//! when they are replaced, and what all of that comes to in numbers: [`workers`].
//!
//! # Tasks that start something
//!
//! A task may start threads and processes, and submit to an executor of its own. What it leaves behind
//! when its worker ends is killed; a whole tree of executors goes down with its root. A process whose
//! parent has ended becomes the worker's child; if it ends before the worker does, its entry in the
//! table of processes stays until then, since none but the task can know which children it still wants
//! to wait for. Where tasks leave many such behind,
//! [`max_tasks_per_worker`](crate::ExecutorBuilder::max_tasks_per_worker) bounds them, and
//! [`idle_timeout`](crate::ExecutorBuilder::idle_timeout) once there is nothing to do.
//!
//! ```
//! use pool_core::{AnyError, Executor, task};
//!
//! #[task]
//! fn square(x: u64) -> u64 {
//!     x * x
//! }
//!
//! #[task]
//! fn sum_of_squares(below: u64) -> Result<u64, AnyError> {
//!     let inner = Executor::builder().workers(2).build()?;
//!     let squares = inner.map(square, 0..below).collect::<Result<Vec<_>, _>>()?;
//!     Ok(squares.iter().sum())
//! }
//!
//! let executor = Executor::builder().workers(1).build()?;
//! assert_eq!(executor.submit(sum_of_squares, 5).result()??, 30);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Code that is not to be trusted
//!
//! Workers are kept from the application and from each other, as far as the kernel can do that. For code or
//! input that means harm there is more: [`isolation`] has it.
//!
//! # Ends
//!
//! | | what waits | what runs | returns |
//! |---|---|---|---|
//! | [`close`](crate::Executor::close) | is run | ends | at once |
//! | [`close_now`](crate::Executor::close_now) | is cancelled | ends | at once |
//! | [`shutdown`](crate::Executor::shutdown), and dropping | is run | ends | when all is done |
//! | [`shutdown_timeout`](crate::Executor::shutdown_timeout) | is run | ends | then, or kills after a time |
//! | [`shutdown_now`](crate::Executor::shutdown_now) | is cancelled | ends | when that is done |
//! | [`kill`](crate::Executor::kill), and dropping while panicking | is cancelled | is killed | when that is done |
//!
//! All but the first two wait for callbacks as well, where they are not called from one, and leave no
//! process or thread of the executor behind; its last descriptor goes with its last future. A kill gives
//! callbacks a second: one that takes longer keeps its thread, and nobody waits for it any more.
//! [`is_closed`](crate::Executor::is_closed) tells whether calls are taken.
//!
//! ```
//! use pool_core::{Executor, TaskErrorKind, task};
//! use std::{thread, time::Duration};
//!
//! #[task]
//! fn nap(milliseconds: u64) -> u64 {
//!     thread::sleep(Duration::from_millis(milliseconds));
//!     milliseconds
//! }
//!
//! let executor = Executor::builder().workers(1).build()?;
//! let begun = executor.submit(nap, 50);
//! executor.close();
//! let late = executor.submit(nap, 1).result().unwrap_err();
//! assert_eq!(late.kind(), TaskErrorKind::ShutDown);
//! executor.shutdown();
//! assert_eq!(begun.result()?, 50, "what was submitted has run");
//!
//! let executor = Executor::builder().workers(1).build()?;
//! let naps = [60_000, 1].map(|milliseconds| executor.submit(nap, milliseconds));
//! assert!(!executor.shutdown_timeout(Duration::from_millis(50)), "it had to kill");
//! assert!(naps.into_iter().all(|nap| nap.result().is_err()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! If the application ends otherwise, by a signal say, its workers end within moments, busy or not, and so
//! does what they have started. Ctrl-C reaches the application alone, which may catch it and end in good
//! order; if it does not, its end is the workers'. Ctrl-Z stops the application and not the workers: they
//! finish what they were given, and their results are there when it goes on.

pub mod from_other_pools;
pub mod isolation;
pub mod stopping;
pub mod workers;
