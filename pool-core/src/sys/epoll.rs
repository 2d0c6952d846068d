//! The event loop's system calls: epoll(7) and eventfd(2).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use pool_worker::fault::{self, Site};

use super::check;

/// The most events that one wait gives.
const MAX_EVENTS: usize = 64;

/// A set of descriptors to wait for, each with a token.
#[derive(Debug)]
pub(crate) struct Epoll(OwnedFd);

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: the call takes no memory of ours.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel has just made this descriptor; nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Watches `fd` for input, and for its end.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        fault::try_at(Site::LoopWatches)?;
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: token,
        };
        // SAFETY: `event` outlives the call, which only reads it.
        check(unsafe {
            libc::epoll_ctl(
                self.0.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                fd.as_raw_fd(),
                &raw mut event,
            )
        })?;
        Ok(())
    }

    /// Watches `fd` no more. Closing it would not do: a forked copy of this process may hold it.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: for a removal no event is read.
        check(unsafe {
            libc::epoll_ctl(
                self.0.as_raw_fd(),
                libc::EPOLL_CTL_DEL,
                fd.as_raw_fd(),
                std::ptr::null_mut(),
            )
        })?;
        Ok(())
    }

    /// Waits for events, at most for `timeout`, and adds their tokens to `tokens`.
    pub(crate) fn wait(&self, tokens: &mut Vec<u64>, timeout: Duration) -> io::Result<()> {
        fault::try_at(Site::LoopWaits)?;
        let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
        let milliseconds = i32::try_from(milliseconds).unwrap_or(i32::MAX);
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; MAX_EVENTS];
        let count = i32::try_from(events.len()).unwrap_or(i32::MAX);
        // SAFETY: `events` is ours to write for the whole call, and its length is named.
        let count = check(unsafe {
            libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), count, milliseconds)
        });
        let count = match count {
            // It may have waited for as long as it was to, or for almost so long.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            count => count?,
        };
        tokens.extend(
            events[..count.unsigned_abs() as usize]
                .iter()
                .map(|event| event.u64),
        );
        Ok(())
    }
}

/// A descriptor that is readable while it is signalled.
pub(crate) fn event() -> io::Result<OwnedFd> {
    // SAFETY: the call takes no memory of ours.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: the kernel has just made this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Signals an [`event`].
pub(crate) fn signal_event(event: &OwnedFd) {
    // SAFETY: the value outlives the call. It cannot fail but for a counter at its end, which is
    // as readable as any.
    unsafe { libc::eventfd_write(event.as_raw_fd(), 1) };
    #[cfg(all(loom, feature = "loom"))]
    pool_worker::channel::wake_event_loop();
}

/// Takes an [`event`]'s signal back.
pub(crate) fn clear_event(event: &OwnedFd) {
    let mut count = 0;
    // SAFETY: `count` is ours to write for the whole call; that there was no signal is no failure.
    unsafe { libc::eventfd_read(event.as_raw_fd(), &raw mut count) };
}
