//! The memory that an application and one worker share, and sleeping on its words.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use super::RING_SIZE;
use super::allowance::Allowance;
use super::notice::{Instructions, Stamp};
use super::ring::Ring;
use crate::sys;

/// Bytes before the rings: a page with the header and, in its second half, the last words.
const PREFIX: usize = 4096;
/// Where the last words begin.
const LAST_WORDS: usize = 2048;
/// Bytes of the whole segment.
const SIZE: usize = PREFIX + 2 * RING_SIZE;

/// A cache line pair of its own, so that words written by different sides do not disturb each other.
#[repr(C, align(128))]
pub(super) struct Line<T>(pub(super) T);

/// What the application tells the worker about waking it.
#[repr(C)]
pub(super) struct Bell {
    /// Events, where to ring, and a number; see [`super::events`].
    pub(super) word: AtomicU32,
    /// Bytes of calls left at which `LOW` is rung.
    pub(super) low_water: AtomicU32,
    /// Microseconds for which the worker may look for calls before it sleeps.
    pub(super) spin: AtomicU32,
}

/// The words that both sides share. All zero is a fresh channel.
#[repr(C)]
pub(super) struct Header {
    /// Written by the application.
    pub(super) calls_head: Line<AtomicU64>,
    /// Written by the worker.
    pub(super) calls_tail: Line<AtomicU64>,
    /// Written by the worker.
    pub(super) answers_head: Line<AtomicU64>,
    /// Written by the application.
    pub(super) answers_tail: Line<AtomicU64>,
    /// Written by the application.
    pub(super) bell: Line<Bell>,
    /// 1 while the worker sleeps or is about to; whoever wakes it sets it to 0.
    pub(super) doze: Line<AtomicU32>,
    /// Counted up by the worker when it rings a thread of the application.
    pub(super) doorbell: Line<AtomicU32>,
    /// Written by the worker: nanoseconds that a call took of late, 0 while that is unknown.
    pub(super) pace: Line<AtomicU64>,
    /// Written by the worker: its process, 0 before it has begun.
    pub(super) pid: Line<AtomicU32>,
    /// Written by the worker.
    pub(super) stamp: Line<Stamp>,
    /// Written by the application.
    pub(super) instructions: Line<Instructions>,
    /// Written by the application.
    pub(super) allowance: Line<Allowance>,
    /// Written by the worker.
    pub(super) excess: Line<AtomicU64>,
}

const _: () = assert!(size_of::<Header>() <= LAST_WORDS);

/// The last words of a worker: `kind` is stored last, 0 means that there are none.
#[repr(C)]
pub(super) struct Words {
    pub(super) kind: AtomicU32,
    pub(super) seq: AtomicU32,
    pub(super) len: AtomicU32,
    pub(super) reserved: AtomicU32,
    pub(super) bytes: [AtomicU32; super::MAX_LAST_WORDS / 4],
}

const _: () = assert!(LAST_WORDS + size_of::<Words>() <= PREFIX);

/// A mapping of the memory that an application and one worker share.
///
/// It is unmapped when dropped, and never inherited by forks of this process.
#[derive(Debug)]
pub struct Segment {
    base: NonNull<u8>,
}

// SAFETY: the mapping belongs to this value alone and is accessed by atomics and raw copies only.
unsafe impl Send for Segment {}
// SAFETY: as for `Send`.
unsafe impl Sync for Segment {}

impl Segment {
    /// Makes a new segment; the descriptor is for the worker.
    ///
    /// # Errors
    ///
    /// If the memory or a descriptor for it cannot be had.
    pub fn create() -> io::Result<(Self, OwnedFd)> {
        let memfd = sys::memfd(c"pool-rings", SIZE as u64)?;
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        sys::seal(memfd.as_fd(), seals)?;
        let segment = Self::map(&memfd)?;
        Ok((segment, memfd))
    }

    /// Maps the segment that the application made.
    ///
    /// # Errors
    ///
    /// If the memory cannot be mapped.
    pub fn open(memfd: BorrowedFd<'_>) -> io::Result<Self> {
        Self::map(&memfd)
    }

    fn map(memfd: &impl AsRawFd) -> io::Result<Self> {
        // SAFETY: the kernel chooses a fresh address range, so no memory in use is replaced.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                memfd.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(address.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let segment = Self { base };
        // SAFETY: the range is exactly the mapping made above; the advice changes no contents.
        if unsafe { libc::madvise(address, SIZE, libc::MADV_DONTFORK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(segment)
    }

    pub(super) fn header(&self) -> &Header {
        // SAFETY: `base` is page-aligned and maps `PREFIX` bytes, more than a `Header`, for as long
        // as `self` lives; a header consists of atomics, for which every bit pattern is valid.
        unsafe { self.base.cast::<Header>().as_ref() }
    }

    pub(super) fn last_words(&self) -> &Words {
        // SAFETY: `LAST_WORDS` is inside the mapping.
        let words = unsafe { self.base.add(LAST_WORDS) }.cast::<Words>();
        // SAFETY: as in `header`; `Words` fits between `LAST_WORDS` and `PREFIX`.
        unsafe { words.as_ref() }
    }

    pub(super) fn calls(&self) -> Ring {
        self.ring(PREFIX)
    }

    pub(super) fn answers(&self) -> Ring {
        self.ring(PREFIX + RING_SIZE)
    }

    fn ring(&self, offset: usize) -> Ring {
        // SAFETY: both offsets leave `RING_SIZE` bytes of the mapping behind them.
        let base = unsafe { self.base.add(offset) };
        // SAFETY: page-aligned and in bounds as told; both ends keep the segment beside the ring.
        unsafe { Ring::new(base) }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: the range is this value's own mapping, and nothing borrowed from it is left.
        unsafe { libc::munmap(self.base.as_ptr().cast(), SIZE) };
    }
}

/// Sleeps while `word` is `expected`, at most for `timeout`; may wake early.
///
/// The futex is shared between processes, so it is not marked private. See futex(2).
pub(super) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
    let timeout = timeout.map(|limit| libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    });
    let limit = timeout
        .as_ref()
        .map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word and the time outlive the call; the kernel only reads them.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            expected,
            limit,
        )
    };
}

/// Wakes all that sleep on `word`.
pub(super) fn futex_wake(word: &AtomicU32) {
    // SAFETY: the word outlives the call, and waking changes no memory.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}
