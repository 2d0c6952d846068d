//! A call, from a task and its arguments to what crosses to a worker.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pool_worker::channel::Payload;
use pool_worker::codec::{EncodeError, Encoded};
use pool_worker::registry::{TaskId, registry};

use crate::task_error::{TaskError, TaskErrorKind};

/// The largest buffer that a thread keeps for encoding arguments, in bytes.
const KEPT_BUFFER: usize = 64 * 1024;

/// A task and its encoded arguments, or why there is no such call.
pub(crate) type Prepared = Result<(TaskId, Payload), TaskError>;

/// The name of a task; of what is none, the name of its type.
pub(crate) fn name_of(task: Result<TaskId, &'static str>) -> &'static str {
    task.map_or_else(|type_name| type_name, |id| registry().name(id))
}

/// Finds the task and encodes its arguments, outside of any lock: both run users' code.
pub(crate) fn prepare(
    task: Result<TaskId, &'static str>,
    arguments: impl FnOnce(&mut Encoded) -> Result<(), EncodeError>,
) -> Prepared {
    match task {
        Ok(id) => Ok((id, encode(registry().name(id), arguments)?)),
        Err(type_name) => {
            let detail = registry().unknown_text(type_name);
            Err(TaskError::new(TaskErrorKind::UnknownTask, type_name).detail(detail))
        }
    }
}

/// Encodes into a buffer that the thread keeps, so that a small call needs no memory of its own.
fn encode(
    name: &'static str,
    encode: impl FnOnce(&mut Encoded) -> Result<(), EncodeError>,
) -> Result<Payload, TaskError> {
    thread_local!(static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
    // A Serialize implementation may submit calls itself: it then finds an empty buffer here.
    let mut encoded = Encoded {
        bytes: BUFFER.with(RefCell::take),
        parts: Vec::new(),
    };
    encoded.bytes.clear();
    let failed = |why: String| TaskError::new(TaskErrorKind::Encode, name).detail(why);
    let result = match catch_unwind(AssertUnwindSafe(|| encode(&mut encoded))) {
        Ok(Ok(())) => Ok(Payload::take(&mut encoded)),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(payload) => Err(failed(format!(
            "its Serialize implementation panicked: {}",
            panic_text(payload)
        ))),
    };
    if encoded.bytes.capacity() <= KEPT_BUFFER {
        BUFFER.with(|kept| kept.replace(encoded.bytes));
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
