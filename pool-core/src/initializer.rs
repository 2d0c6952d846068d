//! What runs once in each new worker.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Wake;

use pool_worker::Task;
use pool_worker::channel::Payload;
use pool_worker::codec::{Encoded, Source};
use pool_worker::registry::{TaskId, registry};

use crate::call::name_of;
use crate::calls::Outcome;
use crate::driver::{CallRef, Locked, Pool};
use crate::error::Error;
use crate::gate::Breakdown;
use crate::member::Member;
use crate::task_error::TaskErrorKind;
use crate::waiter::Waiter;

/// What an initializer may return: nothing, or a `Result` whose error breaks the executor.
#[diagnostic::on_unimplemented(
    message = "an initializer returns `()` or `Result<(), E>`, not `{Self}`",
    note = "the error `E` implements `Display`; its text tells why the executor is broken"
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

/// Reads what the initializer returned.
type Check = dyn Fn(Source<'_>) -> Result<(), String> + Send + Sync;

/// A worker whose initializer runs.
struct Start {
    initializer: Initializer,
    call: CallRef,
    number: u64,
}

impl Wake for Start {
    fn wake(self: Arc<Self>) {
        self.initializer.returned(&self.call, self.number);
    }
}

/// A call that every new worker gets before any other.
#[derive(Clone)]
pub(crate) struct Initializer {
    task: Result<TaskId, &'static str>,
    arguments: Result<Payload, String>,
    check: Arc<Check>,
}

impl fmt::Debug for Initializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Initializer").field(&self.name()).finish()
    }
}

impl Initializer {
    pub(crate) fn new<F: Task<S>, S>(task: F, args: &F::Args) -> Self
    where
        F::Output: InitOutput,
    {
        let decoder = task.decoder();
        let mut arguments = Encoded::default();
        let encoded = (task.encoder().borrowed)(args, &mut arguments);
        Self {
            task: task.entry(),
            arguments: encoded
                .map(|()| Payload::take(&mut arguments))
                .map_err(|error| error.to_string()),
            check: Arc::new(move |output| {
                let output = decoder(output)
                    .map_err(|error| format!("what it returned cannot be decoded: {error}"))?;
                sealed::InitOutput::into_result(output)
            }),
        }
    }

    fn name(&self) -> &'static str {
        name_of(self.task)
    }

    /// Finds out what cannot work before any worker is started.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if let Err(type_name) = self.task {
            return Err(Error::invalid_option(
                "initializer",
                registry().unknown_text(type_name),
            ));
        }
        if let Err(error) = &self.arguments {
            return Err(Error::invalid_option(
                "initializer",
                format!("its arguments cannot be encoded: {error}"),
            ));
        }
        Ok(())
    }

    /// Makes this the first call of a new worker, which is ready once it has returned.
    pub(crate) fn place(
        &self,
        pool: &Arc<Pool>,
        locked: &mut Locked<'_>,
        slot: usize,
        member: &mut Member,
    ) {
        let (Ok(task), Ok(arguments)) = (self.task, &self.arguments) else {
            return;
        };
        let id = locked.place_first(slot, member, task, arguments.clone());
        let start = Start {
            initializer: self.clone(),
            call: CallRef::new(Arc::clone(pool), id),
            number: member.number,
        };
        // A fresh call is not done, so the waiter stays with it.
        let _ = locked.wait(id, Waiter::Future(Arc::new(start).into()));
    }

    /// The initializer of worker `number` has ended. Runs with the wakers, as decoding and the
    /// error's text are users' code, and as callbacks may wait for the worker.
    fn returned(&self, call: &CallRef, number: u64) {
        let result = match call.take() {
            Some(Outcome::Returned(mut output)) => {
                catch_unwind(AssertUnwindSafe(|| (self.check)(output.source()))).unwrap_or_else(
                    |_| Err("what it returned panicked while it was decoded".into()),
                )
            }
            // The supervising thread has counted a death, and replaces the worker; the rest is the
            // executor's own end.
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
        let mut locked = call.pool().lock();
        match result {
            Ok(()) => {
                if let Some((_, member)) = locked.find(number) {
                    member.ready = true;
                }
                locked.turn();
            }
            Err(text) => {
                let reason = format!("the initializer '{}' failed: {text}", self.name());
                locked.break_down(Arc::new(Breakdown(reason)));
                locked.turn();
            }
        }
    }
}
