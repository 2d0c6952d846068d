//! A call, from a task and its arguments to what crosses to a worker.

use std::any::{Any, type_name};
use std::cell::RefCell;
use std::mem;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pool_worker::channel::Payload;
use pool_worker::codec::{DecodeError, EncodeError, Encoded, Limits};
use pool_worker::fault::{self, Site};
use pool_worker::registry::{TaskId, registry};
use pool_worker::shared::{self, Attachments, Shareable, Shared};
use pool_worker::sys::Buffer;
use pool_worker::task::Decoder;

use crate::task_error::{Side, TaskError, TaskErrorKind};

/// The largest buffer that a thread keeps for encoding arguments, in bytes.
const KEPT_BUFFER: usize = 64 * 1024;

/// The arguments or the result of a call, and the shared values that its arguments refer to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parcel {
    pub(crate) payload: Payload,
    pub(crate) attachments: Attachments,
}

impl Parcel {
    /// Whether it may take a while to drop it.
    #[inline]
    pub(crate) fn is_heavy(&self) -> bool {
        matches!(self.payload, Payload::Large(_)) || !self.attachments.is_empty()
    }

    /// Whether it is nothing but a few bytes, which lie in it.
    #[inline]
    pub(crate) fn is_inline(&self) -> bool {
        matches!(self.payload, Payload::Inline(_)) && self.attachments.is_empty()
    }

    /// Decodes a result, which runs users' code unless it is a number.
    pub(crate) fn decode<R>(
        &mut self,
        decoder: Decoder<R>,
        limits: Limits,
    ) -> Result<R, DecodeError> {
        fault::at(Site::DecodesResult);
        let mut decode = || (decoder.decode)(self.payload.source().within(limits));
        if decoder.is_number {
            decode()
        } else {
            shared::receiving(&self.attachments, decode)
        }
    }
}

/// One that refers to nothing.
impl From<Payload> for Parcel {
    fn from(payload: Payload) -> Self {
        Self {
            payload,
            attachments: Attachments::default(),
        }
    }
}

/// One that refers to something, and is nothing else.
impl From<Attachments> for Parcel {
    fn from(attachments: Attachments) -> Self {
        Self {
            payload: Payload::default(),
            attachments,
        }
    }
}

impl Deref for Parcel {
    type Target = Payload;

    fn deref(&self) -> &Payload {
        &self.payload
    }
}

/// A task and its encoded arguments, or why there is no such call.
pub(crate) type Prepared = Result<(TaskId, Parcel), TaskError>;

/// The name of a task; of what is none, the name of its type.
pub(crate) fn name_of(task: Result<TaskId, &'static str>) -> &'static str {
    task.map_or_else(|type_name| type_name, |id| registry().name(id))
}

/// Finds the task and encodes its arguments, which may have `most` bytes, outside of any lock: both run
/// users' code, unless they are a number.
pub(crate) fn prepare(
    task: Result<TaskId, &'static str>,
    most: usize,
    is_number: bool,
    arguments: impl FnOnce(&mut Encoded) -> Result<(), EncodeError>,
) -> Prepared {
    thread_local!(static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
    fault::at(Site::Submits);
    let task = match task {
        Ok(task) => task,
        Err(type_name) => {
            discard(arguments);
            return Err(unknown(type_name));
        }
    };
    // A small call needs no memory of its own. A Serialize implementation may submit calls itself: it
    // then finds an empty buffer here, and the destructor of a thread's variable may find none.
    let mut encoded = Encoded {
        bytes: BUFFER.try_with(RefCell::take).unwrap_or_default(),
        parts: Vec::new(),
    };
    let attachments = encode(task, &mut encoded, most, is_number, arguments);
    let prepared = attachments.map(|attachments| {
        let payload = Payload::take(&mut encoded, 0);
        let arguments = Parcel {
            payload,
            attachments,
        };
        (task, arguments)
    });
    if encoded.bytes.capacity() <= KEPT_BUFFER {
        encoded.bytes.clear();
        let _ = BUFFER.try_with(|kept| kept.replace(encoded.bytes));
    }
    prepared
}

/// Appends encoded arguments of at most `most` bytes to `encoded`, which is as it was if that fails; gives
/// what they refer to. This runs users' code, unless they are a [number](pool_worker::codec::is_number).
#[inline]
pub(crate) fn encode(
    task: TaskId,
    encoded: &mut Encoded,
    most: usize,
    is_number: bool,
    arguments: impl FnOnce(&mut Encoded) -> Result<(), EncodeError>,
) -> Result<Attachments, TaskError> {
    let (bytes, parts) = (encoded.bytes.len(), encoded.parts.len());
    let sent = if is_number {
        Ok((arguments(encoded), Attachments::default()))
    } else {
        catch_unwind(AssertUnwindSafe(|| shared::sending(|| arguments(encoded))))
    };
    let failed = |kind| TaskError::new(kind, registry().name(task));
    let error = match sent {
        Ok((Ok(()), attachments)) => {
            let added = encoded.bytes.len() - bytes;
            let apart = encoded.parts.iter().skip(parts).map(Buffer::len);
            let size = added + apart.sum::<usize>();
            if size <= most {
                return Ok(attachments);
            }
            failed(TaskErrorKind::TooLarge).sized(size as u64, most as u64)
        }
        Ok((Err(error), _)) => failed(TaskErrorKind::Encode).detail(error.to_string()),
        Err(payload) => failed(TaskErrorKind::Encode).detail(format!(
            "its Serialize implementation panicked: {}",
            panic_text(payload)
        )),
    };
    encoded.bytes.truncate(bytes);
    encoded.parts.truncate(parts);
    Err(error)
}

/// Drops arguments that nobody wants, which is users' code; its panic has been reported by the hook.
fn discard<T>(arguments: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(arguments))) {
        // Dropping it is users' code as well, which may panic in its turn.
        mem::forget(payload);
    }
}

/// There is no task of this function.
#[cold]
pub(crate) fn unknown(type_name: &'static str) -> TaskError {
    let detail = registry().unknown_text(type_name);
    TaskError::new(TaskErrorKind::UnknownTask, type_name).detail(detail)
}

/// Has `make` share a value of type `T`, which runs users' code.
pub(crate) fn share<T: ?Sized + Shareable>(
    make: impl FnOnce() -> Result<Shared<T>, String>,
) -> Result<Shared<T>, TaskError> {
    let shared = catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|payload| {
        let text = panic_text(payload);
        Err(format!("its Serialize implementation panicked: {text}"))
    });
    shared.map_err(|why| {
        TaskError::new(TaskErrorKind::Encode, type_name::<T>())
            .side(Side::Sharing)
            .detail(why)
    })
}

/// What a panic of users' code said.
pub(crate) fn panic_text(payload: Box<dyn Any + Send>) -> String {
    let text = payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "without a text".into());
    // Dropping it is users' code as well, which may panic in its turn.
    mem::forget(payload);
    text
}
