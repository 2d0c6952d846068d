//! What the application and its workers share in the `pool-core` process pool.

pub mod channel;
pub mod protocol;
pub mod sys;
