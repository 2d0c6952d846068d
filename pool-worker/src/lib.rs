//! What the application and its workers share in the `pool-core` process pool.

pub mod entry;
pub mod fork_server;
pub mod protocol;
pub mod sys;
pub mod task;
pub mod worker;
