//! Processes that are no children of the application.
//!
//! A fork server must not be a child of the application, whose own `wait` calls and SIGCHLD
//! handlers it would disturb. So it is made by an *intermediate* process that ends at once. The
//! intermediate is a child, but one without an exit signal: it raises no SIGCHLD, and only a
//! `wait` that asks for such children (`__WALL`) sees it.
//!
//! For a fork server that is executed, both processes borrow the application's memory, as after
//! `vfork`: the calling thread stands still until the intermediate is gone, and the intermediate
//! until the new program has replaced the fork server's borrowed memory. All other threads of
//! the application run on, so nothing in between may take a lock or allocate. The intermediate
//! shares the application's table of descriptors, so that the fork server's pidfd lands there;
//! the fork server has a copy.

pub(crate) mod clock;
mod conditions;
mod epoll;
#[cfg(test)]
pub(crate) mod fixture;
mod forks;

pub(crate) use clock::{monotonic, now};
pub(crate) use conditions::Conditions;
pub(crate) use epoll::{Epoll, clear_event, event, signal_event};
pub(crate) use forks::forks;
pub(crate) use pool_worker::sys::*;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// How many descriptors this process has open, and how many it may have.
pub(crate) struct OpenFiles {
    pub(crate) open: u64,
    pub(crate) limit: u64,
}

pub(crate) fn open_files() -> io::Result<OpenFiles> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is ours to write for the whole call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    let open = std::fs::read_dir("/proc/self/fd")?.count() as u64;
    Ok(OpenFiles {
        open,
        limit: limit.rlim_cur,
    })
}

/// Takes one bell of a worker out of its control socket; `false` if it has closed its end. If there
/// are more, the event loop tells of them.
pub(crate) fn take_bell(control: BorrowedFd<'_>) -> bool {
    match receive_bytes(control, &mut [0; 8]) {
        Ok(length) => length > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// As many bytes are written at once where there is room to write at all; see pipe(7).
const WRITTEN_AT_ONCE: usize = 4096;

/// Writes a line to standard error, if that takes one at this moment.
///
/// The threads of an executor must not end with whoever reads there, nor wait for that one, nor for a
/// thread that holds the lock of `std::io::stderr` while it waits for the executor.
pub(crate) fn tell(text: &str) {
    let mut line = text.as_bytes().to_vec();
    line.truncate(WRITTEN_AT_ONCE - 1);
    line.push(b'\n');
    let errors = io::stderr();
    let seen = poll([(errors.as_fd(), Readiness::Write)], Some(Duration::ZERO));
    if seen.is_ok_and(|seen| seen.takes(0))
        && let Ok(copy) = errors.as_fd().try_clone_to_owned()
    {
        // There is nobody to tell that nothing could be told.
        let _ = File::from(copy).write(&line);
    }
}

/// The size of each stack for a process that borrows the application's memory, in units of 16
/// bytes, which is the alignment.
const STACK: usize = 4096;

/// A process that is no child of this one.
#[derive(Debug)]
pub(crate) struct Detached {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
}

/// Executes `image` in a new process with a session of its own, no standard input, signals as in
/// a fresh process, these conditions, and of all descriptors above 2 only those that `keep` keeps.
pub(crate) fn execute_detached(
    image: &Image,
    conditions: &Conditions,
    keep: &dyn Fn() -> io::Result<()>,
) -> io::Result<Detached> {
    let mut stacks = [vec![0_u128; STACK], vec![0_u128; STACK]];
    let [first, second] = stacks.each_mut().map(|stack| stack.as_mut_ptr_range().end);
    let launch = Launch {
        image,
        conditions,
        keep,
        stack: second.cast(),
        pid: Cell::new(-1),
        pidfd: Cell::new(-1),
        errno: Cell::new(0),
    };
    let argument = (&raw const launch).cast_mut().cast();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES;
    let _blocked = BlockedSignals::all();
    // SAFETY: the stack and `launch` outlive the new process, as CLONE_VFORK suspends this thread
    // until it has ended; the function only makes calls that are safe beside other threads.
    let pid = unsafe { libc::clone(intermediate, first.cast(), flags, argument) };
    if pid == -1 {
        return Err(io::Error::last_os_error());
    }
    reap_silent(pid);
    if launch.errno.get() != 0 {
        return Err(io::Error::from_raw_os_error(launch.errno.get()));
    }
    Ok(Detached {
        pid: launch.pid.get().unsigned_abs(),
        // SAFETY: the kernel put this new descriptor into our table; nobody else owns it.
        pidfd: unsafe { OwnedFd::from_raw_fd(launch.pidfd.get()) },
    })
}

/// What the processes that borrow the application's memory are told, and tell.
struct Launch<'a> {
    image: &'a Image,
    conditions: &'a Conditions,
    keep: &'a dyn Fn() -> io::Result<()>,
    /// The end of the fork server's stack.
    stack: *mut c_void,
    pid: Cell<c_int>,
    pidfd: Cell<RawFd>,
    /// Why there is no fork server, or 0.
    errno: Cell<c_int>,
}

extern "C" fn intermediate(argument: *mut c_void) -> c_int {
    // SAFETY: `execute_detached` gave its `launch`, and stands still.
    let launch = unsafe { &*argument.cast::<Launch<'_>>() };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD;
    let pidfd = launch.pidfd.as_ptr();
    // SAFETY: as for the intermediate; the kernel writes the pidfd to where `pidfd` points.
    let pid = unsafe { libc::clone(server, launch.stack, flags, argument, pidfd) };
    launch.pid.set(pid);
    if pid == -1 {
        launch.errno.set(last_errno());
    } else if launch.errno.get() != 0 {
        // It ended without having become another program: it is our child, and nobody else's.
        reap_silent(pid);
        // SAFETY: the kernel has just made this descriptor, and nobody will be told of it.
        unsafe { libc::close(launch.pidfd.get()) };
    }
    exit(0)
}

extern "C" fn server(argument: *mut c_void) -> c_int {
    // SAFETY: `execute_detached` gave its `launch`, and stands still, as does the intermediate.
    let launch = unsafe { &*argument.cast::<Launch<'_>>() };
    let prepare = || {
        new_session()?;
        null_stdin()?;
        close_on_exec()?;
        (launch.keep)()?;
        // Unlike memory, umask and limits are not shared with the application.
        launch.conditions.take_up();
        reset_signals();
        io::Result::Ok(())
    };
    let error = match prepare() {
        Ok(()) => launch.image.execute(),
        Err(error) => error,
    };
    launch
        .errno
        .set(error.raw_os_error().unwrap_or(libc::EINVAL));
    exit(0)
}

/// Marks all descriptors above 2 so that the next program does not get them.
fn close_on_exec() -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: the call takes no memory of ours and closes nothing yet.
    match unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, flags) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn last_errno() -> c_int {
    io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EINVAL)
}

/// On which side of [`fork_detached`] one is.
#[derive(Debug)]
pub(crate) enum DetachedFork {
    /// In the new process, which has a session of its own, no standard input, and signals as in a
    /// fresh process.
    Server,
    /// In the application.
    Application(Detached),
}

/// Forks this process into one that is no child of it. Fails with `ResourceBusy` if this process
/// has more than one thread.
pub(crate) fn fork_detached() -> io::Result<DetachedFork> {
    if lasting_thread_names()?.len() > 1 {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    fork_through_intermediate()
}

fn fork_through_intermediate() -> io::Result<DetachedFork> {
    let (ours, theirs) = socket_pair()?;
    let blocked = BlockedSignals::all();
    // SAFETY: all arguments zero is a fork without an exit signal. The child may do as after
    // `fork`, as this process has a single thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) };
    match c_int::try_from(pid).map_err(io::Error::other)? {
        -1 => Err(io::Error::last_os_error()),
        0 => match fork() {
            Ok(Fork::Child) => {
                drop(blocked);
                let leave = || new_session().and_then(|()| null_stdin());
                // To return an error here would be to go on as a second application.
                if leave().is_err() {
                    exit(1);
                }
                reset_signals();
                Ok(DetachedFork::Server)
            }
            forked => {
                let _ = hand_over(theirs.as_fd(), forked);
                exit(0)
            }
        },
        pid => {
            reap_silent(pid);
            drop(theirs);
            take_over(ours.as_fd()).map(DetachedFork::Application)
        }
    }
}

/// Sends what came of the fork from the intermediate to the application: the pid or, negative, the
/// error's number.
fn hand_over(socket: BorrowedFd<'_>, forked: io::Result<Fork>) -> io::Result<()> {
    let pidfd = forked.and_then(|fork| match fork {
        Fork::Parent(pid) => Ok((pid, pidfd_of(pid)?)),
        Fork::Child => Err(io::ErrorKind::InvalidInput.into()),
    });
    match pidfd {
        Ok((pid, pidfd)) => send(socket, &i64::from(pid).to_ne_bytes(), &[pidfd.as_fd()]),
        Err(error) => {
            let errno = i64::from(error.raw_os_error().unwrap_or(libc::EAGAIN));
            send(socket, &(-errno).to_ne_bytes(), &[])
        }
    }
}

fn take_over(socket: BorrowedFd<'_>) -> io::Result<Detached> {
    let mut answer = [0; size_of::<i64>()];
    let mut message = receive(socket, &mut answer)?;
    match (i64::from_ne_bytes(answer), message.descriptors.pop()) {
        (pid @ 1.., Some(pidfd)) => Ok(Detached {
            pid: u32::try_from(pid).map_err(io::Error::other)?,
            pidfd,
        }),
        (errno, _) => Err(io::Error::from_raw_os_error(
            errno
                .checked_neg()
                .and_then(|errno| errno.try_into().ok())
                .unwrap_or(libc::EMFILE),
        )),
    }
}

/// Reaps a process that raises no SIGCHLD. If a thread of the host waits with `__WALL` for any
/// child and is faster, that is as well.
fn reap_silent(pid: c_int) {
    loop {
        // SAFETY: a null status is allowed.
        let reaped = unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL) };
        if reaped != -1 || last_errno() != libc::EINTR {
            return;
        }
    }
}
