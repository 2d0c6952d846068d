//! A worker that is forked before it is asked for.
//!
//! A fork copies the tables of all pages that the process has touched, at some 20 microseconds for
//! each MiB. Where that is long, one worker is kept ready that waits for its rings: it takes the
//! place of one that dies at once, and the next spare is forked when nothing else is to be done.

use crate::fault::{self, Site};
use crate::sys::{self, Readiness};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// From how many bytes on that are the fork server's own a spare is kept.
const WORTH_A_SPARE: u64 = 32 << 20;

/// A forked process that waits to become a worker.
pub(super) struct Spare {
    pub(super) pid: u32,
    socket: OwnedFd,
}

impl Spare {
    /// The spare that was just forked, which waits at the other end of `socket`.
    pub(super) fn new(pid: u32, socket: OwnedFd) -> Self {
        Self { pid, socket }
    }

    /// Makes it a worker with these rings and this control socket.
    pub(super) fn employ(&self, rings: &OwnedFd, control: &OwnedFd) -> io::Result<()> {
        fault::try_at(Site::ServerEmploys)?;
        sys::send(self.socket.as_fd(), &[0], &[rings.as_fd(), control.as_fd()])
    }
}

/// Whether forks of a process with so much memory of its own take so long that a spare is worth its
/// keep.
pub(super) fn is_worth_it(memory: u64) -> bool {
    memory > WORTH_A_SPARE
}

/// In the spare: waits for what makes it a worker.
pub(super) fn await_employment(socket: BorrowedFd<'_>) -> io::Result<(OwnedFd, OwnedFd)> {
    fault::try_at(Site::WorkerWaits)?;
    sys::poll([(socket, Readiness::Read)], None)?;
    super::rings_and_control(sys::receive(socket, &mut [0])?)
}
