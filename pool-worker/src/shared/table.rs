//! A worker's side: what the application has shared with it.
//!
//! The main thread takes errands from the control socket as they come, so that the socket has room
//! for more, and values that are gone are gone here too while a task runs. The task thread takes
//! them as well, when it finds a number that it does not know: the application tells of a value
//! before it places a call that refers to it, and whoever takes errands does so under the table's
//! lock. So once the task thread finds the socket empty, the value is in the table, or the
//! application never told of it.

use std::any::Any;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::codec::DecodeError;
use crate::fault::{self, Site};
use crate::protocol::{self, Errand};
use crate::sys::{self, Message, Readiness, Sealed};
use serde::de::Error;

/// The most bytes of an errand.
const MAX_ERRAND: usize = 64;

/// What a call is told that refers to a value of which the application did not tell.
const UNKNOWN: &str = "it refers to a Shared that was not sent to this worker";

/// What the application has shared with this worker.
pub(crate) struct Table {
    control: OwnedFd,
    entries: Mutex<BTreeMap<u64, Entry>>,
}

/// A value that the application has told of.
#[derive(Clone)]
enum Entry {
    /// Nobody has asked for it yet.
    Unopened(Arc<Sealed>),
    /// As tasks hold it.
    Opened(Arc<dyn Any + Send + Sync>),
    /// It did not arrive, for this reason.
    Lost(String),
}

/// What came of taking errands.
enum Taken {
    /// There are none for now. These values were released, and are to be dropped outside of the
    /// lock, as that may run users' code.
    All(Vec<Entry>),
    /// The application has closed the socket.
    End,
}

impl Table {
    /// An empty one; errands come from `control`.
    pub(crate) fn new(control: OwnedFd) -> Self {
        Self {
            control,
            entries: Mutex::default(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs errands until the application closes the socket.
    pub(crate) fn attend(&self) {
        loop {
            let seen = sys::poll([(self.control.as_fd(), Readiness::Read)], None);
            if !seen.is_ok_and(|seen| !seen.ended(0)) {
                return;
            }
            fault::at(Site::WorkerRoused);
            let mut entries = self.entries();
            match self.take_errands(&mut entries) {
                Ok(Taken::All(released)) => {
                    drop(entries);
                    discard(released);
                }
                // A failure leaves nobody to tell of the end, so it is one.
                Ok(Taken::End) | Err(_) => return,
            }
        }
    }

    /// The value of this number. `open` makes it of its memory, where nobody has asked for it yet.
    pub(super) fn value<T: Send + Sync + 'static>(
        &self,
        id: u64,
        open: impl FnOnce(&Arc<Sealed>) -> Result<T, DecodeError>,
    ) -> Result<Arc<T>, DecodeError> {
        let memory = match self.entry(id) {
            Some(Entry::Opened(value)) => return typed(value),
            Some(Entry::Unopened(memory)) => memory,
            Some(Entry::Lost(reason)) => return Err(DecodeError::custom(reason)),
            None => return Err(DecodeError::custom(UNKNOWN)),
        };
        // Without the lock, as decoding is users' code.
        let value = Arc::new(open(&memory)?);
        if let Some(entry) = self.entries().get_mut(&id) {
            *entry = Entry::Opened(Arc::clone(&value) as _);
        }
        Ok(value)
    }

    /// What is known of this number, errands that have not been run yet included.
    fn entry(&self, id: u64) -> Option<Entry> {
        let mut entries = self.entries();
        if let Some(entry) = entries.get(&id) {
            return Some(entry.clone());
        }
        let taken = self.take_errands(&mut entries);
        let entry = entries.get(&id).cloned();
        drop(entries);
        if let Ok(Taken::All(released)) = taken {
            discard(released);
        }
        entry
    }

    /// Takes all errands that are there.
    fn take_errands(&self, entries: &mut BTreeMap<u64, Entry>) -> io::Result<Taken> {
        let mut released = Vec::new();
        let mut buffer = [0; MAX_ERRAND];
        loop {
            let message = match sys::receive(self.control.as_fd(), &mut buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Taken::All(released));
                }
                message => message?,
            };
            if message.length == 0 {
                return Ok(Taken::End);
            }
            fault::try_at(Site::WorkerErrand)?;
            match protocol::decode(&buffer[..message.length])? {
                Errand::Share { id } => {
                    entries.insert(id, received(message));
                }
                Errand::Release { id } => released.extend(entries.remove(&id)),
            }
        }
    }
}

/// Drops values that were released, which may be users' code. A panic in it has been reported by the
/// hook, and is no call's affair, nor that of the next value.
fn discard(released: Vec<Entry>) {
    for entry in released {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(entry))) {
            // To drop it is users' code as well, which may panic in its turn.
            mem::forget(payload);
        }
    }
}

/// Maps a value's memory. The descriptor is closed again, as tasks may need as many as they may have.
fn received(mut message: Message) -> Entry {
    let reason = match message.descriptors.pop() {
        Some(memory) => {
            match fault::try_at(Site::WorkerValue).and_then(|()| Sealed::map(memory.as_fd())) {
                Ok(memory) => return Entry::Unopened(Arc::new(memory)),
                Err(error) => error.to_string(),
            }
        }
        None => "the worker has as many descriptors open as it may have".into(),
    };
    Entry::Lost(format!("a Shared did not arrive: {reason}"))
}

/// A value of the type that it was opened as.
pub(super) fn typed<T: Send + Sync + 'static>(
    value: Arc<dyn Any + Send + Sync>,
) -> Result<Arc<T>, DecodeError> {
    value
        .downcast()
        .map_err(|_| DecodeError::custom("a Shared is of another type than what was shared"))
}
