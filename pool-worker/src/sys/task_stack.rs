//! Overflows of one thread's stack, told apart from other faults.
//!
//! The standard library would do this too, but only in a process whose `main` it started.

use super::{check, signal};
use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Bytes of the stack that handlers of signals run on when the thread's own is full: enough for
/// the registers of any processor, and for handlers that a task installs.
const ALTERNATE_STACK: usize = 64 * 1024;

/// How far below its guard a fault still counts as an overflow, in bytes: code not compiled by
/// rustc may skip the guard by a large frame.
const BELOW_GUARD: usize = 64 * 1024;

/// The thread that is watched, if one is. What was stored here once is never freed, as a handler may
/// be looking at it.
static WATCH: AtomicPtr<Watch> = AtomicPtr::new(ptr::null_mut());

struct Watch {
    guard: Range<usize>,
    overflowed: Box<dyn Fn() + Send + Sync>,
}

/// Has `overflowed` called when the stack of the calling thread overflows, before the process dies
/// of SIGSEGV. It runs in a handler of signals: it may neither allocate nor lock.
///
/// Any other fault kills as if nothing were watched. A thread that was watched before is watched no
/// more.
///
/// # Errors
///
/// If the system refuses.
pub fn watch_stack(overflowed: impl Fn() + Send + Sync + 'static) -> io::Result<()> {
    let watch = Watch {
        guard: guard_of_this_thread()?,
        overflowed: Box::new(overflowed),
    };
    WATCH.store(Box::leak(Box::new(watch)), Ordering::Release);
    use_alternate_stack()?;
    [libc::SIGSEGV, libc::SIGBUS]
        .into_iter()
        .try_for_each(|signal| handle(signal, on_fault))
}

/// The addresses that nothing but an overflow of the calling thread's stack touches.
fn guard_of_this_thread() -> io::Result<Range<usize>> {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: the call has no condition.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: the thread is the calling one; the call initializes the attributes.
    succeeded(unsafe { libc::pthread_getattr_np(this, attributes.as_mut_ptr()) })?;
    let (mut lowest, mut stack, mut guard) = (ptr::null_mut(), 0, 0);
    // SAFETY: initialized above; the results are ours to write.
    let first = succeeded(unsafe {
        libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut lowest, &raw mut stack)
    });
    // SAFETY: as above.
    let second =
        succeeded(unsafe { libc::pthread_attr_getguardsize(attributes.as_ptr(), &raw mut guard) });
    // SAFETY: initialized above, and not used again.
    succeeded(unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) })?;
    first.and(second)?;
    // C libraries differ in whether the stack's lowest address is that of the guard or the one
    // above it.
    let lowest = lowest.addr();
    Ok(lowest.saturating_sub(guard + BELOW_GUARD)..lowest + guard)
}

/// The result of a function that returns its error.
fn succeeded(error: c_int) -> io::Result<()> {
    match error {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Has handlers run on a stack of their own in the calling thread, for as long as it lives.
fn use_alternate_stack() -> io::Result<()> {
    let memory = Box::leak(Box::<[u8]>::new_uninit_slice(ALTERNATE_STACK));
    let stack = libc::stack_t {
        ss_sp: memory.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: ALTERNATE_STACK,
    };
    // SAFETY: the memory is leaked, so it is the kernel's for good; nobody asks for what was before.
    check(unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) })?;
    Ok(())
}

/// What `SA_SIGINFO` asks for.
type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// Has an async-signal-safe `handler` called on the alternate stack.
pub(super) fn handle(signal: c_int, handler: Handler) -> io::Result<()> {
    // SAFETY: `sigaction` is made of integers, a set of integers, and an optional function.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler has the type that SA_SIGINFO asks for; callers answer for its safety.
    check(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) })?;
    Ok(())
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: the kernel hands over a record that lives as long as this handler runs.
    let info = unsafe { &*info };
    // Whoever sends the signal by `kill(2)` or the like gives a code that is not positive.
    let is_fault = info.si_code > 0;
    // SAFETY: what is stored there is never freed, nor changed.
    let watch = unsafe { WATCH.load(Ordering::Acquire).as_ref() };
    if is_fault && let Some(watch) = watch {
        // SAFETY: a fault's record holds an address.
        let address = unsafe { info.si_addr() }.addr();
        if watch.guard.contains(&address) {
            (watch.overflowed)();
        }
    }
    // Back where it faulted, the thread faults again, and the process dies of it.
    signal::dispose(signal, libc::SIG_DFL);
    if !is_fault {
        // SAFETY: the call has no condition. The signal is blocked here, and kills on return.
        unsafe { libc::raise(signal) };
    }
}
