//! What happens at a site.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::process;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use super::sys;
use crate::sys::exit;

/// The errors that are tried.
const ERRORS: [(&str, i32); 4] = [
    ("EINTR", libc::EINTR),
    ("EAGAIN", libc::EAGAIN),
    ("ENOMEM", libc::ENOMEM),
    ("EMFILE", libc::EMFILE),
];

/// What is written where it does not belong: as a number impossible everywhere, as a message none.
const GARBAGE: [u8; 1664] = [0xA5; 1664];

/// What happens at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The process is killed.
    Kill,
    /// It aborts.
    Abort,
    /// It is stopped, until somebody has it go on.
    Stop,
    /// It exits, as if all were well.
    Exit,
    /// It has all its descriptors closed, but for the first three.
    Close,
    /// Garbage is written to all its descriptors, but for the first three, and over the heads of its
    /// rings.
    Garbage,
    /// The thread panics.
    Panic,
    /// The thread sleeps for so many milliseconds.
    Delay(u64),
    /// The system refuses what was asked, with this error number.
    Fail(i32),
}

impl Action {
    /// All that are tried at a site, the last ones only where an error can come of it.
    pub fn all(can_fail: bool) -> impl Iterator<Item = Self> {
        let errors = ERRORS.iter().filter(move |_| can_fail);
        [
            Self::Kill,
            Self::Abort,
            Self::Stop,
            Self::Exit,
            Self::Close,
            Self::Garbage,
            Self::Panic,
            Self::Delay(1),
            Self::Delay(200),
        ]
        .into_iter()
        .chain(errors.map(|&(_, errno)| Self::Fail(errno)))
    }

    /// Has it happen to this process.
    pub(super) fn take(self) -> io::Result<()> {
        match self {
            Self::Kill => sys::signal_self(libc::SIGKILL),
            Self::Abort => process::abort(),
            Self::Stop => sys::signal_self(libc::SIGSTOP),
            Self::Exit => exit(0),
            Self::Close => sys::close_all(),
            // What cannot be written to is no victim.
            Self::Garbage => drop(scribble()),
            Self::Panic => panic!("a planted panic"),
            Self::Delay(milliseconds) => thread::sleep(Duration::from_millis(milliseconds)),
            Self::Fail(errno) => return Err(io::Error::from_raw_os_error(errno)),
        }
        Ok(())
    }
}

/// Writes garbage wherever this process can reach another one.
fn scribble() -> io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let number = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some(number) = number.filter(|&number| number > libc::STDERR_FILENO) {
            sys::write_anyhow(number, &GARBAGE);
        }
    }
    let memory = File::options().write(true).open("/proc/self/mem")?;
    for line in fs::read_to_string("/proc/self/maps")?.lines() {
        let start = line
            .split('-')
            .next()
            .and_then(|start| u64::from_str_radix(start, 16).ok());
        if let Some(start) = start.filter(|_| line.contains("/memfd:pool-rings")) {
            memory.write_all_at(&GARBAGE, start)?;
        }
    }
    Ok(())
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = |errno| ERRORS.iter().find(|(_, number)| *number == errno);
        match *self {
            Self::Kill => f.write_str("kill"),
            Self::Abort => f.write_str("abort"),
            Self::Stop => f.write_str("stop"),
            Self::Exit => f.write_str("exit"),
            Self::Close => f.write_str("close"),
            Self::Garbage => f.write_str("garbage"),
            Self::Panic => f.write_str("panic"),
            Self::Delay(milliseconds) => write!(f, "{milliseconds}ms"),
            Self::Fail(errno) => f.write_str(error(errno).map_or("error", |(name, _)| name)),
        }
    }
}

impl FromStr for Action {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(milliseconds) = text.strip_suffix("ms") {
            return milliseconds.parse().map(Self::Delay).map_err(|_| ());
        }
        Self::all(true)
            .find(|action| action.to_string() == text)
            .ok_or(())
    }
}
