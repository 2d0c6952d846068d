//! Landlock: domains that a process enters of its own accord and can never leave.
//!
//! There are three system calls, so they are made here: the `landlock` crate would bring a second
//! `syn` and the macros of two more crates, and make this library take half as long again to build.
//!
//! What the kernel knows is not told by its version alone, as distributions carry some of it into
//! older kernels and not all: who wants to be sure tries whether a domain holds.

use super::check;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Ask for the version, instead of making a ruleset.
const CREATE_RULESET_VERSION: u32 = 1;
/// A rule for all that lies beneath a path.
const RULE_PATH_BENEATH: u32 = 1;

/// To read a file, and to list a directory.
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;

/// What a domain keeps from those inside, as `landlock(7)` numbers it; `landlock_ruleset_attr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Barriers {
    files: u64,
    network: u64,
    scopes: u64,
}

impl Barriers {
    /// To send signals out of the domain. Since 6.12.
    pub const SIGNALS: Self = Self::scope(1 << 1);
    /// To connect to abstract sockets outside. Since 6.12.
    pub const ABSTRACT_SOCKETS: Self = Self::scope(1 << 0);
    /// To bind TCP sockets, and to connect them. Since 6.7.
    pub const TCP: Self = Self {
        network: 0b11,
        ..Self::NONE
    };
    const NONE: Self = Self {
        files: 0,
        network: 0,
        scopes: 0,
    };

    const fn scope(scopes: u64) -> Self {
        Self {
            scopes,
            ..Self::NONE
        }
    }

    /// To use files in any way that this kernel can keep anybody from. Since 5.13.
    pub fn files() -> Self {
        let kinds = match version() {
            0 => 0,
            1 => 13,
            2 => 14,
            3 | 4 => 15,
            5..=8 => 16,
            _ => 17,
        };
        Self {
            files: (1 << kinds) - 1,
            ..Self::NONE
        }
    }

    /// These and those.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            files: self.files | other.files,
            network: self.network | other.network,
            scopes: self.scopes | other.scopes,
        }
    }

    /// Whether none of `others` is missing here.
    pub fn include(self, others: Self) -> bool {
        self.and(others) == self
    }
}

/// What a domain is to be.
#[derive(Debug)]
pub struct Ruleset {
    fd: OwnedFd,
    barriers: Barriers,
}

/// The version of the kernel's Landlock, 0 where there is none.
fn version() -> i64 {
    let none = std::ptr::null::<Barriers>();
    // SAFETY: the kernel is asked for a number alone, and takes no memory.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            none,
            0_usize,
            CREATE_RULESET_VERSION,
        )
    };
    version.max(0)
}

impl Ruleset {
    /// A domain with these barriers, through which nothing goes yet.
    ///
    /// # Errors
    ///
    /// `ENOSYS` or `EOPNOTSUPP` where there is no Landlock, `EINVAL` or `E2BIG` where this one does
    /// not know all of the barriers.
    pub fn new(barriers: Barriers) -> io::Result<Self> {
        // SAFETY: `barriers` outlives the call and has the size that is told.
        let fd = check(unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                &raw const barriers,
                size_of::<Barriers>(),
                0,
            )
        })?;
        let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
        Ok(Self {
            // SAFETY: the kernel has just made this descriptor; nobody else owns it.
            fd: unsafe { OwnedFd::from_raw_fd(fd) },
            barriers,
        })
    }

    /// What it keeps from those inside.
    pub fn barriers(&self) -> Barriers {
        self.barriers
    }

    /// Lets files be read at this path and beneath it, and directories listed.
    ///
    /// # Errors
    ///
    /// If the path cannot be opened.
    pub fn allow_reading(&self, path: &Path) -> io::Result<()> {
        /// `landlock_path_beneath_attr`.
        #[repr(C, packed)]
        struct Beneath {
            access: u64,
            parent: RawFd,
        }
        let parent = open_place(path)?;
        let is_folder = parent.metadata()?.is_dir();
        let access = if is_folder {
            READ_FILE | READ_DIR
        } else {
            READ_FILE
        };
        let rule = Beneath {
            access,
            parent: parent.as_raw_fd(),
        };
        // SAFETY: `rule` and the descriptor in it outlive the call, which only reads.
        check(unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                self.fd.as_raw_fd(),
                RULE_PATH_BENEATH,
                &raw const rule,
                0,
            )
        })?;
        Ok(())
    }

    /// Has the calling thread, and all that it starts from now on, be in a new domain of this kind, for
    /// good. It must be bound to gain no privileges.
    ///
    /// # Errors
    ///
    /// `E2BIG` in the sixteenth domain around another.
    pub fn enter(&self) -> io::Result<()> {
        // SAFETY: the call takes no memory of ours.
        check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.fd.as_raw_fd(), 0) })?;
        Ok(())
    }
}

impl AsRawFd for Ruleset {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Opens a path without any use of what lies there.
fn open_place(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_CLOEXEC)
        .open(path)
}
