//! The future of a call.

use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pool_worker::codec::Limits;
use pool_worker::registry::{TaskId, registry};
use pool_worker::task::Decoder;

use crate::call::{Parcel, panic_text};
use crate::calls::Outcome;
use crate::driver::{CallRef, Fate};
use crate::scheduler::Cancelled;
use crate::task_error::{Side, TaskError, TaskErrorKind};
use crate::waiter::Waiter;

/// A call whose result is yet to come.
///
/// Its result can be waited for by a thread ([`result`](Self::result)), with a limit
/// ([`result_timeout`](Self::result_timeout)), by `.await` in any async runtime, or be handed to a
/// function ([`on_done`](Self::on_done)). Dropping it lets the task run on.
///
/// ```
/// use pool_core::{Executor, task};
///
/// #[task]
/// fn square(x: i64) -> i64 {
///     x * x
/// }
///
/// let executor = Executor::builder().workers(1).build()?;
/// let future = executor.submit(square, 5);
/// assert_eq!(future.result()?, 25);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a call runs without it, but its result and its errors are seen only through its future"]
pub struct TaskFuture<R> {
    pub(crate) call: TaskHandle,
    decoder: Decoder<R>,
    result: PhantomData<fn() -> R>,
}

/// A call that can be stopped, for when its future is awaited or was handed on.
///
/// ```
/// use pool_core::{Executor, TaskErrorKind, task};
///
/// #[task]
/// fn sleep(milliseconds: u64) {
///     std::thread::sleep(std::time::Duration::from_millis(milliseconds));
/// }
///
/// let executor = Executor::builder().workers(1).build()?;
/// let future = executor.submit(sleep, 60_000);
/// let handle = future.handle();
/// let waiter = std::thread::spawn(move || future.result());
/// assert!(handle.kill());
/// let error = waiter.join().unwrap().unwrap_err();
/// assert!(matches!(error.kind(), TaskErrorKind::Killed | TaskErrorKind::Cancelled));
/// assert!(handle.is_done());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TaskHandle {
    pub(crate) call: CallRef,
}

// What they share is behind locks that do not care for panics, and atomics.
impl<R> UnwindSafe for TaskFuture<R> {}
impl<R> RefUnwindSafe for TaskFuture<R> {}
impl UnwindSafe for TaskHandle {}
impl RefUnwindSafe for TaskHandle {}

impl TaskHandle {
    pub(crate) fn new(call: CallRef) -> Self {
        Self { call }
    }

    /// Takes the call back if it has not begun. `true` means that it will never start; its future
    /// then yields [`Cancelled`](TaskErrorKind::Cancelled), also when asked again.
    ///
    /// One that has begun runs on, but its task can see that somebody tried, by
    /// [`Current::is_cancelled`](crate::Current::is_cancelled).
    pub fn cancel(&self) -> bool {
        let mut locked = self.call.pool().lock();
        let cancelled = locked.cancel(self.call.id());
        locked.turn();
        drop(locked);
        match cancelled {
            Cancelled::Yes => true,
            Cancelled::Running => false,
            Cancelled::Done => self.is_cancelled(),
        }
    }

    /// Takes the call back if it has not begun, else kills the worker that runs it; no other call
    /// is harmed. `false` if the call is done.
    ///
    /// The future yields [`Killed`](TaskErrorKind::Killed) once the worker is gone, or `Cancelled`; or
    /// what the worker died of, if it had died by itself in that moment.
    pub fn kill(&self) -> bool {
        let mut locked = self.call.pool().lock();
        let stopped = locked.stop(self.call.id());
        locked.turn();
        stopped
    }

    /// Whether the call is done: returned, failed or cancelled.
    pub fn is_done(&self) -> bool {
        self.call.pool().poll(self.call.id())
    }

    /// The kind of error that the call failed with, if it did.
    pub(crate) fn failure(&self) -> Option<TaskErrorKind> {
        self.call.pool().lock().call(self.call.id()).failure()
    }

    fn is_cancelled(&self) -> bool {
        self.is_done() && self.failure() == Some(TaskErrorKind::Cancelled)
    }

    fn is_running(&self) -> bool {
        !self.is_done() && self.call.pool().lock().is_running(self.call.id())
    }

    fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct(name);
        if self.call.pool().is_copy() {
            f.field("state", &"of another process");
            return f.finish_non_exhaustive();
        }
        let mut locked = self.call.pool().lock();
        let is_running = locked.is_running(self.call.id());
        let call = locked.call(self.call.id());
        let failure = call.failure();
        let state = match failure {
            _ if is_running => "running",
            _ if !call.is_done() => "queued",
            Some(TaskErrorKind::Cancelled) => "cancelled",
            Some(_) => "failed",
            None => "returned",
        };
        let task = call.task_name().to_owned();
        drop(locked);
        f.field("task", &task).field("state", &state);
        if let Some(kind) = failure {
            f.field("error", &kind);
        }
        f.finish_non_exhaustive()
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe("TaskHandle", f)
    }
}

impl<R> TaskFuture<R> {
    pub(crate) fn new(call: TaskHandle, decoder: Decoder<R>) -> Self {
        Self {
            call,
            decoder,
            result: PhantomData,
        }
    }

    /// Waits for the result.
    ///
    /// # Errors
    ///
    /// A [`TaskError`] that says why there is none, by its [`kind`](TaskError::kind). An `Err` that the
    /// task returns is a result.
    pub fn result(self) -> Result<R, TaskError> {
        let limits = self.call.call.pool().bounds().values;
        decode(self.call.call.redeem(), self.decoder, limits)
    }

    /// Waits for the result, at most for `timeout`; after that the future is given back.
    ///
    /// # Errors
    ///
    /// The future itself, if the call is not done by then.
    pub fn result_timeout(self, timeout: Duration) -> Result<Result<R, TaskError>, Self> {
        if self.wait_timeout(timeout) {
            Ok(self.result())
        } else {
            Err(self)
        }
    }

    /// The result, if it is there; else the future is given back.
    ///
    /// # Errors
    ///
    /// The future itself, if the call is not done.
    pub fn try_result(self) -> Result<Result<R, TaskError>, Self> {
        if self.is_done() {
            Ok(self.result())
        } else {
            Err(self)
        }
    }

    /// Waits until the call is done.
    pub fn wait(&self) {
        self.call.call.wait(None);
    }

    /// Waits until the call is done, at most for `timeout`; whether it is done.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.call.call.wait(Instant::now().checked_add(timeout))
    }

    /// Whether the call is done: returned, failed or cancelled.
    pub fn is_done(&self) -> bool {
        self.call.is_done()
    }

    /// Whether a worker has begun the call and is not done with it.
    pub fn is_running(&self) -> bool {
        self.call.is_running()
    }

    /// Whether the call was cancelled before it began.
    pub fn is_cancelled(&self) -> bool {
        self.call.is_cancelled()
    }

    /// Takes the call back if it has not begun; see [`TaskHandle::cancel`].
    pub fn cancel(&self) -> bool {
        self.call.cancel()
    }

    /// Stops the call, running or not; see [`TaskHandle::kill`].
    pub fn kill(&self) -> bool {
        self.call.kill()
    }

    /// A handle to stop the call with, which outlives this future.
    pub fn handle(&self) -> TaskHandle {
        self.call.clone()
    }

    /// Runs `callback` with the result once it is there.
    ///
    /// The callbacks of an executor run one after another on a thread of their own; those of several
    /// calls, in no certain order. A panic in one is reported by the panic hook and costs nothing else.
    pub fn on_done(self, callback: impl FnOnce(Result<R, TaskError>) + Send + 'static)
    where
        R: 'static,
    {
        let handle = self.call.clone();
        let run = Waiter::Callback(Box::new(move || callback(self.result())));
        handle.call.pool().register(handle.call.id(), run);
    }
}

/// What became of a call, decoded by whoever waited for it.
pub(crate) fn decode<R>(
    (task, outcome): Fate,
    decoder: Decoder<R>,
    limits: Limits,
) -> Result<R, TaskError> {
    match outcome {
        Some(Outcome::Returned(mut output)) => decode_output(task, &mut output, decoder, limits),
        Some(Outcome::Failed(error)) => Err(error),
        None => Err(undecodable(task).side(Side::Taken)),
    }
}

/// As [`decode`], for an outcome that is left where it lies if it holds nothing but a few bytes: to move
/// them takes longer than to decode them.
#[inline]
pub(crate) fn decode_in_place<R>(
    task: Option<TaskId>,
    outcome: &mut Outcome,
    decoder: Decoder<R>,
    limits: Limits,
) -> Result<R, TaskError> {
    match outcome {
        Outcome::Returned(output) if output.is_inline() => {
            decode_output(task, output, decoder, limits)
        }
        _ => decode((task, Some(mem::take(outcome))), decoder, limits),
    }
}

fn decode_output<R>(
    task: Option<TaskId>,
    output: &mut Parcel,
    decoder: Decoder<R>,
    limits: Limits,
) -> Result<R, TaskError> {
    let result = if decoder.is_number {
        Ok(output.decode(decoder, limits))
    } else {
        catch_unwind(AssertUnwindSafe(|| output.decode(decoder, limits)))
    };
    match result {
        Ok(result) => result.map_err(|error| undecodable(task).undecodable(&error)),
        Err(payload) => Err(undecodable(task).detail(format!(
            "its Deserialize implementation panicked: {}",
            panic_text(payload)
        ))),
    }
}

fn undecodable(task: Option<TaskId>) -> TaskError {
    let task = task.map_or("", |task| registry().name(task));
    TaskError::new(TaskErrorKind::Decode, task)
}

impl<R> Future for TaskFuture<R> {
    type Output = Result<R, TaskError>;

    /// # Panics
    ///
    /// Never; polled again after it was ready, it yields an error of the kind `Decode`.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let call = &mut this.call.call;
        if !call.poll_or_wake(context.waker()) {
            return Poll::Pending;
        }
        Poll::Ready(decode(
            call.take(),
            this.decoder,
            call.pool().bounds().values,
        ))
    }
}

impl<R> fmt::Debug for TaskFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("TaskFuture<{}>", type_name::<R>());
        self.call.describe(&name, f)
    }
}
