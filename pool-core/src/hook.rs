//! Calls that the executor makes for itself: preload, initializer, the last call of a worker.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use pool_worker::Task;
use pool_worker::channel::Payload;
use pool_worker::codec::{Encoded, Limits};
use pool_worker::registry::{TaskId, registry};
use pool_worker::shared::{self, Postbox};

use crate::call::{Parcel, name_of, panic_text};
use crate::calls::{CallId, Outcome};
use crate::driver::{CallRef, Locked, Pool};
use crate::error::Error;
use crate::gate::Breakdown;
use crate::task_error::TaskErrorKind;
use crate::waiter::Waiter;

/// How long the last call of a worker may take where nothing else was asked for.
const EXIT_WITHIN: Duration = Duration::from_secs(10);

/// What the tasks may return that an executor calls for itself, as
/// [`initializer`](crate::ExecutorBuilder::initializer) and
/// [`preload`](crate::ExecutorBuilder::preload): nothing, or a `Result` whose error is for people to
/// read.
#[diagnostic::on_unimplemented(
    message = "a task that the executor calls for itself returns `()` or `Result<(), E>`, not `{Self}`",
    note = "the error `E` implements `Display`; its text tells what went wrong"
)]
pub trait InitOutput: sealed::InitOutput {}

impl<T: sealed::InitOutput> InitOutput for T {}

mod sealed {
    pub trait InitOutput {
        /// The error as text.
        fn into_result(self) -> Result<(), String>;
    }

    impl InitOutput for () {
        fn into_result(self) -> Result<(), String> {
            Ok(())
        }
    }

    impl<E: std::fmt::Display> InitOutput for Result<(), E> {
        fn into_result(self) -> Result<(), String> {
            self.map_err(|error| error.to_string())
        }
    }
}

/// Reads what the task returned.
type Check = dyn Fn(&mut Parcel) -> Result<(), String> + Send + Sync;

/// A task that the executor calls for itself, and its arguments.
#[derive(Clone)]
pub(crate) struct Hook {
    /// The setter that it came by.
    option: &'static str,
    task: Result<TaskId, &'static str>,
    arguments: Result<Parcel, String>,
    check: Arc<Check>,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hook").field(&self.name()).finish()
    }
}

/// Its name, as texts about it begin: "the initializer 'x'".
impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} '{}'", self.option, self.name())
    }
}

impl Hook {
    /// The hook that the setter `option` of the builder sets.
    pub(crate) fn new<F: Task<S>, S>(option: &'static str, task: F, args: &F::Args) -> Self
    where
        F::Output: InitOutput,
    {
        let decoder = task.decoder();
        let mut arguments = Encoded::default();
        let (encoded, attachments) =
            shared::sending(|| (task.encoder().borrowed)(args, &mut arguments));
        Self {
            option,
            task: task.entry(),
            arguments: encoded
                .map(|()| Parcel {
                    payload: Payload::take(&mut arguments, 0),
                    attachments,
                })
                .map_err(|error| error.to_string()),
            check: Arc::new(move |output| {
                let output = output
                    .decode(decoder, Limits::WIDEST)
                    .map_err(|error| format!("what it returned cannot be decoded: {error}"))?;
                sealed::InitOutput::into_result(output)
            }),
        }
    }

    fn name(&self) -> &'static str {
        name_of(self.task)
    }

    /// Finds out what cannot work before any process is started.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if let Err(type_name) = self.task {
            return Err(Error::invalid_option(
                self.option,
                registry().unknown_text(type_name),
            ));
        }
        let why = match &self.arguments {
            Err(error) => format!("its arguments cannot be encoded: {error}"),
            Ok(arguments) if arguments.attachments.len() > self.most_shared() => format!(
                "its arguments refer to more than {} shared values; share one value that holds them, \
                 or send what they hold",
                self.most_shared()
            ),
            Ok(_) => return Ok(()),
        };
        Err(Error::invalid_option(self.option, why))
    }

    /// To how many shared values its arguments may refer: workers alone know of any, and a new worker
    /// is told of them while it takes none out of its socket.
    fn most_shared(&self) -> usize {
        if self.option == "preload" { 0 } else { 64 }
    }

    /// Tells a new worker of the shared values that the arguments refer to; `false` if there are too
    /// many on their way to other workers.
    pub(crate) fn announce(&self, worker: &Arc<Postbox>) -> bool {
        let arguments = self.arguments.as_ref();
        arguments.is_ok_and(|arguments| worker.deliver(&arguments.attachments))
    }

    /// The task and its arguments, of a hook that is valid.
    pub(crate) fn valid(&self) -> Option<(TaskId, &Parcel)> {
        Some((self.task.ok()?, self.arguments.as_ref().ok()?))
    }

    /// A call of it, for the caller to place. What comes of it is told to `then`, by a thread for that,
    /// as decoding and the error's text are users' code. A worker's death is not told: the supervising
    /// thread sees to it.
    pub(crate) fn call(
        &self,
        pool: &Arc<Pool>,
        locked: &mut Locked<'_>,
        then: impl Fn(&Pool, Result<(), String>) + Send + 'static,
    ) -> Option<CallId> {
        let (task, arguments) = self.valid()?;
        let id = locked.note_own(task, arguments.clone());
        let pending = Pending {
            check: Arc::clone(&self.check),
            call: CallRef::new(Arc::clone(pool), id),
            then,
        };
        // A fresh call is not done, so the waiter stays with it.
        let _ = locked.wait(id, Waiter::Hook(Box::new(move || drop(pending))));
        Some(id)
    }

    /// Ends the executor's service, as this failed: `text` says how.
    pub(crate) fn break_down(&self, locked: &mut Locked<'_>, text: &str) {
        locked.break_down(Arc::new(Breakdown(format!("{self} failed: {text}"))));
        locked.turn();
    }

    /// Ends the executor's service, as this did not return in time.
    pub(crate) fn overdue(&self, locked: &mut Locked<'_>, allowed: Option<Duration>) {
        let text = format!(
            "it did not return within {:?}, and was stopped; allow it more by {}_timeout",
            allowed.unwrap_or(Duration::MAX),
            self.option
        );
        self.break_down(locked, &text);
    }
}

/// A call whose end is to be looked at, when this is dropped: also where a panic came first, or nothing
/// would ever be set up, nor the executor break.
struct Pending<F: Fn(&Pool, Result<(), String>)> {
    check: Arc<Check>,
    call: CallRef,
    then: F,
}

impl<F: Fn(&Pool, Result<(), String>)> Drop for Pending<F> {
    fn drop(&mut self) {
        if !self.call.pool().is_copy() {
            self.tell();
        }
    }
}

impl<F: Fn(&Pool, Result<(), String>)> Pending<F> {
    /// Tells of the end, if it has come.
    fn tell(&self) {
        let result = match self.call.take().1 {
            Some(Outcome::Returned(mut output)) => {
                let checked = catch_unwind(AssertUnwindSafe(|| (self.check)(&mut output)));
                checked.unwrap_or_else(|payload| {
                    let text = panic_text(payload);
                    Err(format!("reading what it returned panicked: {text}"))
                })
            }
            // The executor's own end, or a death that is counted and mended elsewhere.
            Some(Outcome::Failed(error))
                if matches!(
                    error.kind(),
                    TaskErrorKind::WorkerDied | TaskErrorKind::Killed | TaskErrorKind::PoolBroken
                ) =>
            {
                return;
            }
            Some(Outcome::Failed(error)) => Err(error.to_string()),
            None => return,
        };
        (self.then)(self.call.pool(), result);
    }
}

/// The tasks that an executor calls for itself, and how long each may take.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hooks {
    /// Once in each fork server.
    pub(crate) preload: Option<Hook>,
    pub(crate) preload_timeout: Option<Duration>,
    /// Once in each worker, before any other call.
    pub(crate) initializer: Option<Hook>,
    pub(crate) initializer_timeout: Option<Duration>,
    /// Once in each worker that ends in good order, after any other call.
    pub(crate) on_worker_exit: Option<Hook>,
    pub(crate) exit_timeout: Option<Duration>,
}

impl Hooks {
    /// How long the last call of a worker may take.
    pub(crate) fn exit_allowed(&self) -> Duration {
        self.exit_timeout.unwrap_or(EXIT_WITHIN)
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.each().try_for_each(Hook::validate)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.each().next().is_none()
    }

    fn each(&self) -> impl Iterator<Item = &Hook> {
        [&self.preload, &self.initializer, &self.on_worker_exit]
            .into_iter()
            .flatten()
    }
}
