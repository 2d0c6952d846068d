//! What threads of the application meet at: locks, conditions, counters, and each other's end.
//!
//! With `--cfg loom` those of the model checker stand here, which tries all orders in which threads can
//! meet. See the models of `driver`.

#[cfg(all(loom, feature = "loom"))]
pub(crate) use loom::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread,
};
#[cfg(not(all(loom, feature = "loom")))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread,
};
