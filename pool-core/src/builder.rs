//! How an executor is set up.

mod hooks;
mod queue;
mod recycling;
mod surroundings;
mod terms;

use std::env;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pool_worker::protocol::{Setup, StartMethod, Surroundings};
use pool_worker::registry::registry;

use crate::driver::Pool;
use crate::environment::Changes;
use crate::error::Error;
use crate::executor::Executor;
use crate::fork_server::ForkServer;
use crate::hook::Hooks;
use crate::scheduler::QueueLimit;
use crate::supervisor::{Plan, RestartLimit, Supervisor};
use crate::sys;
use crate::terms::Terms;

/// The most workers that an executor may have.
const MAX_WORKERS: usize = 4096;
/// Descriptors that an executor needs beside the two of each worker.
const OTHER_DESCRIPTORS: u64 = 8;
/// Descriptors that an executor needs for each worker.
const DESCRIPTORS_PER_WORKER: u64 = 2;

/// Settings of an [`Executor`] that is to be built.
///
/// ```
/// use pool_core::Executor;
///
/// let executor = Executor::builder().workers(3).build()?;
/// assert_eq!(executor.workers(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "an executor comes to be by build()"]
pub struct ExecutorBuilder {
    workers: Option<usize>,
    start_method: StartMethod,
    hooks: Hooks,
    restart_limit: Option<RestartLimit>,
    max_tasks: Option<u64>,
    max_age: Option<Duration>,
    terms: Terms,
    grace: Option<Duration>,
    queue_limit: QueueLimit,
    environment: Changes,
    surroundings: Surroundings,
}

impl ExecutorBuilder {
    /// How many workers; by default one for each core that this process may use, as
    /// [`std::thread::available_parallelism`] tells, or for each of
    /// [`cpu_affinity`](Self::cpu_affinity) if those are fewer. 0 is an error.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// How workers come to be; [`StartMethod::ForkServer`] by default.
    pub fn start_method(mut self, start_method: StartMethod) -> Self {
        self.start_method = start_method;
        self
    }

    /// How many deaths of workers outside of any task (at start, in the initializer, idle) the
    /// executor bears within a time; one more, and it is broken. A death in a task is that task's
    /// affair and is not counted. By default 8 and 2 more for each worker, within 10 seconds.
    pub fn restart_limit(mut self, deaths: u32, within: Duration) -> Self {
        self.restart_limit = Some(RestartLimit { deaths, within });
        self
    }

    /// Starts the executor: its fork server at once, its workers in the background.
    ///
    /// Environment, working directory, umask and limits of the workers are those that this process
    /// has now, but for what was set otherwise here, and for the variables by which libraries are
    /// told how many threads to start; see [`env`](Self::env).
    ///
    /// # Errors
    ///
    /// If an option has an impossible value, two tasks bear the same explicit name, the limit on
    /// open files is too low, or processes cannot be started from here;
    /// [`kind`](Error::kind) tells which.
    pub fn build(self) -> Result<Executor, Error> {
        let cores = self.cores()?;
        let workers = self.checked_workers(cores)?;
        if let Err(duplicate) = registry().check() {
            return Err(Error::duplicate_task(duplicate));
        }
        self.check_hooks()?;
        self.check_surroundings()?;
        let recycling = self.recycling()?;
        check_file_limit(workers)?;
        let mut plan = Plan {
            setup: Setup {
                tasks: registry().names().iter().map(ToString::to_string).collect(),
                start_method: self.start_method,
                surroundings: self.surroundings,
            },
            environment: self.environment.apply(workers, cores),
            hooks: self.hooks,
            restart_limit: self.restart_limit.unwrap_or(RestartLimit {
                deaths: u32::try_from(8 + 2 * workers).unwrap_or(u32::MAX),
                within: Duration::from_secs(10),
            }),
            recycling,
        };
        let here = env::current_dir();
        let directory = &mut plan.setup.surroundings.directory;
        if let (Some(directory), Ok(here)) = (directory, &here) {
            *directory = here.join(&directory).into();
        }
        let server = ForkServer::launch(&plan.setup, &plan.environment)?;
        // A fork server that takes this one's place hours later works in the same directory.
        let directory = &mut plan.setup.surroundings.directory;
        *directory = directory.take().or(here.ok().map(Into::into));
        let pool = Pool::new(workers, self.grace, self.queue_limit)
            .map_err(|error| Error::io("make the event of an executor", error))?;
        let pool = Arc::new(pool);
        let supervisor = Supervisor::new(Arc::clone(&pool), server, plan)
            .map_err(|error| Error::io("watch the fork server", error))?;
        let thread = thread::Builder::new()
            .name("pool-supervisor".into())
            .spawn(move || supervisor.run())
            .map_err(|error| Error::io("start the thread of an executor", error))?;
        Ok(Executor::start(pool, self.terms, thread))
    }

    /// How many cores there are for the workers.
    fn cores(&self) -> Result<usize, Error> {
        let cores = thread::available_parallelism()
            .map_err(|error| Error::io("tell the number of cores", error))?
            .get();
        let allowed = self.surroundings.processors.as_ref().map(Vec::len);
        Ok(allowed.map_or(cores, |allowed| allowed.clamp(1, cores)))
    }

    fn checked_workers(&self, cores: usize) -> Result<usize, Error> {
        match self.workers.unwrap_or(cores) {
            0 => Err(Error::invalid_option(
                "workers",
                "0 workers could run nothing; ask for 1 or more",
            )),
            workers @ 1..=MAX_WORKERS => Ok(workers),
            workers => Err(Error::invalid_option(
                "workers",
                format!("{workers} are more than {MAX_WORKERS}, the most there can be"),
            )),
        }
    }
}

impl Executor {
    /// An executor with one worker for each core that this process may use.
    ///
    /// # Errors
    ///
    /// As [`ExecutorBuilder::build`].
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Sets an executor up otherwise.
    pub fn builder() -> ExecutorBuilder {
        ExecutorBuilder::default()
    }
}

/// Finds out now whether there will be descriptors enough.
fn check_file_limit(workers: usize) -> Result<(), Error> {
    let usage = sys::open_files().map_err(|error| Error::io("count the open files", error))?;
    let needed = workers as u64 * DESCRIPTORS_PER_WORKER + OTHER_DESCRIPTORS;
    let allowed = usage.limit.saturating_sub(usage.open);
    if needed > allowed {
        Err(Error::file_limit(needed, allowed))
    } else {
        Ok(())
    }
}
