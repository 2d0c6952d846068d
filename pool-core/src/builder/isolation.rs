//! How far workers are kept from all else.

use std::path::{self, Path};

use pool_worker::protocol::StartMethod;
use pool_worker::{Isolation, Measure, Profile, Sandbox};

use super::ExecutorBuilder;
use crate::error::Error;
use crate::executor::Executor;

/// How many calls an untrusted worker runs that was not allowed more.
const UNTRUSTED_TASKS: u64 = 1;

/// The fewest descriptors that a worker can do with: its own, and one for each way to use it.
const FEWEST_FILES: u64 = 16;

impl ExecutorBuilder {
    /// How far workers are kept from the application, from each other, and from the rest of the machine;
    /// [`Profile::Default`] by default. What comes of it on this kernel,
    /// [`isolation`](crate::Executor::isolation) tells.
    ///
    /// ```
    /// use pool_core::{Executor, Profile, TaskErrorKind, task};
    /// use std::{fs, process::Command};
    ///
    /// #[task]
    /// fn hostile() -> (bool, bool) {
    ///     let reads = fs::read_to_string("/etc/passwd").is_ok();
    ///     (reads, Command::new("true").status().is_ok())
    /// }
    ///
    /// let executor = Executor::builder().workers(1).profile(Profile::Untrusted).build()?;
    /// assert_eq!(executor.submit(hostile, ()).result()?, (false, false));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn profile(mut self, profile: impl Into<Sandbox>) -> Self {
        self.sandbox = profile.into();
        self
    }

    /// Does with less than [`Profile::Untrusted`] is meant to be, where the kernel lacks something, instead
    /// of an [`Error`] from [`build`](Self::build). What is missing,
    /// [`isolation`](crate::Executor::isolation) tells: see to it that it is enough.
    ///
    /// ```
    /// use pool_core::{Executor, Measure, Profile};
    ///
    /// let builder = Executor::builder().workers(1).profile(Profile::Untrusted).best_effort();
    /// let isolation = builder.build()?.isolation();
    /// assert!(isolation.holds(Measure::NoNewPrivileges), "{isolation}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn best_effort(mut self) -> Self {
        self.best_effort = true;
        self
    }

    /// How many descriptors a worker may have open, and so each process that it starts; at least 16. By
    /// default as many as this process may, and 64 with [`Profile::Untrusted`].
    ///
    /// ```
    /// use pool_core::{AnyError, Executor, task};
    /// use std::fs::File;
    ///
    /// #[task]
    /// fn open(count: usize) -> Result<usize, AnyError> {
    ///     let files: Result<Vec<File>, _> = (0..count).map(|_| File::open("/")).collect();
    ///     Ok(files?.len())
    /// }
    ///
    /// let executor = Executor::builder().workers(1).open_files(32).build()?;
    /// assert_eq!(executor.submit(open, 8).result()??, 8);
    /// assert!(executor.submit(open, 32).result()?.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_files(mut self, most: u64) -> Self {
        self.open_files = Some(most);
        self
    }

    /// Has settings that were left open be what the profile takes.
    pub(super) fn settle_profile(&mut self) -> Result<(), Error> {
        if self.open_files.is_some_and(|most| most < FEWEST_FILES) {
            return Err(Error::invalid_option(
                "open_files",
                format!("a worker needs some for itself; allow {FEWEST_FILES} or more"),
            ));
        }
        let profile = self.sandbox.profile();
        if profile != Profile::Untrusted {
            return match self.sandbox.readable() {
                [] => Ok(()),
                [first, ..] => Err(Error::invalid_option(
                    "profile",
                    format!(
                        "Profile::{profile:?} keeps no files from workers, so {} need not be granted; \
                         use Profile::Untrusted, or grant nothing",
                        Path::new(first).display()
                    ),
                )),
            };
        }
        if self.start_method == Some(StartMethod::Fork) {
            return Err(Error::invalid_option(
                "profile",
                "Profile::Untrusted is no boundary in copies of the application, as its memory is in \
                 them; use StartMethod::Spawn, or StartMethod::ForkServer",
            ));
        }
        let alike = StartMethod::Spawn;
        let forked = StartMethod::ForkServer;
        let preloads = self.hooks.preload.is_some();
        self.start_method
            .get_or_insert(if preloads { forked } else { alike });
        self.max_tasks.get_or_insert(UNTRUSTED_TASKS);
        self.environment.keep_nothing_else();
        let mut sandbox = Sandbox::from(profile);
        for granted in self.sandbox.readable() {
            let refused = |error| {
                let granted = Path::new(granted).display();
                Error::invalid_option("profile", format!("{granted} cannot be granted: {error}"))
            };
            let place = path::absolute(granted).map_err(refused)?;
            place.metadata().map_err(refused)?;
            sandbox = sandbox.read(place);
        }
        self.sandbox = sandbox;
        Ok(())
    }

    /// Refuses workers that would be less isolated than was asked for.
    pub(super) fn check_isolation(&self, isolation: &Isolation) -> Result<(), Error> {
        let is_vital = |lack: &(Measure, &str)| lack.0.is_vital();
        let lacks: Vec<_> = isolation.missing().filter(is_vital).collect();
        if isolation.profile() != Profile::Untrusted || self.best_effort || lacks.is_empty() {
            return Ok(());
        }
        Err(Error::not_isolated(isolation.profile(), &lacks))
    }
}

impl Executor {
    /// What keeps workers from others on this kernel, as it was tried before the first of them.
    ///
    /// ```
    /// use pool_core::{Executor, Profile};
    ///
    /// let executor = Executor::builder().workers(1).build()?;
    /// let isolation = executor.isolation();
    /// assert_eq!(isolation.profile(), Profile::Default);
    /// println!("{isolation}"); // Default: no new privileges, no access to other processes, ...
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn isolation(&self) -> Isolation {
        self.pool().isolation().clone()
    }
}
