//! Ways to die that tasks in tests take.

use std::ffi::{c_int, c_void};
use std::{io, ptr};

/// Touches memory that is not there.
pub(crate) fn fault() {
    let nowhere = ptr::without_provenance::<u8>(8);
    // SAFETY: there is none: nothing is mapped at this address, and so the process dies, which is
    // what the test asks for.
    unsafe { nowhere.read_volatile() };
}

/// Sends the process a signal.
pub(crate) fn raise(signal: c_int) {
    // SAFETY: the call has no condition.
    unsafe { libc::raise(signal) };
}

/// Ends the calling thread alone, by nothing that Rust knows of.
pub(crate) fn end_thread() -> ! {
    // SAFETY: the call has no condition of memory; no frame below needs its destructors to be run.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!("the thread has ended")
}

/// Handles SIGSEGV by leaving the process with the code 42.
pub(crate) fn leave_at_fault() -> io::Result<()> {
    extern "C" fn leave(_signal: c_int, _info: *mut libc::siginfo_t, _context: *mut c_void) {
        super::exit(42)
    }
    super::task_stack::handle(libc::SIGSEGV, leave)
}
