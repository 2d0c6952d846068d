//! What a process gives up for good: privileges, namespaces, resources, descriptors.

use super::process::{control, signal};
use super::{check, retry};
use std::ffi::{c_int, c_void};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Bytes of stack for a child that borrows this process's memory, in units of 16, the alignment.
const TRIAL_STACK: usize = 16 * 1024;

/// A resource whose use by this process can be bounded; see `setrlimit(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Bytes of a core file.
    Core,
    /// Bytes of a file that is written.
    FileSize,
    /// Bytes of memory that is locked.
    LockedMemory,
    /// Bytes in POSIX message queues.
    MessageQueues,
    /// Open descriptors.
    OpenFiles,
    /// Processes and threads of this user; does not bind the superuser.
    Processes,
}

/// Bounds a resource for good, unless less is allowed already.
pub fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let number = match resource {
        Resource::Core => libc::RLIMIT_CORE,
        Resource::FileSize => libc::RLIMIT_FSIZE,
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
        Resource::MessageQueues => libc::RLIMIT_MSGQUEUE,
        Resource::OpenFiles => libc::RLIMIT_NOFILE,
        Resource::Processes => libc::RLIMIT_NPROC,
    };
    let mut limits = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limits` is ours to write for the whole call.
    check(unsafe { libc::getrlimit(number, &raw mut limits) })?;
    limits.rlim_max = limits.rlim_max.min(most);
    limits.rlim_cur = limits.rlim_cur.min(most);
    // SAFETY: `limits` outlives the call.
    check(unsafe { libc::setrlimit(number, &raw const limits) })?;
    Ok(())
}

/// Has the calling thread, and all that it starts from now on, gain no privileges by what it executes.
pub fn gain_no_privileges() -> io::Result<()> {
    control(libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// Whether others of this user may look into this process, where nothing else forbids it, and its memory
/// be written to a core file.
pub fn be_dumpable(is_dumpable: bool) -> io::Result<()> {
    control(libc::PR_SET_DUMPABLE, is_dumpable.into())
}

/// Whether they may. That the superuser alone may, as the kernel can have it, counts as no.
pub fn is_dumpable() -> bool {
    // SAFETY: the option takes no argument.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 }
}

/// Moves this process, which has a single thread, to namespaces of its own: of users, where it has no
/// rights over anything outside, of networks, where there are none, of System V's and POSIX's
/// messages and shared memory.
pub fn enter_namespaces() -> io::Result<()> {
    let namespaces = libc::CLONE_NEWUSER | libc::CLONE_NEWNET | libc::CLONE_NEWIPC;
    // SAFETY: the call takes no memory of ours.
    check(unsafe { libc::unshare(namespaces) })?;
    Ok(())
}

/// Gives up all capabilities of the calling thread.
pub fn drop_capabilities() -> io::Result<()> {
    /// `_LINUX_CAPABILITY_VERSION_3`, and two words of each set.
    const VERSION: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION, 0];
    let sets = [0_u32; 6];
    // SAFETY: `header` and `sets` outlive the call, which only reads them, and have the sizes that the
    // version tells.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) })?;
    Ok(())
}

/// Closes all descriptors above 2 but these.
pub fn close_all_but(mut kept: Vec<RawFd>) -> io::Result<()> {
    kept.sort_unstable();
    let mut next = 3;
    for fd in kept.into_iter().filter(|fd| *fd >= 3) {
        close_range(next, fd - 1)?;
        next = fd + 1;
    }
    close_range(next, RawFd::MAX)
}

fn close_range(first: RawFd, last: RawFd) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: the call takes no memory of ours. Whoever owns a descriptor in the range is code of the
    // program that has not run since the fork, and finds it closed.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
    Ok(())
}

/// How much rather than others the kernel ends this process where memory is short, from -1000 to 1000.
pub fn oom_score() -> io::Result<i32> {
    let text = fs::read_to_string("/proc/self/oom_score_adj")?;
    text.trim().parse().map_err(io::Error::other)
}

/// Whether [`oom_score`] can be set, as far as opening it tells.
pub fn oom_score_is_writable() -> io::Result<()> {
    let mut options = fs::File::options();
    options
        .write(true)
        .open("/proc/self/oom_score_adj")
        .map(drop)
}

/// Sets [`oom_score`]; to lower it takes a right.
pub fn set_oom_score(score: i32) -> io::Result<()> {
    fs::write("/proc/self/oom_score_adj", score.to_string())
}

/// Whether this process may signal its parent, and take a descriptor from it, which takes the same
/// right as to read and write its memory. Nothing is done to the parent.
pub fn reaches_parent() -> io::Result<Reach> {
    let parent = super::pidfd_of(std::os::unix::process::parent_id())?;
    // Signal 0 is none: the kernel looks whether one may be sent.
    let signals = signal(parent.as_fd(), 0).is_ok();
    let memory = match take_stdin_of(parent.as_fd()) {
        // Of one without a standard input, this says that it may be looked for.
        Err(error) => error.raw_os_error() == Some(libc::EBADF),
        Ok(()) => true,
    };
    Ok(Reach { signals, memory })
}

/// Takes the standard input of another process, and drops it.
fn take_stdin_of(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes no memory of ours.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), 0, 0) })?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor; nobody else owns it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

/// What a process can do to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Signal it.
    pub signals: bool,
    /// Look into it.
    pub memory: bool,
}

/// Runs `body` in a child that borrows this process's memory, while the calling thread stands still:
/// what it changes in memory stays, what it changes about its process does not. It may be killed at any
/// point. No other thread may be about to change descriptors or credentials.
pub fn try_in_child(mut body: impl FnMut()) -> io::Result<()> {
    let mut stack = vec![0_u128; TRIAL_STACK];
    let mut body: &mut dyn FnMut() = &mut body;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK;
    let (end, argument) = (stack.as_mut_ptr_range().end, &raw mut body);
    // SAFETY: the stack and `body` outlive the child, as CLONE_VFORK suspends this thread until it
    // has ended.
    let pid = check(unsafe { libc::clone(trial, end.cast(), flags, argument.cast()) })?;
    // SAFETY: a null status is allowed.
    retry(|| unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL) })?;
    Ok(())
}

extern "C" fn trial(argument: *mut c_void) -> c_int {
    // SAFETY: `try_in_child` gave its `body`, and stands still.
    let body = unsafe { &mut *argument.cast::<&mut dyn FnMut()>() };
    body();
    super::exit(0)
}
