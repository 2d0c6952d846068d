//! The end of a thread, however it comes about.

use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::thread::JoinHandle;

/// Waits until the kernel has ended the thread.
///
/// [`JoinHandle::join`] would do only for a thread whose function has returned or panicked.
pub fn await_end(thread: JoinHandle<()>) {
    let thread = thread.into_pthread_t();
    // SAFETY: the handle was the only one of this thread, which nobody else can have joined or
    // detached.
    unsafe { libc::pthread_join(thread, ptr::null_mut()) };
}
