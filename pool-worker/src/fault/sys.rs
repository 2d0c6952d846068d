//! Harm that only system calls can do.

use std::os::fd::RawFd;

/// Sends a signal to this very thread, so that it does not take one step more.
pub(super) fn signal_self(signal: libc::c_int) {
    // SAFETY: takes no memory.
    unsafe { libc::raise(signal) };
}

/// Closes all descriptors but the first three.
pub(super) fn close_all() {
    // SAFETY: none for the owners of these descriptors, which is the harm that is wanted.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

/// Writes to whatever the number stands for, if it can be done without waiting.
pub(super) fn write_anyhow(number: RawFd, bytes: &[u8]) {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the kernel only reads `bytes`, for no longer than the call.
    let sent = unsafe { libc::send(number, bytes.as_ptr().cast(), bytes.len(), flags) };
    if sent == -1 {
        // SAFETY: as above; it fails on all that has no positions, where it could have to wait.
        unsafe { libc::pwrite(number, bytes.as_ptr().cast(), bytes.len(), 0) };
    }
}
