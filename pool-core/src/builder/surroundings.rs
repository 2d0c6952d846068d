//! What workers find around them.

use std::ffi::OsString;
use std::path::{self, Path, PathBuf};

use super::ExecutorBuilder;
use crate::error::Error;
use crate::sys;

impl ExecutorBuilder {
    /// A variable in the environment of workers, beside or instead of those that this process has
    /// at [`build`](Self::build). Preload and initializer find it, too.
    ///
    /// So that libraries with threads of their own do not start one for every core in every worker,
    /// `OMP_NUM_THREADS`, `RAYON_NUM_THREADS` and `TOKIO_WORKER_THREADS` are set to a worker's share
    /// of the cores, which is at least 1. Those that this process has, or that are set or
    /// [removed](Self::env_remove) here, are left as they are.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn variable(name: String) -> Option<String> {
    ///     std::env::var(name).ok()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).env("COLOUR", "blue").build()?;
    /// let colour = executor.submit(variable, "COLOUR".to_string()).result()?;
    /// assert_eq!(colour.as_deref(), Some("blue"));
    /// assert!(std::env::var("COLOUR").is_err());
    ///
    /// let cores = std::thread::available_parallelism()?.get();
    /// let executor = Executor::builder().workers(2 * cores).env_clear().build()?;
    /// let threads = executor.submit(variable, "RAYON_NUM_THREADS".to_string()).result()?;
    /// assert_eq!(threads.as_deref(), (cores > 1).then_some("1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.set(name.into(), Some(value.into()));
        self
    }

    /// Takes a variable out of the environment of workers.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn path() -> Option<String> {
    ///     std::env::var("PATH").ok()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).env_remove("PATH").build()?;
    /// assert_eq!(executor.submit(path, ()).result()?, None);
    /// assert!(std::env::var("PATH").is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.environment.set(name.into(), None);
        self
    }

    /// Leaves nothing in the environment of workers but what [`env`](Self::env) sets after this, and
    /// what it says of threads.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn has(name: String) -> bool {
    ///     std::env::var_os(name).is_some()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).env_clear().env("COLOUR", "blue").build()?;
    /// assert!(!executor.submit(has, "PATH".to_string()).result()?);
    /// assert!(executor.submit(has, "COLOUR".to_string()).result()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn env_clear(mut self) -> Self {
        self.environment.clear();
        self
    }

    /// The working directory of workers, instead of the one that this process has at
    /// [`build`](Self::build).
    ///
    /// ```
    /// use pool_core::{Executor, task};
    /// use std::path::{Path, PathBuf};
    ///
    /// #[task]
    /// fn place() -> PathBuf {
    ///     std::env::current_dir().unwrap_or_default()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).current_dir("/").build()?;
    /// assert_eq!(executor.submit(place, ()).result()?, Path::new("/"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.surroundings.directory = Some(directory.into().into());
        self
    }

    /// How much nicer workers are than this process, as `nice(1)` says: up to 19, they leave the
    /// processors to others that want them. Less than 0 takes a right that few processes have.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn niceness() -> Option<i32> {
    ///     // The 19th field, of which the second may contain blanks.
    ///     let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    ///     stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).nice(3).build()?;
    /// let here = niceness().unwrap();
    /// assert_eq!(executor.submit(niceness, ()).result()?, Some((here + 3).min(19)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn nice(mut self, increment: i32) -> Self {
        self.surroundings.nice = increment;
        self
    }

    /// The processors that workers run on, by number, all of them on any of these. Those that this
    /// process may not use do not count.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    /// use std::thread::available_parallelism;
    ///
    /// #[task]
    /// fn cores() -> usize {
    ///     available_parallelism().map_or(0, usize::from)
    /// }
    ///
    /// let executor = Executor::builder().workers(1).cpu_affinity([0]).build()?;
    /// assert_eq!(executor.submit(cores, ()).result()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cpu_affinity(mut self, processors: impl IntoIterator<Item = usize>) -> Self {
        let mut processors: Vec<usize> = processors.into_iter().collect();
        processors.sort_unstable();
        processors.dedup();
        self.surroundings.processors = Some(processors);
        self
    }

    /// Refuses surroundings that cannot be.
    pub(super) fn check_surroundings(&self) -> Result<(), Error> {
        self.environment.validate()?;
        let surroundings = &self.surroundings;
        if let Some(directory) = &surroundings.directory {
            let refused = |why: String| {
                let directory = Path::new(directory).display();
                Err(Error::invalid_option(
                    "current_dir",
                    format!("{directory} {why}"),
                ))
            };
            match path::absolute(directory).and_then(|path| path.metadata()) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return refused("is no directory".into()),
                Err(error) => return refused(format!("cannot be looked at: {error}")),
            }
        }
        match surroundings.processors.as_deref() {
            Some([]) => Err(Error::invalid_option(
                "cpu_affinity",
                "no processor could run nothing; name one or more",
            )),
            Some([.., last]) if *last >= sys::MAX_PROCESSORS => Err(Error::invalid_option(
                "cpu_affinity",
                format!(
                    "there is no processor {last}; their numbers are below {}",
                    sys::MAX_PROCESSORS
                ),
            )),
            _ => Ok(()),
        }
    }
}
