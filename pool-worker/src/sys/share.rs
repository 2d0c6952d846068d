//! What share of the processors a process gets.

use super::check;
use std::fs;
use std::io;
use std::mem::MaybeUninit;

/// How many processors a set can name.
pub const MAX_PROCESSORS: usize = libc::CPU_SETSIZE as usize;

/// Has the calling thread, and all that it starts, run on these processors alone. Numbers from
/// [`MAX_PROCESSORS`] on are refused.
pub fn run_on(processors: &[usize]) -> io::Result<()> {
    // SAFETY: a set is made of integers, and all zero is the empty one.
    let mut set: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
    for &processor in processors {
        if processor >= MAX_PROCESSORS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the number is below the set's size.
        unsafe { libc::CPU_SET(processor, &mut set) };
    }
    // SAFETY: the set outlives the call, and its size is named; 0 is the calling thread.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) })?;
    Ok(())
}

/// Raises the niceness of the calling thread, and of all that it starts, by `increment`.
///
/// Processes of different sessions may be weighed by session first; the session's niceness is set
/// to the same, where the kernel knows of it.
pub fn be_nicer(increment: i32) -> io::Result<()> {
    const THIS: libc::id_t = 0;
    // SAFETY: the call takes no memory of ours. It cannot fail for the calling thread, and a
    // result of -1 is one.
    let before = unsafe { libc::getpriority(libc::PRIO_PROCESS, THIS) };
    let niceness = before.saturating_add(increment);
    // SAFETY: the call takes no memory of ours.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, THIS, niceness) })?;
    // It fails where the kernel weighs no sessions, and then there is no need of it.
    let _ = fs::write("/proc/self/autogroup", niceness.clamp(-20, 19).to_string());
    Ok(())
}
