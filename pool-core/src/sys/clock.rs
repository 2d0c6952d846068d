//! What time it is, for all that happens to calls and to workers. Tests may set it, so that what they
//! try once they can try again.

use std::time::{Duration, Instant};

/// The time of [`pool_worker::sys::monotonic`], which workers read as well.
pub(crate) fn monotonic() -> Duration {
    #[cfg(test)]
    if let Some(time) = set::time() {
        return time;
    }
    pool_worker::sys::monotonic()
}

/// The same as an instant.
pub(crate) fn now() -> Instant {
    #[cfg(test)]
    if let Some(time) = set::time() {
        return set::instant(time);
    }
    Instant::now()
}

/// A clock that stands still for the calling thread, once it was set.
#[cfg(test)]
pub(crate) mod set {
    use std::cell::Cell;
    use std::sync::LazyLock;
    use std::time::{Duration, Instant};

    static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

    thread_local! {
        static TIME: Cell<Option<Duration>> = const { Cell::new(None) };
    }

    pub(crate) fn time() -> Option<Duration> {
        TIME.get()
    }

    pub(super) fn instant(time: Duration) -> Instant {
        *BEGINNING + time
    }

    /// Has it be so late.
    pub(crate) fn set(time: Duration) {
        TIME.set(Some(time));
    }
}
