//! A call, from a task and its arguments to what crosses to a worker.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pool_worker::channel::Bytes;
use pool_worker::codec::EncodeError;
use pool_worker::registry::{TaskId, registry};
use pool_worker::task::Encoder;

use crate::completion::Completion;
use crate::task_error::{TaskError, TaskErrorKind};

/// The largest buffer that a thread keeps for encoding arguments, in bytes.
const KEPT_BUFFER: usize = 64 * 1024;

/// A call that was submitted.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) completion: Arc<Completion>,
    pub(crate) arguments: Bytes,
    pub(crate) task: TaskId,
    /// How often it was the next call of a worker that died.
    pub(crate) suspicions: u8,
    /// It belongs to one worker (an initializer) and is never dealt to another.
    pub(crate) pinned: bool,
}

impl Call {
    pub(crate) fn new(task: TaskId, arguments: Bytes, completion: Arc<Completion>) -> Self {
        Self {
            completion,
            arguments,
            task,
            suspicions: 0,
            pinned: false,
        }
    }

    pub(crate) fn task_name(&self) -> &'static str {
        registry().name(self.task)
    }
}

/// A task and its encoded arguments, or why there is no such call; and the task's name.
pub(crate) type Prepared = (Result<(TaskId, Bytes), TaskError>, &'static str);

/// Finds the task and encodes its arguments, outside of any lock: both run users' code.
pub(crate) fn prepare<A>(
    task: Result<TaskId, &'static str>,
    encoder: Encoder<A>,
    args: &A,
) -> Prepared {
    match task {
        Ok(id) => {
            let name = registry().name(id);
            let arguments = encode(name, |out| encoder(args, out));
            (arguments.map(|arguments| (id, arguments)), name)
        }
        Err(type_name) => {
            let detail = registry().unknown_text(type_name);
            let error = TaskError::new(TaskErrorKind::UnknownTask, type_name).detail(detail);
            (Err(error), type_name)
        }
    }
}

/// Encodes into a buffer that the thread keeps, so that a small call needs no memory of its own.
fn encode(
    name: &'static str,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<Bytes, TaskError> {
    thread_local!(static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
    // A Serialize implementation may submit calls itself: it then finds an empty buffer here.
    let mut buffer = BUFFER.with(RefCell::take);
    buffer.clear();
    let encoded = catch_unwind(AssertUnwindSafe(|| encode(&mut buffer)));
    let failed = |why: String| TaskError::new(TaskErrorKind::Encode, name).detail(why);
    let result = match encoded {
        Ok(Ok(())) if buffer.len() > KEPT_BUFFER => return Ok(Bytes::from_vec(buffer)),
        Ok(Ok(())) => Ok(Bytes::from_slice(&buffer)),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(payload) => Err(failed(format!(
            "its Serialize implementation panicked: {}",
            panic_text(payload)
        ))),
    };
    if buffer.capacity() <= KEPT_BUFFER {
        BUFFER.with(|kept| kept.replace(buffer));
    }
    result
}

/// What a panic of users' code said.
pub(crate) fn panic_text(payload: Box<dyn Any + Send>) -> String {
    let text = payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "without a text".into());
    // Dropping it is users' code as well, which may panic in its turn.
    std::mem::forget(payload);
    text
}
