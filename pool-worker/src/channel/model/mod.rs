//! What the channel is built on, for the model checker: see `machine`, in whose place this stands.
//!
//! Words are loom's atomics, sleep is a condition variable of loom's, and bodies of frames lie in
//! cells of which loom notices two that access one at a time. There is no time: whoever sleeps with a
//! limit sleeps without one, so that nothing can be right by a timeout alone.
//!
//! A fence can be left out, to see that the models notice: [`without_fences`].

mod bytes;
mod memory;

use std::cell::Cell;
use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering::{self, AcqRel, Relaxed, SeqCst};
use std::time::Duration;

use loom::sync::{Condvar, Mutex};

pub(super) use bytes::Bytes;
pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64};
pub(super) use memory::Memory;

loom::thread_local! {
    static UNFENCED: Cell<bool> = Cell::new(false);
}

loom::lazy_static! {
    /// The socket of the one worker that a model has, as its other end sees it: how often it was rung.
    static ref SOCKET: Futex = Futex::default();
}

/// Leaves out the full fences of the calling thread from here on.
#[cfg(test)]
pub(super) fn without_fences() {
    UNFENCED.with(|unfenced| unfenced.set(true));
}

/// A fence, but for a full one of a thread that is to have none.
pub(super) fn fence(order: Ordering) {
    if order != SeqCst || !UNFENCED.with(Cell::get) {
        loom::sync::atomic::fence(order);
    }
}

/// Stores a value and passes a full fence.
///
/// To loom an access that is sequentially consistent is one that acquires and releases, and no more;
/// so the fence is written out.
pub(super) fn store_fenced(word: &AtomicU64, value: u64) {
    word.swap(value, AcqRel);
    fence(SeqCst);
}

/// Rings the event loop.
pub(super) fn ring(_socket: BorrowedFd<'_>) {
    SOCKET.fetch_add(1, AcqRel);
    SOCKET.wake();
}

/// Sleeps, as the event loop does, until the socket was rung more often than `count`; how often it was.
#[cfg(test)]
pub(super) fn await_ring(count: u32) -> u32 {
    SOCKET.wait(count, None);
    SOCKET.load(Ordering::Acquire)
}

/// A word that threads sleep on.
#[derive(Default)]
pub(super) struct Futex {
    word: AtomicU32,
    /// Held while the word is compared before sleep, and while sleepers are woken, as the kernel holds
    /// a lock of its own.
    queue: Mutex<()>,
    woken: Condvar,
}

impl Deref for Futex {
    type Target = AtomicU32;

    fn deref(&self) -> &AtomicU32 {
        &self.word
    }
}

impl Futex {
    /// Stores a value, by a swap: loom does not know that what a swap writes comes right after what it
    /// has read, and would let a store of another thread be seen to lie between the two. Where each
    /// store is a swap, it knows their order.
    pub(super) fn store(&self, value: u32, order: Ordering) {
        self.word.swap(value, order);
    }

    /// Sleeps while the word is `expected`.
    pub(super) fn wait(&self, expected: u32, _timeout: Option<Duration>) {
        let queue = self.queue.lock();
        if self.load(Relaxed) == expected {
            drop(queue.and_then(|queue| self.woken.wait(queue)));
        }
    }

    /// Wakes all that sleep on the word.
    pub(super) fn wake(&self) {
        let _queue = self.queue.lock();
        self.woken.notify_all();
    }
}
