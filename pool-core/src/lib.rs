//! A process pool.

mod fork_server;
mod sys;
