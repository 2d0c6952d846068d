//! Signals: masks, dispositions, and the death of children as something to poll for.

use super::check;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// All signals of the calling thread are blocked while this lives; then the mask is as before.
#[derive(Debug)]
#[must_use]
pub struct BlockedSignals {
    before: libc::sigset_t,
}

impl BlockedSignals {
    /// Blocks them.
    pub fn all() -> Self {
        let mut before = empty_set();
        set_mask(libc::SIG_SETMASK, &full_set(), &raw mut before);
        Self { before }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        set_mask(libc::SIG_SETMASK, &self.before, ptr::null_mut());
    }
}

/// Gives every signal its default effect and unblocks them all. Async-signal-safe.
pub fn reset_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        dispose(signal, libc::SIG_DFL);
    }
    set_mask(libc::SIG_SETMASK, &empty_set(), ptr::null_mut());
}

/// Lets a write without a reader fail instead of ending the process, as in every Rust program.
pub fn ignore_broken_pipes() {
    dispose(libc::SIGPIPE, libc::SIG_IGN);
}

/// The death of children as a descriptor to poll: readable while one has died since [`drain`].
pub fn child_signals() -> io::Result<OwnedFd> {
    let mut set = empty_set();
    // SAFETY: `set` is an initialized set of our own.
    check(unsafe { libc::sigaddset(&raw mut set, libc::SIGCHLD) })?;
    set_mask(libc::SIG_BLOCK, &set, ptr::null_mut());
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: `set` is initialized and outlives the call, which makes a new descriptor.
    let fd = check(unsafe { libc::signalfd(-1, &raw const set, flags) })?;
    // SAFETY: the kernel has just made this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Forgets the deaths that `signals` has told of.
pub fn drain(signals: BorrowedFd<'_>) {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
    // SAFETY: `info` has room for the one record that is asked for. SIGCHLD does not queue, so
    // there is at most one; that there is none is no failure.
    unsafe {
        libc::read(
            signals.as_raw_fd(),
            info.as_mut_ptr().cast(),
            size_of_val(&info),
        )
    };
}

pub(super) fn dispose(signal: libc::c_int, effect: libc::sighandler_t) {
    // SAFETY: `sigaction` is made of integers, a set of integers, and an optional function.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = effect;
    // SAFETY: `action` names no handler of ours, only the default effect or none. Signals that
    // cannot be changed are refused, which is as wanted.
    unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
}

fn set_mask(how: libc::c_int, set: &libc::sigset_t, before: *mut libc::sigset_t) {
    // SAFETY: `set` is initialized; `before` is null or a set of the caller's. It cannot fail, as
    // `how` is one of the three that there are.
    unsafe { libc::pthread_sigmask(how, set, before) };
}

fn empty_set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the call initializes the set that it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: just initialized.
    unsafe { set.assume_init() }
}

fn full_set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the call initializes the set that it is given.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    // SAFETY: just initialized.
    unsafe { set.assume_init() }
}
