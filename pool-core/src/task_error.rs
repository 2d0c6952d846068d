//! Why a call has no result.

use pool_worker::{codec::Limit, protocol::PanicReport};
use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

mod cause;
mod words;

pub use cause::DeathCause;
pub(crate) use words::{Ending, Printable};

/// Why a call of a task has no result.
///
/// Its text names the task, the worker and what happened. It is one pointer wide, and cheap to
/// clone.
#[derive(Clone)]
pub struct TaskError(Arc<Inner>);

/// The kinds of [`TaskError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskErrorKind {
    /// The task panicked.
    Panicked,
    /// The worker died while it ran the task: by a signal, by exiting, for want of memory.
    WorkerDied,
    /// The deadline passed before the task was done.
    TimedOut,
    /// Its worker had more memory than `memory_limit` allows while it ran the task.
    MemoryLimit,
    /// It took more processor time than `cpu_limit` allows, or than the limit of its process.
    CpuLimit,
    /// It made a system call that its [`Profile`](crate::Profile), or whoever started the application,
    /// allows to nobody.
    SandboxViolation,
    /// The call was cancelled before it started.
    Cancelled,
    /// The call was stopped on request while it ran.
    Killed,
    /// The arguments or the result could not be encoded.
    Encode,
    /// The arguments or the result could not be decoded, or the result goes beyond `max_result_elements`,
    /// `max_result_depth` or `max_result_memory`.
    Decode,
    /// The arguments have more bytes than `max_args` allows, or the result than `max_result`.
    TooLarge,
    /// It was the next call of one worker after the other that died, so it is taken for the cause.
    Poisoned,
    /// The function is not known as a task.
    UnknownTask,
    /// The queue is as long as `queue_limit` allows.
    QueueFull,
    /// The executor takes no calls any more.
    ShutDown,
    /// The executor is broken: its workers cannot be started any more.
    PoolBroken,
}

/// The side on which a value was encoded or decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Here, where arguments are encoded and results decoded.
    Application,
    /// There, where arguments are decoded and results encoded.
    Worker,
    /// Here, where a value was to be shared, by no call. In place of the task's name stands its type.
    Sharing,
    /// Neither: the result had come, and was taken before.
    Taken,
}

#[derive(Clone)]
struct Inner {
    kind: TaskErrorKind,
    task: &'static str,
    side: Side,
    detail: Option<String>,
    worker: Option<u32>,
    /// As `waitpid(2)` gave it.
    status: Option<i32>,
    /// In how many workers it had died before.
    deaths: u32,
    panic: Option<PanicReport>,
    cause: Option<DeathCause>,
    /// How many bytes there were, and how many there may be.
    size: Option<(u64, u64)>,
    /// What the values of a result go beyond.
    limit: Option<Limit>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

// What is inside is never changed once others can see it.
impl UnwindSafe for TaskError {}
impl RefUnwindSafe for TaskError {}

impl TaskError {
    /// What happened, as something to match on.
    pub fn kind(&self) -> TaskErrorKind {
        self.0.kind
    }

    /// The name of the task; of a value that could not be shared, the name of its type.
    pub fn task(&self) -> &str {
        self.0.task
    }

    /// The process that had the call, if one did.
    pub fn worker_pid(&self) -> Option<u32> {
        self.0.worker
    }

    /// The signal that killed the worker, if one did.
    pub fn signal(&self) -> Option<i32> {
        let status = self.0.status?;
        libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status))
    }

    /// The status with which the worker exited, if it did.
    pub fn exit_code(&self) -> Option<i32> {
        let status = self.0.status?;
        libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))
    }

    /// How many workers had begun the call by then: 0 for one that failed before any had, or after
    /// its result had come; more than 1 only with retries.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn abort() {
    ///     std::process::abort();
    /// }
    ///
    /// let executor = Executor::builder().workers(1).retries(2).build()?;
    /// let error = executor.submit(abort, ()).result().unwrap_err();
    /// assert_eq!(error.attempts(), 3);
    /// assert!(error.to_string().contains("it was tried 3 times"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attempts(&self) -> u32 {
        let has_begun = self.0.kind != TaskErrorKind::Poisoned
            && (self.0.worker.is_some() || self.0.status.is_some());
        self.0.deaths.saturating_add(has_begun.into())
    }

    /// The message of the task's panic, as it was.
    pub fn panic_message(&self) -> Option<&str> {
        Some(&self.0.panic.as_ref()?.message)
    }

    /// The `file:line:column` at which the task panicked.
    pub fn panic_location(&self) -> Option<&str> {
        self.0.panic.as_ref()?.location.as_deref()
    }

    /// The backtrace of the task's panic, where `RUST_BACKTRACE` asks for one.
    pub fn backtrace(&self) -> Option<&str> {
        self.0.panic.as_ref()?.backtrace.as_deref()
    }
}

/// Construction: `TaskError::new(kind, task)`, then what else is known.
impl TaskError {
    pub(crate) fn new(kind: TaskErrorKind, task: &'static str) -> Self {
        Self(Arc::new(Inner {
            kind,
            task,
            side: Side::Application,
            detail: None,
            worker: None,
            status: None,
            deaths: 0,
            panic: None,
            cause: None,
            size: None,
            limit: None,
            source: None,
        }))
    }

    /// The cause in words, which the text ends on: for `Encode` and `Decode` serde's reason, for
    /// `TimedOut` the time allowed, for `MemoryLimit` how much there was, for `Killed` who asked for it, for `UnknownTask` the names that
    /// are known, for `QueueFull` the limit.
    pub(crate) fn detail(self, detail: impl Into<String>) -> Self {
        self.with(|inner| inner.detail = Some(detail.into()))
    }

    /// Where `Encode` or `Decode` happened, unless here.
    pub(crate) fn side(self, side: Side) -> Self {
        self.with(|inner| inner.side = side)
    }

    pub(crate) fn worker(self, pid: u32) -> Self {
        self.with(|inner| inner.worker = Some(pid))
    }

    /// How the worker ended, as `waitpid(2)` gave it.
    pub(crate) fn status(self, status: i32) -> Self {
        self.with(|inner| inner.status = Some(status))
    }

    /// In how many workers it had died before.
    pub(crate) fn tried_before(self, deaths: u32) -> Self {
        self.with(|inner| inner.deaths = deaths)
    }

    pub(crate) fn panicked(self, report: PanicReport) -> Self {
        self.with(|inner| inner.panic = Some(report))
    }

    pub(crate) fn caused_by(self, source: Arc<dyn Error + Send + Sync>) -> Self {
        self.with(|inner| inner.source = Some(source))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl Debug for TaskError {
    /// Shows the text too, for this is what `unwrap` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskError")
            .field("kind", &self.kind())
            .field("message", &format_args!("{self}"))
            .finish_non_exhaustive()
    }
}

impl Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = match self.0.side {
            Side::Application | Side::Worker | Side::Taken => "task",
            Side::Sharing => "a value of type",
        };
        write!(f, "{subject} '{}' {}", self.0.task, self.what_happened())?;
        self.fmt_cause(f)?;
        self.fmt_worker(f)?;
        if self.0.deaths > 0 {
            match self.attempts() {
                1 => f.write_str("; it was tried once")?,
                attempts => write!(f, "; it was tried {attempts} times")?,
            }
        }
        f.write_str(self.remedy())
    }
}

impl TaskError {
    fn what_happened(&self) -> &'static str {
        match (self.kind(), self.0.side) {
            (TaskErrorKind::Panicked, _) => "panicked",
            (TaskErrorKind::WorkerDied, _) => "did not finish, as its worker died",
            (TaskErrorKind::TimedOut, _) => "timed out",
            (TaskErrorKind::MemoryLimit, _) => "was stopped, as its worker had too much memory",
            (TaskErrorKind::CpuLimit, _) => "was stopped, as it took too much processor time",
            (TaskErrorKind::SandboxViolation, _) => {
                "was stopped, as it made a system call that its sandbox forbids"
            }
            (TaskErrorKind::Cancelled, _) => "was cancelled before it started",
            (TaskErrorKind::Killed, _) => "was killed while it ran",
            (TaskErrorKind::Encode, Side::Application | Side::Taken) => {
                "was not called, as its arguments could not be encoded"
            }
            (TaskErrorKind::Encode, Side::Sharing) => "could not be shared",
            (TaskErrorKind::Encode, Side::Worker) => "returned what the worker could not encode",
            (TaskErrorKind::Decode, Side::Application | Side::Sharing) => {
                "returned what the application could not decode"
            }
            (TaskErrorKind::Decode, Side::Taken) => "was asked for its result again",
            (TaskErrorKind::Decode, Side::Worker) => {
                "was not run, as the worker could not decode its arguments"
            }
            (TaskErrorKind::TooLarge, Side::Worker) => "returned more than the application takes",
            (TaskErrorKind::TooLarge, _) => "was not called, as its arguments are too large",
            (TaskErrorKind::Poisoned, _) => "was given up, as workers died before they began it",
            (TaskErrorKind::UnknownTask, _) => "is not known",
            (TaskErrorKind::QueueFull, _) => "was not queued, as the queue is full",
            (TaskErrorKind::ShutDown, Side::Sharing) => {
                "was not shared, as the executor is shut down"
            }
            (TaskErrorKind::PoolBroken, Side::Sharing) => {
                "was not shared, as the executor is broken"
            }
            (TaskErrorKind::ShutDown, _) => "was not run, as the executor is shut down",
            (TaskErrorKind::PoolBroken, _) => "did not finish, as the executor is broken",
        }
    }

    /// What is known of the cause: the panic, the detail, or else the source.
    fn fmt_cause(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = self.panic_location() {
            write!(f, " at {}", Printable(location))?;
        }
        let texts = [self.panic_message(), self.0.detail.as_deref()];
        for text in texts.into_iter().flatten() {
            write!(f, ": {}", Printable(text))?;
        }
        if let Some(cause) = self.0.cause {
            write!(f, ": {cause}")?;
        }
        if let Some((size, most)) = self.0.size {
            write!(f, ": {size} bytes, where {most} are allowed")?;
        }
        match &self.0.source {
            Some(source) if self.0.detail.is_none() => {
                write!(f, ": {}", Printable(&source.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Which worker it was, and how it ended.
    fn fmt_worker(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.worker {
            Some(pid) => write!(f, " (worker {pid}")?,
            None if self.0.status.is_some() => f.write_str(" (worker")?,
            None => return Ok(()),
        }
        let is_stopped = matches!(
            self.kind(),
            TaskErrorKind::Killed
                | TaskErrorKind::TimedOut
                | TaskErrorKind::MemoryLimit
                | TaskErrorKind::CpuLimit
        );
        if is_stopped {
            // How is said already.
        } else if let Some(status) = self.0.status {
            write!(f, " {}", Ending(status))?;
            if self.exit_code().is_some() {
                f.write_str(" during the call")?;
            }
        } else if self.kind() == TaskErrorKind::WorkerDied {
            f.write_str(", it is not known how it ended")?;
        }
        f.write_str(")")
    }

    /// What to do about it, where that is not plain.
    fn remedy(&self) -> &'static str {
        match self.kind() {
            TaskErrorKind::WorkerDied
                if self.signal() == Some(libc::SIGKILL)
                    && self.0.detail.is_none()
                    && self.0.cause.is_none() =>
            {
                "; nobody here sent that signal: it was the kernel, for want of memory, or another \
                 process"
            }
            TaskErrorKind::Decode if self.0.side == Side::Taken => {
                "; take it once: a future that was ready when it was polled has none any more"
            }
            TaskErrorKind::Encode if self.0.side != Side::Sharing => {
                "; pass a type that serde can write, with no value that it refuses"
            }
            TaskErrorKind::Decode if let Some(limit) = self.0.limit => cause::remedy(limit),
            TaskErrorKind::Decode => {
                "; make its type's Serialize and Deserialize match, also where serde buffers \
                 (untagged, flatten, tag)"
            }
            TaskErrorKind::MemoryLimit => {
                "; have the task hold less at a time, or set a higher memory_limit"
            }
            TaskErrorKind::TooLarge if self.0.side == Side::Worker => {
                "; return less, or set a higher max_result"
            }
            TaskErrorKind::TooLarge => {
                "; pass less, share what many calls read, or set a higher max_args"
            }
            TaskErrorKind::CpuLimit => {
                "; have the task do less at a time, or set a higher cpu_limit (or ulimit -t)"
            }
            TaskErrorKind::SandboxViolation => {
                "; take it for an attack, or have tasks that need such calls run in another Profile"
            }
            TaskErrorKind::Poisoned => {
                "; look at what its arguments do to a worker, or at who kills workers"
            }
            TaskErrorKind::QueueFull => "; wait for earlier calls, or set a higher limit",
            TaskErrorKind::ShutDown => "; make calls before it is closed, or build another",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests;
