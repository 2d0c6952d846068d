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
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, SeqCst};
use std::time::Duration;

use loom::sync::{Condvar, Mutex};

use crate::sys;

pub(super) use bytes::Bytes;
pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64};
pub(super) use memory::Memory;

loom::thread_local! {
    static UNFENCED: Cell<bool> = Cell::new(false);
}

loom::lazy_static! {
    /// What the event loop of the one application that a model has sleeps on: how often it was woken.
    static ref EVENTS: Futex = Futex::default();
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

/// Compares and swaps, and passes a full fence.
pub(super) fn exchange_fenced(word: &AtomicU32, current: u32, new: u32) -> Result<u32, u32> {
    let exchanged = word.compare_exchange(current, new, AcqRel, Acquire);
    fence(SeqCst);
    exchanged
}

/// Tries all orders with so many preemptions at most, beside those where a thread sleeps.
pub fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 10_000;
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(model);
}

/// Rings the event loop: by the socket, where that is one, so that it can tell who has rung.
pub(super) fn ring(socket: BorrowedFd<'_>) {
    let _ = sys::send(socket, &[0], &[]);
    wake_event_loop();
}

/// Wakes the event loop.
pub fn wake_event_loop() {
    EVENTS.fetch_add(1, AcqRel);
    EVENTS.wake();
}

/// Sleeps, as the event loop does, until it was woken more often than `count`; how often it was.
pub fn await_event(count: u32) -> u32 {
    EVENTS.wait(count, None);
    EVENTS.load(Ordering::Acquire)
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
