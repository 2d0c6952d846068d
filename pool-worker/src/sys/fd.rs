//! Descriptors: waiting for them, handing them on, and memory behind them.

use super::{check, retry};
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// The lowest descriptor that is none of standard input, output and error.
const ABOVE_STDIO: RawFd = 3;

/// What to wait for on a descriptor. Its peer's end and errors are always waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// There is something to read.
    Read,
    /// There is room to write.
    Write,
}

/// What [`poll`] found, by the index of the descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Waited<const N: usize>([libc::c_short; N]);

impl<const N: usize> Waited<N> {
    /// Whether anything at all is to be seen at the descriptor.
    pub fn any(&self, index: usize) -> bool {
        self.0[index] != 0
    }

    /// Whether the descriptor's peer has closed it or sends no more.
    pub fn ended(&self, index: usize) -> bool {
        self.0[index] & (libc::POLLHUP | libc::POLLRDHUP | libc::POLLERR) != 0
    }

    /// Whether the descriptor has room to write, and somebody who may read it: one of which no more is
    /// to be read, as a log's may be, is as good as any.
    pub fn takes(&self, index: usize) -> bool {
        self.0[index] & (libc::POLLOUT | libc::POLLHUP | libc::POLLERR) == libc::POLLOUT
    }
}

/// Waits until a descriptor is ready, at most for `timeout`.
pub fn poll<const N: usize>(
    descriptors: [(BorrowedFd<'_>, Readiness); N],
    timeout: Option<Duration>,
) -> io::Result<Waited<N>> {
    let mut entries = descriptors.map(|(fd, readiness)| libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLRDHUP
            | match readiness {
                Readiness::Read => libc::POLLIN,
                Readiness::Write => libc::POLLOUT,
            },
        revents: 0,
    });
    // A timeout beyond the clock's end is none.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    retry(|| {
        let left = deadline.map(|deadline| timespec(deadline - Instant::now()));
        let left = left.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `entries` and `left` outlive the call, and the length is theirs; a null mask
        // leaves the signal mask alone.
        unsafe {
            libc::ppoll(
                entries.as_mut_ptr(),
                N as libc::nfds_t,
                left,
                std::ptr::null(),
            )
        }
    })?;
    Ok(Waited(entries.map(|entry| entry.revents)))
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// The same descriptor under a number that is none of standard input, output and error, which a
/// host may have closed.
pub fn above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= ABOVE_STDIO {
        return Ok(fd);
    }
    // SAFETY: the call takes no memory of ours.
    let copy = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, ABOVE_STDIO) })?;
    // SAFETY: the kernel has just made this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Takes a descriptor that this process got across `execve`, by its number, if it is open.
pub fn inherited(number: RawFd) -> io::Result<Option<OwnedFd>> {
    if number < ABOVE_STDIO {
        return Ok(None);
    }
    // SAFETY: the call takes no memory of ours, and fails on a number that is not open.
    match check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }) {
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => return Ok(None),
        set => set?,
    };
    // SAFETY: it is open, and the one who executed this program left it to whom the marker names;
    // nothing but that marker, which is taken once, knows the number.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(number) }))
}

/// Lets a descriptor live on across `execve`. Async-signal-safe.
pub fn keep_on_exec(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes no memory of ours.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) })?;
    Ok(())
}

/// Makes `/dev/null` the standard input, and the standard output and error too where they are
/// closed, so that no later descriptor gets their numbers. Async-signal-safe.
pub fn null_stdin() -> io::Result<()> {
    // SAFETY: the path is a C string that lives for ever.
    let null = retry(|| unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) })?;
    for number in 0..ABOVE_STDIO {
        // SAFETY: the call takes no memory of ours.
        let open = check(unsafe { libc::fcntl(number, libc::F_GETFD) }).is_ok();
        if number != null && (number == libc::STDIN_FILENO || !open) {
            // SAFETY: the call takes no memory of ours; what `number` named belonged to nobody
            // in this process, which has just been made to run our code alone.
            retry(|| unsafe { libc::dup2(null, number) })?;
        }
    }
    if null >= ABOVE_STDIO {
        // SAFETY: this function opened it, and hands it to nobody.
        check(unsafe { libc::close(null) })?;
    }
    Ok(())
}

/// Makes `/dev/null` the standard input, output and error.
pub fn null_stdio() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    for number in 0..ABOVE_STDIO {
        // SAFETY: the call takes no memory of ours; what `number` named is for everybody to write to,
        // and stays open.
        retry(|| unsafe { libc::dup2(null.as_raw_fd(), number) })?;
    }
    Ok(())
}

/// Memory of `size` bytes, all zero, that may yet be sealed.
pub fn memfd(name: &CStr, size: u64) -> io::Result<OwnedFd> {
    // Growing a file past the limit is answered by SIGXFSZ, which would end the application.
    if size > file_size_limit()? {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a C string that outlives the call.
    let create = |flags| check(unsafe { libc::memfd_create(name.as_ptr(), flags) });
    let fd = match create(flags | libc::MFD_NOEXEC_SEAL) {
        // Kernels before 6.3 do not know the flag.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => create(flags)?,
        result => result?,
    };
    // SAFETY: the kernel has just made this descriptor; nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let file = File::from(fd);
    file.set_len(size)?;
    Ok(file.into())
}

/// Memory that holds `data` and cannot be changed any more.
pub fn write_sealed(name: &CStr, data: &[u8]) -> io::Result<OwnedFd> {
    let file = File::from(memfd(name, data.len() as u64)?);
    file.write_all_at(data, 0)?;
    seal(
        file.as_fd(),
        libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL,
    )?;
    Ok(file.into())
}

/// Seals memory from [`memfd`] by `F_SEAL_...`.
pub fn seal(fd: BorrowedFd<'_>, seals: libc::c_int) -> io::Result<()> {
    // SAFETY: the call takes no memory of ours.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    Ok(())
}

fn file_size_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is ours to write for the whole call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) })?;
    Ok(limit.rlim_cur)
}
