//! The function that the loader calls before `main`, and the constructors after it.
//!
//! The linker gathers constructors in an array, and bounds it by two symbols. They are weak, as
//! GNU ld leaves them undefined in a shared library; there the bounds are null and no
//! constructor is found to remain, which is as wanted: only a program itself becomes a fork
//! server.

use crate::entry;
use std::arch::global_asm;
use std::ffi::{OsStr, OsString, c_char, c_int};

/// What the loader calls. Not every C library hands the arguments over; then they are whatever
/// the registers held, and only passed on.
type Constructor = extern "C" fn(c_int, *const *const c_char, *const *const c_char);

// Constructors that are registered with a priority have run already; those in this section run
// in the order in which the linker met them, which is any.
// SAFETY: the section holds functions of this very type, which the loader calls before `main`.
// Miri calls such functions without arguments.
#[cfg_attr(not(miri), used, unsafe(link_section = ".init_array"))]
static HOOK: Constructor = hook;

/// Where the bounds' addresses are, under a name of this version's own: two versions of this
/// crate may be in one program.
macro_rules! bounds_symbol {
    () => {
        concat!(
            "pool_worker_init_array_bounds_",
            env!("CARGO_PKG_VERSION_MAJOR"),
            "_",
            env!("CARGO_PKG_VERSION_MINOR"),
            "_",
            env!("CARGO_PKG_VERSION_PATCH")
        )
    };
}

global_asm!(
    ".weak __init_array_start",
    ".weak __init_array_end",
    ".pushsection .data.rel.ro, \"aw\"",
    ".balign 8",
    concat!(".globl ", bounds_symbol!()),
    concat!(".hidden ", bounds_symbol!()),
    concat!(bounds_symbol!(), ":"),
    ".8byte __init_array_start",
    ".8byte __init_array_end",
    ".popsection",
);

// SAFETY: the assembly above defines the symbol, as two addresses that never change.
unsafe extern "C" {
    #[link_name = bounds_symbol!()]
    safe static BOUNDS: [usize; 2];
}

/// The constructors that the loader would run after the hook.
#[derive(Debug)]
pub struct Remaining {
    count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
}

extern "C" fn hook(
    count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    entry::before_main(&Remaining {
        count,
        arguments,
        environment,
    });
}

impl Remaining {
    /// Runs them. Called only by who then never returns to the loader, which would run them a
    /// second time.
    pub(crate) fn run(&self) {
        let [start, end] = BOUNDS;
        let own = (&raw const HOOK) as usize;
        if !(start..end).contains(&own) {
            return;
        }
        let first = own + size_of::<Constructor>();
        for address in (first..end).step_by(size_of::<Constructor>()) {
            let entry = std::ptr::with_exposed_provenance::<Option<Constructor>>(address);
            // SAFETY: the linker put a function's address, or null, at each place between the
            // array's bounds, and this place is between them.
            let constructor = unsafe { entry.read() };
            if let Some(constructor) = constructor {
                constructor(self.count, self.arguments, self.environment);
            }
        }
    }
}

/// An address that is in the same file as this crate's code.
pub(crate) fn hook_address() -> usize {
    (&raw const HOOK) as usize
}

/// Whether this program got rights that the one who executed it has not.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: the call has no condition.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Takes a variable out of the environment, before `main`.
pub(crate) fn unset_variable(name: &OsStr) {
    // SAFETY: the loader runs constructors one after another, before `main` could start a thread.
    // A thread that another constructor started has to expect that constructors set variables.
    unsafe { std::env::remove_var(name) };
}

/// Makes `variables` the whole environment. The caller answers for this process having a single
/// thread.
pub fn replace_environment(variables: &[(OsString, OsString)]) {
    for (name, _) in std::env::vars_os() {
        // SAFETY: there is no other thread that could look at the environment.
        unsafe { std::env::remove_var(name) };
    }
    for (name, value) in variables {
        // SAFETY: as above.
        unsafe { std::env::set_var(name, value) };
    }
}
