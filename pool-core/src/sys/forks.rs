//! Whether this process is a fork of the one in which something came to be.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);

/// A number that each fork of this process finds changed, for the price of reading a word: asking
/// for the process's number is a system call. See `pthread_atfork(3)`.
pub(crate) fn forks() -> u32 {
    static COUNTED: Once = Once::new();
    COUNTED.call_once(|| {
        // SAFETY: the handler only changes an atomic, which may be done in a fork of a process with
        // several threads. Where memory for the entry is not to be had, forks go uncounted.
        unsafe { libc::pthread_atfork(None, None, Some(count_fork)) };
    });
    FORKS.load(Ordering::Relaxed)
}

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
