//! The messages between application, fork server and workers.
//!
//! The two directions are two types. They cross as single `SOCK_SEQPACKET` datagrams, encoded by
//! `rmp-serde`; descriptors ride along as `SCM_RIGHTS`, and only between application and fork
//! server: no descriptor is ever accepted from a worker.

use serde::{Deserialize, Serialize};

/// How the processes of an executor come to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StartMethod {
    /// Workers are forked from a fork server, a fresh image of the program that ran nothing but
    /// its constructors. Safe to use at any time, from any thread.
    #[default]
    ForkServer,
    /// The fork server is a fork of the application itself, so that workers inherit its state.
    /// Possible only while the application has a single thread and no other executor.
    Fork,
    /// As [`ForkServer`](Self::ForkServer), but every worker executes the program anew: nothing
    /// at all is shared between workers, at the price of a slower start.
    Spawn,
}

/// What a fork server is told at its start, in a sealed memfd.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// `tasks[i]` is the name of the task that calls name by the number `i`.
    pub tasks: Vec<String>,
    /// How workers come to be.
    pub start_method: StartMethod,
}

/// From the application to its fork server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Fork a worker; with it come the memfd of its rings and its end of the control socket.
    Fork {
        /// The application's number for this worker, never used twice.
        worker: u64,
    },
}

/// From a fork server to its application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// The fork server serves requests.
    Ready {
        /// Its process.
        pid: u32,
    },
    /// The fork server cannot serve, and ends.
    Refused {
        /// Why, and what to do about it.
        reason: String,
    },
    /// A worker was forked; with it comes its pidfd.
    Forked {
        /// The number from the request.
        worker: u64,
        /// Its process.
        pid: u32,
    },
    /// A worker could not be forked.
    ForkFailed {
        /// The number from the request.
        worker: u64,
        /// What the kernel said.
        errno: i32,
    },
    /// A worker ended and was reaped.
    Died {
        /// The number from the request.
        worker: u64,
        /// The status as `waitpid(2)` gives it.
        status: i32,
    },
}

/// How a call ended, as the worker's answer says it; the body of the answer depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// The task returned; the body is its encoded output.
    Returned = 0,
    /// The task panicked; the body is a [`PanicReport`].
    Panicked = 1,
    /// The arguments could not be decoded; the body is the reason as text.
    ArgumentsUndecodable = 2,
    /// The output could not be encoded; the body is the reason as text.
    OutputUnencodable = 3,
    /// The worker has no task of that name; the body is text that says which it has.
    UnknownTask = 4,
}

impl Status {
    /// The status of the number `raw`, if there is one.
    pub const fn from_raw(raw: u32) -> Option<Self> {
        match raw {
            0 => Some(Self::Returned),
            1 => Some(Self::Panicked),
            2 => Some(Self::ArgumentsUndecodable),
            3 => Some(Self::OutputUnencodable),
            4 => Some(Self::UnknownTask),
            _ => None,
        }
    }
}

/// What a worker saw of a panic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicReport {
    /// The panic's message.
    pub message: String,
    /// `file:line:column` of the panic.
    pub location: Option<String>,
    /// The backtrace, where `RUST_BACKTRACE` asks for one.
    pub backtrace: Option<String>,
}

/// What kind of words a dying worker left.
#[derive(Debug)]
pub enum LastWordsKind {}

impl LastWordsKind {
    /// The task was panicking; the words are a [`PanicReport`].
    pub const PANICKING: u32 = 1;
    /// The task panicked, and panics abort in this program; the words are a [`PanicReport`].
    pub const PANICKED_AND_ABORTED: u32 = 2;
    /// The task's stack overflowed.
    pub const STACK_OVERFLOW: u32 = 3;
}
