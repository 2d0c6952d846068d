//! What the channel is built on: words that two processes share, the full fence, sleep on a word, and
//! the memory of the rings.
//!
//! With `--cfg loom` the module `model` stands in the place of this one: the same for loom, the model
//! checker, which tries all orders in which the words can be seen. All that is above is the same code
//! then, with smaller rings. See `models`.

mod bytes;
mod memory;

use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::ptr;
use std::time::Duration;

pub(super) use bytes::Bytes;
pub(super) use memory::Memory;
pub(super) use std::sync::atomic::{AtomicU32, AtomicU64, fence};

use crate::sys;
use std::sync::atomic::Ordering::SeqCst;

/// Stores a value and passes a full fence, in one: the next look at a word that is sequentially
/// consistent, too, comes after it in the order of all that are.
#[inline]
pub(super) fn store_fenced(word: &AtomicU64, value: u64) {
    word.swap(value, SeqCst);
}

/// Compares and swaps, and passes a full fence, in one: also where it does not swap.
#[inline]
pub(super) fn exchange_fenced(word: &AtomicU32, current: u32, new: u32) -> Result<u32, u32> {
    let exchanged = word.compare_exchange(current, new, SeqCst, SeqCst);
    // On x86 it is a locked instruction, which is a full barrier (AMD64 Architecture Programmer's Manual,
    // volume 2, 7.4.2).
    if cfg!(any(miri, not(target_arch = "x86_64"))) {
        fence(SeqCst);
    }
    exchanged
}

/// Rings the event loop that has the other end of this socket.
pub(super) fn ring(socket: BorrowedFd<'_>) {
    // A full socket means that the application has been rung already, and a closed one that it is gone:
    // both leave nothing to do here.
    let _ = sys::send(socket, &[0], &[]);
}

/// A word that threads and processes sleep on.
///
/// The futex is shared between processes, so it is not marked private. See futex(2).
#[repr(transparent)]
pub(super) struct Futex(AtomicU32);

impl Deref for Futex {
    type Target = AtomicU32;

    #[inline]
    fn deref(&self) -> &AtomicU32 {
        &self.0
    }
}

impl Futex {
    /// Sleeps while the word is `expected`, at most for `timeout`; may wake early.
    pub(super) fn wait(&self, expected: u32, timeout: Option<Duration>) {
        let timeout = timeout.map(|limit| libc::timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let limit = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the word and the time outlive the call; the kernel only reads them.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.as_ptr(),
                libc::FUTEX_WAIT,
                expected,
                limit,
            )
        };
    }

    /// Wakes all that sleep on the word.
    pub(super) fn wake(&self) {
        // SAFETY: the word outlives the call, and waking changes no memory.
        unsafe { libc::syscall(libc::SYS_futex, self.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
    }
}
