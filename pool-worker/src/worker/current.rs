//! What a task can know of the call that it runs for.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::TaskEntry;
use crate::channel::{Claim, Segment};
use crate::registry::registry;
use crate::sys;

thread_local! {
    static RUNNING: Cell<Option<&'static Running>> = const { Cell::new(None) };
}

/// The call that a thread runs. Only that thread reads and writes it.
pub(super) struct Running {
    segment: Arc<Segment>,
    call: Cell<Option<(&'static TaskEntry, Claim)>>,
}

impl Running {
    /// The calling thread's, from now on and for good.
    pub(super) fn on_this_thread(segment: Arc<Segment>) -> &'static Self {
        let running = Box::leak(Box::new(Self {
            segment,
            call: Cell::new(None),
        }));
        RUNNING.set(Some(running));
        running
    }

    #[inline]
    pub(super) fn begin(&self, entry: &'static TaskEntry, claim: Claim) {
        self.call.set(Some((entry, claim)));
    }

    #[inline]
    pub(super) fn end(&self) {
        self.call.set(None);
    }
}

/// The call that the calling thread runs; `None` outside of a worker, and on other threads than the
/// one that the task was called on.
///
/// A [`Current`] may be handed to other threads. With it a task can end in time by itself, instead of
/// being stopped:
///
/// ```
/// use std::{thread, time::Duration};
///
/// use pool_core::{Executor, task};
///
/// #[task]
/// fn count() -> u64 {
///     let call = pool_core::current();
///     let is_late = || call.as_ref().is_some_and(|call| call.is_cancelled());
///     let enough = Duration::from_millis(900);
///     let has_time = || call.as_ref().and_then(|call| call.time_left()).is_none_or(|left| left > enough);
///     let mut counted = 0;
///     while counted < 1_000_000 && has_time() && !is_late() {
///         thread::sleep(Duration::from_millis(1));
///         counted += 1;
///     }
///     counted
/// }
///
/// let executor = Executor::builder().workers(1).build()?;
/// let counted = executor.options().timeout(Duration::from_secs(1)).submit(count, ()).result()?;
/// assert!(counted < 1_000_000);
/// assert!(pool_core::current().is_none(), "this is no worker");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn current() -> Option<Current> {
    let running = RUNNING.get()?;
    let (entry, claim) = running.call.get()?;
    Some(Current {
        worker: running.segment.place()?,
        segment: Arc::clone(&running.segment),
        entry,
        claim,
    })
}

/// A call, as its task sees it. Made by [`current`].
///
/// ```
/// use pool_core::{Executor, task};
///
/// #[task]
/// fn describe() -> Option<(usize, String, u32)> {
///     let call = pool_core::current()?;
///     Some((call.worker(), call.task().to_string(), call.attempt()))
/// }
///
/// let executor = Executor::builder().workers(1).build()?;
/// let (worker, task, attempt) = executor.submit(describe, ()).result()?.unwrap();
/// assert_eq!((worker, attempt), (0, 1));
/// assert!(task.ends_with("describe"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Current {
    worker: u32,
    segment: Arc<Segment>,
    entry: &'static TaskEntry,
    claim: Claim,
}

impl Current {
    /// The worker's place in its executor: that of no other worker at the same time, and below the
    /// number of workers, unless the executor was made smaller since. It never changes; a worker that
    /// takes the place of another has the other's.
    pub fn worker(&self) -> usize {
        self.worker as usize
    }

    /// The name of the task.
    pub fn task(&self) -> &'static str {
        let id = registry().lookup(self.entry.type_id());
        id.map_or_else(|| self.entry.name(), |id| registry().name(id))
    }

    /// How many workers have begun the call, this one among them: 1, or more with retries.
    pub fn attempt(&self) -> u32 {
        self.claim.attempt
    }

    /// How long the call may yet run before it is out of time; `None` if there is no limit. The
    /// deadline of a map is not told.
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = self.claim.deadline()?;
        Some(deadline.saturating_sub(sys::monotonic()))
    }

    /// Whether nobody wants the call to go on: somebody tried to cancel it, or it is out of time and
    /// lives on by grace. What it returns early after the former is its result; after the latter
    /// nothing is.
    pub fn is_cancelled(&self) -> bool {
        self.segment.is_asked_to_end(self.claim)
            || self.time_left().is_some_and(|left| left.is_zero())
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current")
            .field("worker", &self.worker)
            .field("task", &self.task())
            .field("attempt", &self.attempt())
            .field("time_left", &self.time_left())
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}
