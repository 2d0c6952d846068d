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
//! [`window`](crate::Map::window) bounds what is in flight, [`deadline`](crate::Map::deadline) the time
//! for all of it, and `into_stream` (feature `futures`) gives the results to async tasks.
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
//! | `Encode`, `Decode` | serde refused the arguments or the result, at either end | goes on |
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
//! # Time
//!
//! The clock of a [`timeout`](crate::CallOptions::timeout) starts when a worker takes the call. Past it
//! the worker is killed, whatever the task does against it; with a
//! [`grace`](crate::ExecutorBuilder::grace) it gets SIGTERM first. A task that works in steps can ask
//! [`current`](crate::current) how much time is left and whether its result is still wanted, and end by
//! itself, which spares its worker:
//!
//! ```
//! use pool_core::{Executor, current, task};
//! use std::{thread, time::{Duration, Instant}};
//!
//! #[task]
//! fn steps() -> u64 {
//!     let call = current().expect("in a worker");
//!     let enough = |left| left < Duration::from_millis(100);
//!     let mut done = 0;
//!     while !call.is_cancelled() && !call.time_left().is_some_and(enough) {
//!         thread::sleep(Duration::from_millis(5));
//!         done += 1;
//!     }
//!     done
//! }
//!
//! let executor = Executor::builder().workers(1).build()?;
//! let limited = executor.options().timeout(Duration::from_millis(300));
//! assert!(limited.submit(steps, ()).result()? > 0);
//!
//! let unlimited = executor.submit(steps, ());
//! let deadline = Instant::now() + Duration::from_secs(60);
//! while !unlimited.is_running() && Instant::now() < deadline {
//!     thread::yield_now();
//! }
//! assert!(!unlimited.cancel(), "it has begun, and is told");
//! assert!(unlimited.result().is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
//! # Workers, from birth to end
//!
//! | what runs | where | when |
//! |---|---|---|
//! | [`preload`](crate::ExecutorBuilder::preload) | in the process that workers are forked from | once; what it loads is shared |
//! | [`initializer`](crate::ExecutorBuilder::initializer) | in each worker | before any call |
//! | [`on_worker_exit`](crate::ExecutorBuilder::on_worker_exit) | in each worker that ends in good order | after any call |
//!
//! Each has a limit to its time of its own. What fails in the first two breaks the executor, with that
//! error, once. [`broadcast`](crate::Executor::broadcast) calls a task in every worker later.
//!
//! ```
//! use pool_core::{Executor, task};
//! use std::sync::atomic::{AtomicU32, Ordering};
//!
//! static LEVEL: AtomicU32 = AtomicU32::new(0);
//!
//! #[task]
//! fn set_level(level: u32) {
//!     LEVEL.store(level, Ordering::Relaxed);
//! }
//!
//! #[task]
//! fn level() -> u32 {
//!     LEVEL.load(Ordering::Relaxed)
//! }
//!
//! let executor = Executor::builder().workers(2).initializer(set_level, 1).build()?;
//! assert_eq!(executor.submit(level, ()).result()?, 1);
//! for set in executor.broadcast(set_level, 2) {
//!     set.result()?;
//! }
//! assert!(executor.map(level, [(); 10]).all(|level| level.is_ok_and(|level| level == 2)));
//! assert_eq!(level(), 0, "this process has its own");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`max_tasks_per_worker`](crate::ExecutorBuilder::max_tasks_per_worker) and
//! [`max_worker_age`](crate::ExecutorBuilder::max_worker_age) replace workers in good order, and
//! [`memory_limit`](crate::ExecutorBuilder::memory_limit) those that tasks have left too full.
//! [`stats`](crate::Executor::stats) tells how many came and went, and what calls came to:
//!
//! ```
//! use pool_core::{Executor, TaskErrorKind, task};
//! use std::{hint, sync::Mutex};
//!
//! static LEFT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
//!
//! #[task]
//! fn leak(kibibytes: usize) {
//!     LEFT.lock().unwrap().push(hint::black_box(vec![1; kibibytes << 10]));
//! }
//!
//! let executor = Executor::builder().workers(1).memory_limit(16 << 20).build()?;
//! let leaked = executor.map(leak, [512; 100]).filter(Result::is_ok).count();
//! let stats = executor.stats();
//! assert!(stats.workers_recycled > 0);
//! assert_eq!((stats.completed, stats.failed), (leaked as u64, 100 - leaked as u64));
//! assert_eq!(stats.failed_with(TaskErrorKind::Panicked), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Tasks that start something
//!
//! A task may start threads and processes, and submit to an executor of its own. What it leaves behind
//! when its worker ends is killed; a whole tree of executors goes down with its root. A process whose
//! parent has ended becomes the worker's child; if it ends before the worker does, its entry in the
//! table of processes stays until then, since none but the task can know which children it still wants
//! to wait for. Where tasks leave many such behind,
//! [`max_tasks_per_worker`](crate::ExecutorBuilder::max_tasks_per_worker) bounds them.
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
//! | [`shutdown`](crate::Executor::shutdown), and dropping | is run | ends | when all is done |
//! | [`shutdown_timeout`](crate::Executor::shutdown_timeout) | is run | ends | then, or kills after a time |
//! | [`shutdown_now`](crate::Executor::shutdown_now) | is cancelled | ends | when that is done |
//! | [`kill`](crate::Executor::kill), and dropping while panicking | is cancelled | is killed | when that is done |
//!
//! All but `close` wait for callbacks as well, where they are not called from one, and leave no process
//! or thread of the executor behind; its last descriptor goes with its last future. Only
//! `shutdown_timeout` does not wait for ever: a callback that still runs a second after the kill keeps
//! its thread, and dropping waits for it. If the application ends
//! otherwise, by a signal say, its workers end within moments, busy or not.

pub mod from_other_pools;
pub mod isolation;
