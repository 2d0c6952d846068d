//! The application's side: the memory behind a shared value, what calls hold of it, and who was
//! told of it.

use std::any::Any;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use smallvec::SmallVec;

use super::postbox::Postbox;
use crate::fault::{self, Site};
use crate::sys;

/// The memory that holds a shared value, and whom it was sent to. The last one to let go of it has
/// the workers let go of it as well.
pub struct Segment {
    /// Never used twice in this process.
    id: u64,
    memory: OwnedFd,
    /// The value as users hold it, as long as one does.
    value: Weak<dyn Any + Send + Sync>,
    recipients: Mutex<Vec<Weak<Postbox>>>,
    /// The process that it belongs to.
    owner: u32,
}

impl Segment {
    /// A segment that holds these bytes, which are those of `value`.
    pub(super) fn new(bytes: &[u8], value: Weak<dyn Any + Send + Sync>) -> io::Result<Arc<Self>> {
        fault::try_at(Site::Shares)?;
        let memory = sys::write_sealed(c"pool-shared", bytes)?;
        Ok(Arc::new(Self::of(memory, value)))
    }

    /// The segment of this memory, which holds `value`.
    pub(super) fn of(memory: OwnedFd, value: Weak<dyn Any + Send + Sync>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: COUNT.fetch_add(1, Ordering::Relaxed),
            memory,
            value,
            recipients: Mutex::default(),
            owner: process::id(),
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn memory(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }

    /// The value as users hold it, if one does.
    pub(super) fn value(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.value.upgrade()
    }

    /// Notes that this worker was told of it.
    pub(super) fn sent_to(&self, postbox: Weak<Postbox>) {
        let mut recipients = self
            .recipients
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        recipients.retain(|recipient| recipient.strong_count() > 0);
        recipients.push(postbox);
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // A fork of the application is not asked.
        if self.owner != process::id() {
            return;
        }
        let recipients = self
            .recipients
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for postbox in recipients.iter().filter_map(Weak::upgrade) {
            postbox.release(self.id);
        }
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Segments, as a rule one or two.
pub(super) type Segments = SmallVec<[Arc<Segment>; 2]>;

/// The shared values that a call's arguments refer to, kept until the call is done.
#[derive(Clone, Debug, Default)]
pub struct Attachments(Option<Arc<Segments>>);

impl Attachments {
    #[inline]
    pub(super) fn new(mut segments: Segments) -> Self {
        if segments.is_empty() {
            return Self(None);
        }
        segments.sort_unstable_by_key(|segment| segment.id);
        segments.dedup_by_key(|segment| segment.id);
        Self(Some(Arc::new(segments)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.segments().len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub(super) fn segments(&self) -> &[Arc<Segment>] {
        self.0.as_deref().map_or(&[], SmallVec::as_slice)
    }
}
