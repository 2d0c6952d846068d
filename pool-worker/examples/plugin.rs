//! A shared library that contains this crate, as an extension of an interpreter does; a test loads
//! it into Python.

use pool_worker::entry;

/// Whether an executor is refused here, where the program is not this library.
// SAFETY: no other function of the library has the name.
#[unsafe(no_mangle)]
pub extern "C" fn executors_are_refused() -> bool {
    entry::can_exec().is_err_and(|reason| reason.contains("extension of an interpreter"))
}
