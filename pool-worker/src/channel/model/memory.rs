//! The memory that two threads of a model share as an application and its worker do.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Bytes;
use super::bytes::Units;
use crate::channel::segment::{Header, Words};
use crate::sys;

/// All memory that was made, by the inode of its descriptor: so it is found as the kernel finds it.
static MADE: Mutex<Vec<(u64, Weak<Shared>)>> = Mutex::new(Vec::new());

#[derive(Default)]
struct Shared {
    header: Header,
    last_words: Words,
    calls: Units,
    answers: Units,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// One of two that refer to the same memory.
#[derive(Debug)]
pub(in crate::channel) struct Memory(Arc<Shared>);

impl Memory {
    pub(in crate::channel) fn create() -> io::Result<(Self, OwnedFd)> {
        let memfd = sys::memfd(c"pool-model", 0)?;
        let shared = Arc::new(Shared::default());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|(_, shared)| shared.strong_count() > 0);
        made.push((inode(memfd.as_fd())?, Arc::downgrade(&shared)));
        Ok((Self(shared), memfd))
    }

    pub(in crate::channel) fn open(memfd: BorrowedFd<'_>) -> io::Result<Self> {
        let inode = inode(memfd)?;
        let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let found = made.iter().find(|(other, _)| *other == inode);
        let shared = found.and_then(|(_, shared)| shared.upgrade());
        shared.map(Self).ok_or(io::ErrorKind::NotFound.into())
    }

    pub(in crate::channel) fn header(&self) -> &Header {
        &self.0.header
    }

    pub(in crate::channel) fn last_words(&self) -> &Words {
        &self.0.last_words
    }

    pub(in crate::channel) fn calls(&self) -> Bytes {
        // SAFETY: both ends keep the segment beside the ring.
        unsafe { Bytes::new(&self.0.calls) }
    }

    pub(in crate::channel) fn answers(&self) -> Bytes {
        // SAFETY: as in `calls`.
        unsafe { Bytes::new(&self.0.answers) }
    }
}

fn inode(memfd: BorrowedFd<'_>) -> io::Result<u64> {
    let file = File::from(memfd.try_clone_to_owned()?);
    Ok(file.metadata()?.ino())
}
