//! How an executor is set up.

mod bounds;
mod hooks;
mod isolation;
mod queue;
mod recycling;
mod size;
mod surroundings;
mod terms;

use std::env;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pool_worker::Sandbox;
use pool_worker::fault::{self, Site};
use pool_worker::protocol::{Setup, StartMethod, Surroundings};
use pool_worker::registry::registry;

use crate::bounds::Bounds;
use crate::driver::Pool;
use crate::environment::Changes;
use crate::error::Error;
use crate::executor::Executor;
use crate::fork_server::ForkServer;
use crate::hook::Hooks;
use crate::scheduler::QueueLimit;
use crate::supervisor::{Plan, RestartLimit, Supervisor, abandon};
use crate::sys::Conditions;
use crate::terms::Terms;

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
    min_workers: Option<usize>,
    idle_timeout: Option<Duration>,
    start_method: Option<StartMethod>,
    hooks: Hooks,
    restart_limit: Option<RestartLimit>,
    max_tasks: Option<u64>,
    max_age: Option<Duration>,
    max_memory: Option<u64>,
    max_processor: Option<Duration>,
    terms: Terms,
    grace: Option<Duration>,
    queue_limit: QueueLimit,
    bounds: Bounds,
    environment: Changes,
    surroundings: Surroundings,
    sandbox: Sandbox,
    best_effort: bool,
    open_files: Option<u64>,
}

impl ExecutorBuilder {
    /// How workers come to be; [`StartMethod::ForkServer`] by default. With
    /// [`Profile::Untrusted`](crate::Profile::Untrusted) it is [`StartMethod::Spawn`], unless something
    /// is [preloaded](Self::preload).
    pub fn start_method(mut self, start_method: StartMethod) -> Self {
        self.start_method = Some(start_method);
        self
    }

    /// How many deaths of workers outside of any task (at start, in the initializer, idle) the
    /// executor bears within a time; one more, and it is broken. A death in a task is that task's
    /// affair and is not counted. By default 8 and 2 more for each worker, within 10 seconds. While
    /// no worker comes to life at all, deaths count that are longer ago.
    pub fn restart_limit(mut self, deaths: u32, within: Duration) -> Self {
        self.restart_limit = Some(RestartLimit { deaths, within });
        self
    }

    /// Starts the executor: its fork server at once, its workers in the background.
    ///
    /// Environment, working directory, umask and limits of the workers are those that this process
    /// has now, but for what was set otherwise here, and for the variables by which libraries are
    /// told how many threads to start; see [`env`](Self::env). A worker that comes later finds the
    /// same, whatever this process has changed about itself meanwhile; only a hard limit that it has
    /// lowered may hold for the workers of another fork server, should this one be killed: to raise it
    /// takes the right `CAP_SYS_RESOURCE`.
    ///
    /// # Errors
    ///
    /// If an option has an impossible value, two tasks bear the same explicit name, the limit on
    /// open files is too low, or processes cannot be started from here;
    /// [`kind`](Error::kind) tells which.
    pub fn build(mut self) -> Result<Executor, Error> {
        let cores = self.cores()?;
        let size = self.size(cores)?;
        let workers = size.most;
        if let Err(duplicate) = registry().check() {
            return Err(Error::duplicate_task(duplicate));
        }
        self.settle_profile()?;
        self.check_hooks()?;
        self.check_surroundings()?;
        let recycling = self.recycling()?;
        let bounds = self.checked_bounds()?;
        size::check_file_limit(workers, size::OTHER_DESCRIPTORS)?;
        let mut plan = Plan {
            setup: Setup {
                tasks: registry().names().iter().map(ToString::to_string).collect(),
                start_method: self.start_method.unwrap_or_default(),
                surroundings: self.surroundings.clone(),
                sandbox: self.sandbox.clone(),
                open_files: self.open_files,
            },
            environment: self.environment.apply(workers, cores),
            conditions: Conditions::now(),
            hooks: self.hooks.clone(),
            restart_limit: self.restart_limit,
            recycling,
        };
        let here = env::current_dir();
        let directory = &mut plan.setup.surroundings.directory;
        if let (Some(directory), Ok(here)) = (directory, &here) {
            *directory = here.join(&directory).into();
        }
        let server = ForkServer::launch(&plan.setup, &plan.environment, &plan.conditions)?;
        self.check_isolation(server.isolation())?;
        // A fork server that takes this one's place hours later works in the same directory.
        let directory = &mut plan.setup.surroundings.directory;
        *directory = directory.take().or(here.ok().map(Into::into));
        let isolation = server.isolation().clone();
        let pool = fault::try_at(Site::Launched)
            .and_then(|()| Pool::new(size, self.grace, self.queue_limit))
            .map_err(|error| Error::io("make the event of an executor", error))?;
        let pool = Arc::new(pool.within(bounds).isolated(isolation));
        let thread = supervise(&pool, server, plan).inspect_err(|_| abandon(&pool))?;
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
}

/// Starts the threads of an executor; gives the supervising one.
fn supervise(pool: &Arc<Pool>, server: ForkServer, plan: Plan) -> Result<JoinHandle<()>, Error> {
    let not_started = |error| Error::io("start the threads of an executor", error);
    let hooks = !plan.hooks.is_empty();
    pool.notifier().start(hooks).map_err(not_started)?;
    let supervisor = Supervisor::new(Arc::clone(pool), server, plan)
        .map_err(|error| Error::io("watch the fork server", error))?;
    thread::Builder::new()
        .name("pool-supervisor".into())
        .spawn(move || supervisor.run())
        .map_err(not_started)
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
