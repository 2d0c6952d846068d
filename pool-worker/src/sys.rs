//! System calls, each as a small safe function.
//!
//! All that is unsafe about processes, signals, sockets and descriptors is here, so that the
//! layers above handle `OwnedFd`, `BorrowedFd` and `io::Result` alone. Every descriptor is
//! close-on-exec from birth.

mod abort;
mod buffer;
mod clock;
mod confine;
mod fd;
#[cfg(test)]
pub(crate) mod fixture;
mod init_array;
mod landlock;
mod memory;
mod proc;
mod process;
mod sealed;
mod share;
mod signal;
mod socket;
mod task_stack;
#[cfg(test)]
mod tests;
mod thread;

pub use abort::{clear_failures, watch_aborts};
pub use buffer::{Buffer, OutOfMemory};
pub use clock::{monotonic, processor_time};
pub use confine::{
    Reach, Resource, be_dumpable, close_all_but, drop_capabilities, enter_namespaces,
    gain_no_privileges, is_dumpable, limit, oom_score, oom_score_is_writable, reaches_parent,
    set_oom_score, try_in_child,
};
pub use fd::{
    Readiness, Waited, above_stdio, inherited, keep_on_exec, memfd, null_stdin, null_stdio, poll,
    seal, write_sealed,
};
pub use init_array::Remaining;
pub use init_array::replace_environment;
pub(crate) use init_array::{hook_address, is_privileged, unset_variable};
pub use landlock::{Barriers, Ruleset};
pub use memory::have_huge_pages;
#[cfg(target_env = "gnu")]
pub use memory::keep_freed_memory;
pub use proc::{
    OwnMemory, anonymous_memory, children, is_stuck, lasting_thread_names, thread_names,
};
pub use process::{
    Fork, Image, Reaped, die_with_parent, exit, exit_status, fork, kill, kill_child,
    leave_core_dumps, name_process, new_session, pidfd_of, reap, reap_any, subreaper, terminate,
};
pub use sealed::{Sealed, SealedText};
pub use share::{MAX_PROCESSORS, be_nicer, run_on};
pub use signal::{BlockedSignals, child_signals, drain, ignore_broken_pipes, reset_signals};
pub use socket::{
    MAX_DESCRIPTORS, Message, end_of_sending, is_seqpacket, receive, receive_bytes,
    refuse_descriptors, send, socket_pair,
};
pub use task_stack::watch_stack;
pub use thread::await_end;

use std::io;

/// The `-1` of system calls as an error.
pub fn check<T: Copy + PartialEq + From<i8>>(result: T) -> io::Result<T> {
    if result == T::from(-1) {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// Calls until it was not a signal that ended the call.
pub fn retry<T: Copy + PartialEq + From<i8>>(mut call: impl FnMut() -> T) -> io::Result<T> {
    loop {
        match check(call()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
