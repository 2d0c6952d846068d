//! Aborts of one thread for want of memory, told apart from others.
//!
//! A Rust program whose allocation fails writes a line to standard error and aborts, and calls nobody
//! before that. What remains is the thread's `errno`: the allocator has set it to `ENOMEM`, and nothing
//! since has failed otherwise. It is cleared at the beginning of each call, so that it tells of no
//! failure before.

use super::signal;
use super::task_stack::handle;
use std::ffi::{c_int, c_void};
use std::io;
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The thread that is watched, if one is. What was stored here once is never freed, as a handler may
/// be looking at it.
static WATCH: AtomicPtr<Watch> = AtomicPtr::new(ptr::null_mut());

struct Watch {
    /// Its process: a copy that a task forks has the handler, and nobody to tell.
    process: u32,
    thread: libc::pthread_t,
    out_of_memory: Box<dyn Fn() + Send + Sync>,
}

/// Has `out_of_memory` called when the calling thread aborts and the last thing that had failed on it
/// since [`clear_failures`] had failed for want of memory, before the process dies of `SIGABRT`. It runs
/// in a handler of signals: it may neither allocate nor lock.
///
/// A thread that was watched before is watched no more. A handler that was there before is replaced, and
/// called no more: a worker has none when it comes here, as it begins with signals as a fresh process does,
/// whatever a preload, a constructor or the application had installed. Who installs one later, in an
/// initializer or a task, replaces this one, and keeps what it does by calling the one that was there.
///
/// # Errors
///
/// If the system refuses.
pub fn watch_aborts(out_of_memory: impl Fn() + Send + Sync + 'static) -> io::Result<()> {
    let watch = Watch {
        process: process::id(),
        // SAFETY: the call has no condition.
        thread: unsafe { libc::pthread_self() },
        out_of_memory: Box::new(out_of_memory),
    };
    WATCH.store(Box::leak(Box::new(watch)), Ordering::Release);
    handle(libc::SIGABRT, on_abort)
}

/// Has the calling thread forget what failed last.
#[inline]
pub fn clear_failures() {
    // SAFETY: the C library gives the address of this thread's own `errno`.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: it is there for as long as the thread is, and nobody else writes it.
    unsafe { errno.write(0) };
}

extern "C" fn on_abort(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    let failure = io::Error::last_os_error().raw_os_error();
    // SAFETY: the kernel hands over a record that lives as long as this handler runs.
    let info = unsafe { &*info };
    // SAFETY: of all signals that are sent the record holds the sender's process.
    let sender = unsafe { info.si_pid() }.unsigned_abs();
    // SAFETY: what is stored there is never freed, nor changed.
    let watch = unsafe { WATCH.load(Ordering::Acquire).as_ref() };
    // SAFETY: the call has no condition.
    let thread = unsafe { libc::pthread_self() };
    if failure == Some(libc::ENOMEM)
        && let Some(watch) = watch
        && watch.thread == thread
        && [process::id(), sender] == [watch.process; 2]
    {
        (watch.out_of_memory)();
    }
    signal::dispose(signal, libc::SIG_DFL);
    // SAFETY: the call has no condition. The signal is blocked here, and kills on return.
    unsafe { libc::raise(signal) };
}
