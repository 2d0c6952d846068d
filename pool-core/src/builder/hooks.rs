//! Tasks that an executor calls for itself.

use std::time::Duration;

use pool_worker::Task;
use pool_worker::protocol::StartMethod;

use super::ExecutorBuilder;
use crate::error::Error;
use crate::hook::{Hook, InitOutput};

impl ExecutorBuilder {
    /// A task that runs once before there are any workers, in the process that they are all forked
    /// from. What it loads, into statics, all workers have from their start, also those that replace
    /// others, and share: it lies in memory once, and pages are copied only as workers write to
    /// them.
    ///
    /// [`build`](Self::build) does not wait for it. If it returns an `Err`, panics, ends its process,
    /// or leaves a thread running, which would make forking unsafe, the executor is broken by that:
    /// calls yield [`PoolBroken`](crate::TaskErrorKind::PoolBroken), whose source says why.
    ///
    /// It runs on a thread of its own. Processes that it starts and leaves are killed. If the fork
    /// server dies, it runs again in the next one. Handlers of signals that it installs are no worker's: each
    /// begins with signals as a fresh process does, and its handlers are for its
    /// [`initializer`](Self::initializer) to install. Where it has touched more than 32 MiB, one
    /// worker more than asked for is kept ready, as forking then takes long.
    ///
    /// With [`StartMethod::Fork`] it runs in the copy of the application; with
    /// [`StartMethod::Spawn`], where workers share nothing, it is an error.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    /// use std::sync::OnceLock;
    ///
    /// static WORDS: OnceLock<Vec<String>> = OnceLock::new();
    ///
    /// #[task]
    /// fn load(count: usize) -> Result<(), String> {
    ///     let words = (0..count).map(|number| format!("word {number}")).collect();
    ///     WORDS.set(words).map_err(|_| "it is loaded already".to_string())
    /// }
    ///
    /// #[task]
    /// fn word(number: usize) -> Option<String> {
    ///     WORDS.get()?.get(number).cloned()
    /// }
    ///
    /// let executor = Executor::builder().workers(2).preload(load, 100_000).build()?;
    /// assert_eq!(executor.submit(word, 99_999).result()?.unwrap(), "word 99999");
    /// assert!(WORDS.get().is_none(), "it is not loaded here");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "as in `Executor::submit`")]
    pub fn preload<F: Task<S>, S>(mut self, task: F, args: F::Args) -> Self
    where
        F::Output: InitOutput,
    {
        self.hooks.preload = Some(Hook::new("preload", task, &args));
        self
    }

    /// How long [`preload`](Self::preload) may take; past it, it is stopped, and the executor is
    /// broken by that. No limit by default, nor with `Duration::MAX`.
    ///
    /// ```
    /// use pool_core::{Executor, TaskErrorKind, task};
    /// use std::{error::Error, thread, time::Duration};
    ///
    /// #[task]
    /// fn load() {
    ///     thread::park_timeout(Duration::from_secs(3600));
    /// }
    ///
    /// #[task]
    /// fn nothing() {}
    ///
    /// let limit = Duration::from_millis(50);
    /// let executor = Executor::builder().workers(1).preload(load, ()).preload_timeout(limit).build()?;
    /// let error = executor.submit(nothing, ()).result().unwrap_err();
    /// assert_eq!(error.kind(), TaskErrorKind::PoolBroken);
    /// assert!(error.source().unwrap().to_string().contains("did not return within 50ms"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn preload_timeout(mut self, timeout: Duration) -> Self {
        self.hooks.preload_timeout = Some(timeout);
        self
    }

    /// A task that runs once in each new worker, before any other, also in one that replaces a
    /// worker that died. If it returns an `Err`, or panics, the executor is broken by that.
    ///
    /// A handler that it installs for SIGABRT, SIGSEGV or SIGBUS, as crash reporters do, takes the place
    /// of one by which errors tell of a full stack or a want of memory; they still do if it goes on to
    /// the handler that was there, and was installed with `SA_ONSTACK`.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    /// use std::sync::OnceLock;
    ///
    /// static GREETING: OnceLock<String> = OnceLock::new();
    ///
    /// #[task]
    /// fn set_up(greeting: String) -> Result<(), String> {
    ///     GREETING.set(greeting)
    /// }
    ///
    /// #[task]
    /// fn greet(name: String) -> Option<String> {
    ///     Some(format!("{} {name}", GREETING.get()?))
    /// }
    ///
    /// let executor = Executor::builder().workers(2).initializer(set_up, "hello".to_string()).build()?;
    /// assert_eq!(executor.submit(greet, "world".to_string()).result()?.unwrap(), "hello world");
    /// assert!(GREETING.get().is_none(), "workers have statics of their own");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "as in `Executor::submit`")]
    pub fn initializer<F: Task<S>, S>(mut self, task: F, args: F::Args) -> Self
    where
        F::Output: InitOutput,
    {
        self.hooks.initializer = Some(Hook::new("initializer", task, &args));
        self
    }

    /// How long [`initializer`](Self::initializer) may take in each worker; past it, it is stopped,
    /// and the executor is broken by that. No limit by default, nor with `Duration::MAX`.
    ///
    /// ```
    /// use pool_core::{Executor, TaskErrorKind, task};
    /// use std::{error::Error, thread, time::Duration};
    ///
    /// #[task]
    /// fn set_up() {
    ///     thread::park_timeout(Duration::from_secs(3600));
    /// }
    ///
    /// #[task]
    /// fn nothing() {}
    ///
    /// let builder = Executor::builder().workers(1).initializer(set_up, ());
    /// let executor = builder.initializer_timeout(Duration::from_millis(50)).build()?;
    /// let error = executor.submit(nothing, ()).result().unwrap_err();
    /// assert_eq!(error.kind(), TaskErrorKind::PoolBroken);
    /// assert!(error.source().unwrap().to_string().contains("did not return within 50ms"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn initializer_timeout(mut self, timeout: Duration) -> Self {
        self.hooks.initializer_timeout = Some(timeout);
        self
    }

    /// A task that runs as the last one in each worker that ends in good order, as at
    /// [`shutdown`](crate::Executor::shutdown) and when the executor is dropped: to write down what
    /// a worker has gathered, or to sign off elsewhere.
    ///
    /// [`shutdown_timeout`](crate::Executor::shutdown_timeout) counts its time, too. It does not run
    /// in a worker that died or was killed, nor in one that was still being set up, nor when the
    /// application itself ends without dropping the executor. An error or a panic of it is told on standard error, and
    /// costs nothing else.
    ///
    /// ```
    /// use pool_core::{AnyError, Executor, task};
    /// use std::{fs, path::PathBuf};
    ///
    /// #[task]
    /// fn sign_off(file: PathBuf) -> Result<(), AnyError> {
    ///     Ok(fs::write(file, "done")?)
    /// }
    ///
    /// let file = std::env::temp_dir().join(format!("sign-off-{}", std::process::id()));
    /// let executor = Executor::builder().workers(1).on_worker_exit(sign_off, file.clone()).build()?;
    /// executor.worker_pids(); // it has started
    /// executor.shutdown();
    /// assert_eq!(fs::read_to_string(&file)?, "done");
    /// # fs::remove_file(file)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "as in `Executor::submit`")]
    pub fn on_worker_exit<F: Task<S>, S>(mut self, task: F, args: F::Args) -> Self
    where
        F::Output: InitOutput,
    {
        self.hooks.on_worker_exit = Some(Hook::new("on_worker_exit", task, &args));
        self
    }

    /// How long [`on_worker_exit`](Self::on_worker_exit) may take; past it, the worker is stopped.
    /// 10 seconds by default; no limit with `Duration::MAX`.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    /// use std::{thread, time::{Duration, Instant}};
    ///
    /// #[task]
    /// fn dawdle() {
    ///     thread::park_timeout(Duration::from_secs(3600));
    /// }
    ///
    /// let builder = Executor::builder().workers(1).on_worker_exit(dawdle, ());
    /// let executor = builder.exit_timeout(Duration::from_millis(50)).build()?;
    /// let start = Instant::now();
    /// executor.shutdown();
    /// assert!(start.elapsed() < Duration::from_secs(60));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn exit_timeout(mut self, timeout: Duration) -> Self {
        self.hooks.exit_timeout = Some(timeout);
        self
    }

    /// Refuses hooks that cannot work.
    pub(super) fn check_hooks(&self) -> Result<(), Error> {
        if self.start_method == Some(StartMethod::Spawn) && self.hooks.preload.is_some() {
            return Err(Error::invalid_option(
                "preload",
                "with StartMethod::Spawn workers share nothing, so there is nothing to load \
                 beforehand; use StartMethod::ForkServer, or `initializer`",
            ));
        }
        self.hooks.validate()
    }
}
