//! Workers, from birth to end: how they start, how many there are, and when they are replaced.
//!
//! # How they start
//!
//! | [`StartMethod`](crate::StartMethod) | when |
//! |---|---|
//! | `ForkServer` | by default, and nearly always: safe beside threads, and a start takes about a millisecond |
//! | `Fork` | for state that the application has at [`build`](crate::ExecutorBuilder::build) and that cannot be loaded anew; only while it has a single thread and no other executor |
//! | `Spawn` | where workers are not to share even the layout of memory; the slowest, and without `preload` |
//!
//! But for `Fork`, statics are as before `main`.
//!
//! # What runs at their birth and end
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
//! use pool_core::{AnyError, Executor, task};
//! use std::{fs, path::PathBuf, process, sync::OnceLock};
//!
//! static SQUARES: OnceLock<Vec<u64>> = OnceLock::new();
//!
//! #[task]
//! fn load(below: u64) -> Result<(), String> {
//!     SQUARES.set((0..below).map(|x| x * x).collect()).map_err(|_| "twice".to_string())
//! }
//!
//! #[task]
//! fn square(x: usize) -> Option<u64> {
//!     SQUARES.get()?.get(x).copied()
//! }
//!
//! #[task]
//! fn sign_off(file: PathBuf) -> Result<(), AnyError> {
//!     Ok(fs::write(file, "done")?)
//! }
//!
//! let file = std::env::temp_dir().join(format!("guide-{}", process::id()));
//! let builder = Executor::builder().workers(1).preload(load, 1000);
//! let executor = builder.on_worker_exit(sign_off, file.clone()).build()?;
//! assert_eq!(executor.submit(square, 30).result()?, Some(900));
//! executor.shutdown();
//! assert_eq!(fs::read_to_string(&file)?, "done");
//! # fs::remove_file(file)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is to change while workers live is set by `initializer`, so that those which come later begin with
//! it too, and by `broadcast`:
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
//! # How many there are
//!
//! [`workers`](crate::ExecutorBuilder::workers) are started with the executor, and stay. With
//! [`min_workers`](crate::ExecutorBuilder::min_workers) only as many are, and others when a call finds no
//! idle one; with [`idle_timeout`](crate::ExecutorBuilder::idle_timeout) those that had nothing to do for
//! so long end again. [`resize`](crate::Executor::resize) changes the number at any time; those that have
//! to go finish what they run.
//!
//! ```
//! use pool_core::{Executor, task};
//! use std::{thread, time::{Duration, Instant}};
//!
//! #[task]
//! fn square(x: u64) -> u64 {
//!     x * x
//! }
//!
//! let short = Duration::from_millis(50);
//! let executor = Executor::builder().workers(8).min_workers(0).idle_timeout(short).build()?;
//! assert!(executor.worker_pids().is_empty(), "nobody has called yet");
//! assert_eq!(executor.submit(square, 3).result()?, 9);
//! let deadline = Instant::now() + Duration::from_secs(10);
//! while !executor.worker_pids().is_empty() {
//!     assert!(Instant::now() < deadline);
//!     thread::sleep(short);
//! }
//!
//! executor.resize(2)?;
//! assert_eq!(executor.workers(), 2);
//! assert_eq!(executor.submit(square, 4).result()?, 16);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What they find around them
//!
//! What the application has at `build`, but for what is set by [`env`](crate::ExecutorBuilder::env) and its
//! like, [`current_dir`](crate::ExecutorBuilder::current_dir),
//! [`nice`](crate::ExecutorBuilder::nice), so that the machine stays usable under load, and
//! [`cpu_affinity`](crate::ExecutorBuilder::cpu_affinity). Libraries with threads of their own are told a
//! worker's share of the cores.
//!
//! ```
//! use pool_core::{Executor, task};
//! use std::{env, path::Path, thread};
//!
//! #[task]
//! fn surroundings() -> (Option<String>, Option<String>, usize) {
//!     let directory = env::current_dir().ok().map(|path| path.display().to_string());
//!     let cores = thread::available_parallelism().map_or(0, usize::from);
//!     (env::var("COLOUR").ok(), directory, cores)
//! }
//!
//! let builder = Executor::builder().workers(1).env("COLOUR", "blue").current_dir("/");
//! let executor = builder.nice(5).cpu_affinity([0]).build()?;
//! let (colour, directory, cores) = executor.submit(surroundings, ()).result()?;
//! assert_eq!((colour.as_deref(), directory.as_deref(), cores), (Some("blue"), Some("/"), 1));
//! assert_ne!(env::current_dir()?, Path::new("/"), "this process stays where it is");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # When they are replaced
//!
//! [`max_tasks_per_worker`](crate::ExecutorBuilder::max_tasks_per_worker) and
//! [`max_worker_age`](crate::ExecutorBuilder::max_worker_age) replace workers in good order, and
//! [`memory_limit`](crate::ExecutorBuilder::memory_limit) those that tasks have left too full.
//!
//! ```
//! use pool_core::{Executor, task};
//! use std::{process, thread, time::{Duration, Instant}};
//!
//! #[task]
//! fn pid() -> u32 {
//!     process::id()
//! }
//!
//! let age = Duration::from_millis(50);
//! let executor = Executor::builder().workers(1).max_worker_age(age).build()?;
//! let first = executor.submit(pid, ()).result()?;
//! let deadline = Instant::now() + Duration::from_secs(10);
//! while executor.submit(pid, ()).result()? == first {
//!     assert!(Instant::now() < deadline);
//!     thread::sleep(age);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
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
