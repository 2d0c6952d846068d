//! Processes: how they begin, what they are bound to, and how they end.

use super::{check, proc, retry};
use std::ffi::{CStr, CString, c_char, c_int, c_ulong};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// On which side of [`fork`] one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// In the new process.
    Child,
    /// In the old one; this is the child's pid.
    Parent(u32),
}

/// What [`reap_any`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// This child had died and is gone now.
    Child {
        /// Its process.
        pid: u32,
        /// How it ended, as `waitpid(2)` gives it.
        status: i32,
    },
    /// No child has died.
    None,
    /// There are no children.
    Childless,
}

/// Forks, which is safe only from a single thread: one lock held by another would be held for
/// ever in the child. Fails with `ResourceBusy` if there is more than one.
pub fn fork() -> io::Result<Fork> {
    if proc::thread_names()?.len() > 1 {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    // SAFETY: this process has a single thread, so the child's memory is as consistent as ours.
    let pid = check(unsafe { libc::fork() })?;
    Ok(match pid {
        0 => Fork::Child,
        pid => Fork::Parent(pid.unsigned_abs()),
    })
}

/// Leaves the process at once: no destructors, no buffers flushed, nothing of `atexit`.
pub fn exit(status: i32) -> ! {
    // SAFETY: the call has no condition.
    unsafe { libc::_exit(status) }
}

/// A descriptor for a process. The caller answers for `pid` being the process that it means: its
/// own, or a child that it has not reaped.
pub fn pidfd_of(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes no memory of ours.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends SIGKILL to the process behind `pidfd`; that it is gone already is no error.
pub fn kill(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    signal(pidfd, libc::SIGKILL)
}

/// Sends SIGTERM to the process behind `pidfd`; that it is gone already is no error.
pub fn terminate(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    signal(pidfd, libc::SIGTERM)
}

pub(super) fn signal(pidfd: BorrowedFd<'_>, signal: c_int) -> io::Result<()> {
    let (fd, info) = (pidfd.as_raw_fd(), ptr::null::<()>());
    // SAFETY: a null `info` has the kernel fill it in as for `kill(2)`.
    let sent = check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, info, 0) });
    match sent {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
        _ => Ok(()),
    }
}

/// Sends SIGKILL to a child. The caller answers for it not being reaped, so that the pid is still
/// its own.
pub fn kill_child(pid: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: the call takes no memory of ours.
    check(unsafe { libc::kill(pid, libc::SIGKILL) })?;
    Ok(())
}

/// Reaps the process behind `pidfd` if it is a child of ours and has died.
pub fn reap(pidfd: BorrowedFd<'_>) {
    let fd = pidfd.as_raw_fd().unsigned_abs();
    let flags = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    // SAFETY: a null `siginfo` is allowed. Failure means that it is no child of ours, or that
    // somebody was faster.
    unsafe { libc::waitid(libc::P_PIDFD, fd, ptr::null_mut(), flags) };
}

/// What the kernel tells of a process, its first version; see `PIDFD_GET_INFO` in `ioctl_pidfd(2)`.
#[repr(C)]
#[derive(Default)]
struct ProcessInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    status: i32,
}

const _: () = assert!(size_of::<ProcessInfo>() == 64);

/// Asks for the status, and says that it is there.
const INFO_EXIT: u64 = 1 << 3;
const GET_INFO: c_ulong = 0xC040_FF0B;

/// How the process behind `pidfd` ended, as `waitpid(2)` gave it to its parent; `None` while it
/// lives or is not reaped, and from kernels before 6.15.
pub fn exit_status(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let mut info = ProcessInfo {
        mask: INFO_EXIT,
        ..ProcessInfo::default()
    };
    // SAFETY: `info` is ours to write for the whole call, and its size is a part of the request.
    check(unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO as _, &raw mut info) }).ok()?;
    (info.mask & INFO_EXIT != 0).then_some(info.status)
}

/// Reaps a child that has died, or waits for the next death if `wait`.
///
/// A child that has made this process its tracer would stop at each signal, and wait for leave to die of
/// it: it is killed.
pub fn reap_any(wait: bool) -> io::Result<Reaped> {
    let mut status = 0;
    let flags = libc::__WALL | if wait { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: `status` is ours to write for the whole call.
        match retry(|| unsafe { libc::waitpid(-1, &raw mut status, flags) }) {
            Ok(0) => return Ok(Reaped::None),
            // It may be one of its threads, whose number is as good.
            Ok(pid) if libc::WIFSTOPPED(status) => kill_child(pid.unsigned_abs())?,
            Ok(pid) => {
                return Ok(Reaped::Child {
                    pid: pid.unsigned_abs(),
                    status,
                });
            }
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => {
                return Ok(Reaped::Childless);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Has this process killed when the thread that forked it ends, or its process; at once if that
/// has already happened. The caller names its parent as known before the fork.
pub fn die_with_parent(parent: u32) -> io::Result<()> {
    let signal = libc::SIGKILL.unsigned_abs().into();
    control(libc::PR_SET_PDEATHSIG, signal)?;
    // Whoever died before the call above gave no signal.
    if std::os::unix::process::parent_id() != parent {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(())
}

/// Makes this process the parent of descendants that lose theirs.
pub fn subreaper() -> io::Result<()> {
    control(libc::PR_SET_CHILD_SUBREAPER, 1)
}

/// Names the calling thread, and so the process in most listings.
pub fn name_process(name: &CStr) -> io::Result<()> {
    control(libc::PR_SET_NAME, name.as_ptr() as c_ulong)
}

pub(super) fn control(option: c_int, argument: c_ulong) -> io::Result<()> {
    // SAFETY: of the options used here, only the name is a pointer, to a C string that outlives
    // the call.
    check(unsafe { libc::prctl(option, argument, 0, 0, 0) })?;
    Ok(())
}

/// Leaves the session of the one who forked this process, and so its terminal.
/// Async-signal-safe.
pub fn new_session() -> io::Result<()> {
    // SAFETY: the call has no condition.
    check(unsafe { libc::setsid() })?;
    Ok(())
}

/// Has a crash of this process write no core file, unless it asks for one itself.
pub fn leave_core_dumps() -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is ours to write for the whole call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit) })?;
    limit.rlim_cur = 0;
    // SAFETY: `limit` outlives the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) })?;
    Ok(())
}

/// A program with its arguments and environment, laid out beforehand so that executing it needs
/// no memory.
#[derive(Debug)]
pub struct Image {
    path: CString,
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    /// What the pointers above point into.
    _strings: [Vec<CString>; 2],
}

impl Image {
    /// The program at `path`.
    pub fn new(path: CString, arguments: Vec<CString>, environment: Vec<CString>) -> Self {
        let pointers = |strings: &[CString]| {
            let end = std::iter::once(ptr::null());
            strings
                .iter()
                .map(|text| text.as_ptr())
                .chain(end)
                .collect()
        };
        Self {
            path,
            arguments: pointers(&arguments),
            environment: pointers(&environment),
            _strings: [arguments, environment],
        }
    }

    /// Becomes this program; returns only on failure. Async-signal-safe.
    pub fn execute(&self) -> io::Error {
        // SAFETY: both lists end with a null and point at C strings that `self` owns.
        unsafe {
            libc::execve(
                self.path.as_ptr(),
                self.arguments.as_ptr(),
                self.environment.as_ptr(),
            )
        };
        io::Error::last_os_error()
    }
}
