//! Limits to time and memory, and calls that nobody wants any more.
//!
//! # A limit to its time
//!
//! The clock of a [`timeout`](crate::CallOptions::timeout) starts when a worker takes the call. Past it
//! the worker is killed, whatever the task does against it, and replaced; what was queued behind the call
//! runs elsewhere. [`task_timeout`](crate::ExecutorBuilder::task_timeout) is that of calls which have none
//! of their own, and a [`deadline`](crate::Map::deadline) one for a map as a whole, counted from its first
//! draw.
//!
//! ```
//! use pool_core::{Executor, TaskErrorKind, task};
//! use std::{iter, thread, time::Duration};
//!
//! #[task]
//! fn nap(milliseconds: u64) -> u64 {
//!     thread::sleep(Duration::from_millis(milliseconds));
//!     milliseconds
//! }
//!
//! let limit = Duration::from_millis(100);
//! let executor = Executor::builder().workers(1).task_timeout(limit).build()?;
//! let error = executor.submit(nap, 60_000).result().unwrap_err();
//! assert_eq!(error.kind(), TaskErrorKind::TimedOut);
//!
//! // What had come by the deadline is given, and of inputs without end no more is drawn.
//! let patient = executor.options().timeout(Duration::MAX);
//! let endless = iter::once(1).chain(iter::repeat(60_000));
//! let mut naps = patient.map(nap, endless).deadline(Duration::from_secs(1));
//! assert_eq!(naps.next().expect("one comes in time")?, 1);
//! assert!(naps.all(|nap| nap.unwrap_err().kind() == TaskErrorKind::TimedOut));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With a [`grace`](crate::ExecutorBuilder::grace) a worker gets SIGTERM first, and so much time. A task
//! that has a handler for it may clean up; it is out of time whatever it returns by then, and its worker is
//! replaced in any case.
//!
//! ```
//! # use pool_core::{Executor, TaskErrorKind, task};
//! # use std::{thread, time::Duration};
//! #[task]
//! fn hang() {
//!     thread::park_timeout(Duration::from_secs(3600));
//! }
//!
//! let builder = Executor::builder().workers(1).grace(Duration::from_secs(60));
//! let executor = builder.task_timeout(Duration::from_millis(50)).build()?;
//! let error = executor.submit(hang, ()).result().unwrap_err();
//! assert_eq!((error.kind(), error.signal()), (TaskErrorKind::TimedOut, Some(15)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A task that ends by itself
//!
//! A task that works in steps can ask [`current`](crate::current) how much time is left and whether its
//! result is still wanted, and end by itself, which spares its worker:
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
//! # By hand
//!
//! `cancel` takes a call back that has not begun, `kill` stops it in any case; a
//! [future](crate::TaskFuture) and its [handle](crate::TaskHandle) have both. A call whose future is
//! dropped runs on, unless [`kill_on_drop`](crate::CallOptions::kill_on_drop) says otherwise: so a future that lost a
//! `select!`, or belonged to a request whose client has gone, takes its call along.
//!
//! ```
//! # use pool_core::{Executor, TaskErrorKind, task};
//! # use std::{thread, time::Duration};
//! # #[task]
//! # fn hang() {
//! #     thread::park_timeout(Duration::from_secs(3600));
//! # }
//! let executor = Executor::builder().workers(1).build()?;
//! let bound = executor.options().kill_on_drop(true).submit(hang, ());
//! let queued = executor.submit(hang, ());
//! assert!(queued.cancel(), "it has not begun");
//! assert_eq!(queued.result().unwrap_err().kind(), TaskErrorKind::Cancelled);
//! drop(bound);
//! executor.shutdown(); // which would wait for an hour
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Processor time and memory
//!
//! [`cpu_limit`](crate::ExecutorBuilder::cpu_limit) stops a call that computes for too long, however long
//! it waits, and [`memory_limit`](crate::ExecutorBuilder::memory_limit) one that fills too much memory.
