//! Memory that nobody can change any more, mapped to be read.

use super::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::slice;
use std::str::{self, Utf8Error};
use std::sync::Arc;

/// What must be sealed so that references to the memory can exist: nobody writes, nobody shrinks.
const SEALS: libc::c_int = libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK;

/// A mapping of sealed memory, as [`write_sealed`](super::write_sealed) makes it, to be read only.
#[derive(Debug)]
pub struct Sealed {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone, and nobody can write to the memory behind it.
unsafe impl Send for Sealed {}
// SAFETY: as for `Send`.
unsafe impl Sync for Sealed {}

impl Sealed {
    /// Maps all of the memory.
    ///
    /// # Errors
    ///
    /// If it is not sealed against writing and shrinking, or cannot be mapped.
    pub fn map(memfd: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: the call takes no memory of ours.
        let seals = check(unsafe { libc::fcntl(memfd.as_raw_fd(), libc::F_GET_SEALS) })?;
        if seals & SEALS != SEALS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let len = size(memfd)?;
        let base = match len {
            // There is no mapping of nothing. The address is aligned for every number.
            0 => NonNull::<u128>::dangling().cast(),
            _ => map(memfd, len)?,
        };
        Ok(Self { base, len })
    }

    /// The memory. It is aligned to pages or, where it is empty, for every number.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `base` maps `len` bytes, or `len` is 0, for as long as `self` lives; the seals
        // keep everybody from writing to them and from taking them away.
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

/// Sealed memory that holds text.
#[derive(Debug)]
pub struct SealedText(Arc<Sealed>);

impl SealedText {
    /// The text in this memory.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn new(memory: &Arc<Sealed>) -> Result<Self, Utf8Error> {
        str::from_utf8(memory.bytes())?;
        Ok(Self(Arc::clone(memory)))
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        // SAFETY: the bytes were found to be UTF-8 when this value was made, and cannot be changed.
        unsafe { str::from_utf8_unchecked(self.0.bytes()) }
    }
}

/// How many bytes there are; found without another descriptor, of which there may be none.
fn size(memfd: BorrowedFd<'_>) -> io::Result<usize> {
    // SAFETY: `stat` is made of integers alone, for which zero is a value.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `status` is ours to write for the whole call.
    check(unsafe { libc::fstat(memfd.as_raw_fd(), &raw mut status) })?;
    usize::try_from(status.st_size).map_err(io::Error::other)
}

fn map(memfd: BorrowedFd<'_>, len: usize) -> io::Result<NonNull<u8>> {
    // Private, as kernels before 6.7 refuse to share what is sealed against writing, even with
    // those who only read. Nobody writes here, so there is nothing that is not shared.
    // SAFETY: the kernel chooses a fresh address range, so no memory in use is replaced.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            len,
            libc::PROT_READ,
            libc::MAP_PRIVATE,
            memfd.as_raw_fd(),
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(address.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

impl Drop for Sealed {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the range is this value's own mapping, and nothing borrowed from it is left.
            unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
        }
    }
}
