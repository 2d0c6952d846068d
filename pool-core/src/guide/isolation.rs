//! How far workers are kept from all else, and code that is not to be trusted.
//!
//! A crash is one thing, a task that somebody has taken over by a hostile file is another. How far workers
//! are kept from all else is their [`Profile`](crate::Profile):
//!
//! | | `Open` | `Default` | `Untrusted` |
//! |---|---|---|---|
//! | memory, descriptors, signals of the application and of other workers | as any process of the user | out of reach | out of reach |
//! | programs that gain privileges (`sudo`) | gain them | run without | no programs |
//! | files, networks, terminals | as the application | as the application | none, but files that are granted |
//! | threads, processes, executors of its own | yes | yes | no |
//! | environment, standard output | the application's | the application's | what is set; nowhere |
//! | calls that one process runs | all | all | one, unless `max_tasks_per_worker` says more |
//! | shared memory, frames, results that lie | are checked | are checked | are checked |
//!
//! The default keeps *faults* in, and stops what needs no more than a stray pointer or pid. A hostile task
//! can still do as that user whatever does not take a hold of the application: only `Untrusted` is a boundary,
//! and only as far as [`isolation`](crate::Executor::isolation) says that this kernel keeps it. If it lacks
//! what the boundary is made of, [`build`](crate::ExecutorBuilder::build) fails, and names it;
//! [`best_effort`](crate::ExecutorBuilder::best_effort) goes without.
//!
//! ```
//! use pool_core::{Executor, Profile, TaskErrorKind, task};
//! use std::{fs, net::TcpStream, time::Duration};
//!
//! #[task]
//! fn decode(bytes: Vec<u8>) -> usize {
//!     // Here a parser meets with a hostile file, which takes it over, and this is what it does next.
//!     assert!(fs::read("/etc/passwd").is_err() && TcpStream::connect("127.0.0.1:80").is_err());
//!     bytes.len()
//! }
//!
//! let executor = Executor::builder()
//!     .workers(1)
//!     .profile(Profile::Untrusted.read("/proc/version"))
//!     .memory_limit(256 << 20)
//!     .cpu_limit(Duration::from_secs(5))
//!     .task_timeout(Duration::from_secs(60))
//!     .build()?;
//! println!("{}", executor.isolation());
//! assert_eq!(executor.submit(decode, vec![1, 2, 3]).result()?, 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does not do
//!
//! Landlock guards what is in files, not that they are there, so by its path any file can be asked whether
//! it is there, how large and how old it is, whose, and where a link points. `preload`, `initializer` and
//! constructors of libraries are the application's own code; what they load, an untrusted task can read.
//! Namespaces of process numbers are not used: the first process
//! in one does not die of its own abort, nor of SIGTERM; signals are kept in by Landlock and by the list of
//! system calls instead. Bugs of the kernel, and what can be learnt from caches and timing, are beyond it.
//!
//! Under `Default`, a worker of the superuser's, or with `CAP_PERFMON`, can still read the environment and
//! the list of mappings of the application (not its memory), and with `CAP_SYS_ADMIN` type into a terminal
//! that it can open. Under `Open`, a program that has gained privileges is out of reach, and does not end
//! with the worker that started it. Without Landlock's scopes, before Linux 6.12, `Default` holds
//! no-new-privileges, and being the first to end where memory is short, alone.
