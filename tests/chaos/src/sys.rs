//! System calls: processes that are held by descriptors, so that no signal meets another one.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Instant;

/// A process, however it ends and whoever gets its number then.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pidfd: OwnedFd,
}

impl Process {
    /// The process that has this number now.
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        // SAFETY: takes numbers only.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
        // SAFETY: the call above made it, and nobody else knows of it.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { pid, pidfd })
    }

    pub(crate) fn signal(&self, signal: i32) -> io::Result<()> {
        let (pidfd, nothing) = (self.pidfd.as_raw_fd(), ptr::null::<libc::siginfo_t>());
        // SAFETY: the descriptor is open, and no information goes with the signal.
        match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, nothing, 0) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// Waits until it has ended, be it a zombie; whether it did in time.
    pub(crate) fn is_gone_by(&self, deadline: Instant) -> bool {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = left.as_millis().try_into().unwrap_or(i32::MAX);
            let mut poll = libc::pollfd {
                fd: self.pidfd.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: the one structure that is told of is a local one.
            match unsafe { libc::poll(&raw mut poll, 1, left) } {
                -1 => {}
                count => return count == 1,
            }
        }
    }
}

/// Reaps a child that has been killed, and does not wait for others.
pub(crate) fn reap(child: u32) -> io::Result<()> {
    let child = libc::pid_t::try_from(child).map_err(io::Error::other)?;
    // SAFETY: no status is asked for.
    match unsafe { libc::waitpid(child, ptr::null_mut(), 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
