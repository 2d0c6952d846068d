//! How the application tells a worker of shared values.
//!
//! Errands go out on the worker's control socket, and nobody ever waits for room there. Who finds
//! none notes what is owed and raises the alarm, for the executor to [try again](Postbox::retry) every
//! now and then until nothing is.
//! A value is sent before the first call that refers to it is placed in the worker's ring, so the
//! worker finds it in the socket when it finds the call.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::segment::{Attachments, Segment};
use crate::fault::{self, Site};
use crate::protocol::Errand;
use crate::sys;

/// The application's end of a worker's control socket, and what went out there.
pub struct Postbox {
    socket: OwnedFd,
    alarm: Box<dyn Fn() + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The values that the worker was told of.
    sent: BTreeSet<u64>,
    /// Those of which it is yet to be told that they are gone.
    owed: Vec<u64>,
    /// Something could not be sent since the last try.
    missed: bool,
    /// The executor will try again.
    alarmed: bool,
    /// How many errands went out.
    errands: u64,
}

impl Postbox {
    /// The end of a new worker's socket. `alarm` is called, under whatever locks, when something
    /// could not be sent; it must not block.
    pub fn new(socket: OwnedFd, alarm: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            socket,
            alarm: Box::new(alarm),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the worker of whatever it does not know yet; `false` if the socket has no room, and
    /// nothing that refers to these values may be placed.
    #[must_use]
    #[inline]
    pub fn deliver(self: &Arc<Self>, attachments: &Attachments) -> bool {
        attachments.is_empty() || self.deliver_each(attachments)
    }

    fn deliver_each(self: &Arc<Self>, attachments: &Attachments) -> bool {
        let mut state = self.state();
        for segment in attachments.segments() {
            if state.sent.contains(&segment.id()) {
                continue;
            }
            if self.share(segment).is_err() {
                self.miss(&mut state);
                return false;
            }
            state.errands += 1;
            state.sent.insert(segment.id());
            segment.sent_to(Arc::downgrade(self));
        }
        true
    }

    /// Tells the worker that a value is gone, at once or later.
    pub(super) fn release(&self, id: u64) {
        let mut state = self.state();
        state.sent.remove(&id);
        state.owed.push(id);
        if !self.settle(&mut state) {
            self.miss(&mut state);
        }
    }

    /// Notes that something could not be sent.
    fn miss(&self, state: &mut State) {
        state.missed = true;
        if !mem::replace(&mut state.alarmed, true) {
            (self.alarm)();
        }
    }

    /// Whether something could not be sent of late.
    pub fn is_behind(&self) -> bool {
        self.state().missed
    }

    /// How many errands went out, if there is one that cannot, and the executor tries again and again.
    pub fn stuck_at(&self) -> Option<u64> {
        let state = self.state();
        state.alarmed.then_some(state.errands)
    }

    /// Sends what is owed; `true` if something could not be sent, now or since the last time, and
    /// this is to be called again in a while. The alarm is raised again only after `false`.
    #[must_use]
    pub fn retry(&self) -> bool {
        let mut state = self.state();
        let settled = self.settle(&mut state);
        state.alarmed = mem::take(&mut state.missed) || !settled;
        state.alarmed
    }

    /// Sends what is owed; whether nothing is any more.
    fn settle(&self, state: &mut State) -> bool {
        while let Some(&id) = state.owed.last() {
            if self.send(Errand::Release { id }, &[]).is_err() {
                return false;
            }
            state.errands += 1;
            state.owed.pop();
        }
        true
    }

    fn share(&self, segment: &Segment) -> io::Result<()> {
        self.send(Errand::Share { id: segment.id() }, &[segment.memory()])
    }

    fn send(&self, errand: Errand, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = rmp_serde::to_vec(&errand).map_err(io::Error::other)?;
        fault::try_at(Site::Errand)?;
        sys::send(self.socket.as_fd(), &bytes, descriptors)
    }
}

impl AsFd for Postbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for Postbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postbox")
            .field("known", &self.state().sent.len())
            .finish_non_exhaustive()
    }
}
