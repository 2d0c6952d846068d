//! The mapping that an application and one worker share.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::NonNull;

use super::Bytes;
use crate::channel::RING_SIZE;
use crate::channel::segment::{Header, Words};
use crate::sys;

/// Bytes before the rings: a page with the header and, in its second half, the last words.
const PREFIX: usize = 4096;
/// Where the last words begin.
const LAST_WORDS: usize = 2048;
/// Bytes of the whole segment.
const SIZE: usize = PREFIX + 2 * RING_SIZE;

const _: () = assert!(size_of::<Header>() <= LAST_WORDS);
const _: () = assert!(LAST_WORDS + size_of::<Words>() <= PREFIX);

/// A mapping, which is unmapped when dropped, and never inherited by forks of this process.
#[derive(Debug)]
pub(in crate::channel) struct Memory {
    base: NonNull<u8>,
}

// SAFETY: the mapping belongs to this value alone and is accessed by atomics and raw copies only.
unsafe impl Send for Memory {}
// SAFETY: as for `Send`.
unsafe impl Sync for Memory {}

impl Memory {
    /// Makes new memory, all zero, and gives the descriptor of it.
    pub(in crate::channel) fn create() -> io::Result<(Self, OwnedFd)> {
        let memfd = sys::memfd(c"pool-rings", SIZE as u64)?;
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        sys::seal(memfd.as_fd(), seals)?;
        let memory = Self::open(memfd.as_fd())?;
        Ok((memory, memfd))
    }

    /// Maps the memory that [`create`](Self::create) made.
    pub(in crate::channel) fn open(memfd: BorrowedFd<'_>) -> io::Result<Self> {
        let memory = Self::map(libc::MAP_SHARED, memfd.as_raw_fd())?;
        // SAFETY: the range is exactly the mapping made above; the advice changes no contents.
        if unsafe { libc::madvise(memory.base.as_ptr().cast(), SIZE, libc::MADV_DONTFORK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(memory)
    }

    /// New memory that no other process can map, for tests in which there are no descriptors.
    #[cfg(test)]
    pub(in crate::channel) fn anonymous() -> io::Result<Self> {
        Self::map(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }

    fn map(flags: c_int, fd: RawFd) -> io::Result<Self> {
        // SAFETY: the kernel chooses a fresh address range, so no memory in use is replaced.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                fd,
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(address.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base })
    }

    pub(in crate::channel) fn header(&self) -> &Header {
        // SAFETY: `base` is page-aligned and maps `PREFIX` bytes, more than a `Header`, for as long
        // as `self` lives; a header consists of atomics, for which every bit pattern is valid.
        unsafe { self.base.cast::<Header>().as_ref() }
    }

    pub(in crate::channel) fn last_words(&self) -> &Words {
        // SAFETY: `LAST_WORDS` is inside the mapping.
        let words = unsafe { self.base.add(LAST_WORDS) }.cast::<Words>();
        // SAFETY: as in `header`; `Words` fits between `LAST_WORDS` and `PREFIX`.
        unsafe { words.as_ref() }
    }

    /// The bytes of the ring of calls.
    pub(in crate::channel) fn calls(&self) -> Bytes {
        self.ring(PREFIX)
    }

    /// The bytes of the ring of answers.
    pub(in crate::channel) fn answers(&self) -> Bytes {
        self.ring(PREFIX + RING_SIZE)
    }

    fn ring(&self, offset: usize) -> Bytes {
        // SAFETY: both offsets leave `RING_SIZE` bytes of the mapping behind them.
        let base = unsafe { self.base.add(offset) };
        // SAFETY: page-aligned and in bounds as told; both ends keep the segment beside the ring.
        unsafe { Bytes::new(base) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the range is this value's own mapping, and nothing borrowed from it is left.
        unsafe { libc::munmap(self.base.as_ptr().cast(), SIZE) };
    }
}
