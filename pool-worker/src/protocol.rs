//! The messages between application, fork server and workers.
//!
//! The two directions are two types. They cross as single `SOCK_SEQPACKET` datagrams, encoded by
//! `rmp-serde`; descriptors ride along as `SCM_RIGHTS`, and only between application and fork
//! server: no descriptor is ever accepted from a worker.

use crate::isolation::{Isolation, Sandbox};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io;

/// How many sequences and maps may lie inside one another in a message; none has as many.
const MAX_DEPTH: usize = 16;

/// Decodes a message, or a part of one.
///
/// A worker may have made it up. It could nest as deep as it is long what no message knows, which is
/// passed over by recursion: a thousand bytes would do for a thread's stack.
///
/// # Errors
///
/// If it is none.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    let mut decoder = rmp_serde::Deserializer::from_read_ref(bytes);
    decoder.set_max_depth(MAX_DEPTH);
    let message = T::deserialize(&mut decoder);
    message.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

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
    /// What the fork server, and so its workers, find around them.
    pub surroundings: Surroundings,
    /// How far workers are kept from others.
    pub sandbox: Sandbox,
    /// The most descriptors of a worker, if that is not what it finds.
    pub open_files: Option<u64>,
}

/// What a fork server changes about itself before anything else, for its workers to inherit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// The directory to work in, unless it is the application's.
    pub directory: Option<OsString>,
    /// How much nicer than the application to be.
    pub nice: i32,
    /// The processors to run on, unless they are the application's.
    pub processors: Option<Vec<usize>>,
}

/// From the application to its fork server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Run one call, before the first fork; with it come the memfd of its rings and its end of the
    /// control socket, as for a worker. Nothing else is asked until that is reported.
    Preload,
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
        /// What its workers will take.
        isolation: Isolation,
    },
    /// The call from [`Request::Preload`] was answered, and forks are possible after it.
    Preloaded {
        /// How much memory is the fork server's own now, in bytes.
        memory: u64,
    },
    /// The fork server cannot serve, or no more, and ends.
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
    /// The fork server ends, and all that was ever forked in it is gone but for what it may not kill.
    Ended,
}

/// From the application to a worker, on its control socket. The worker sends nothing there but its
/// bells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Errand {
    /// A value that calls will refer to; with it comes the sealed memfd that holds it.
    Share {
        /// The application's number for the value, never used twice.
        id: u64,
    },
    /// No call refers to this value any more.
    Release {
        /// The value's number.
        id: u64,
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
    /// The output is larger than the application takes; the body is its size, a little-endian `u64`.
    OutputTooLarge = 5,
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
            5 => Some(Self::OutputTooLarge),
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
    /// The task's thread aborted as memory could not be had.
    pub const OUT_OF_MEMORY: u32 = 4;
    /// The worker could not begin; the words are a text that says why.
    pub const UNABLE: u32 = 5;
}

/// The exit code of a fork server or worker that could not set itself up.
pub const UNABLE: i32 = 102;

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn what_nests_deep_is_no_message_and_costs_no_stack() {
        // A field that no message has, and in it as much as there may be.
        let mut bytes = vec![0x81, 0xa1, b'x'];
        bytes.extend(vec![0x91; 100_000]);
        bytes.push(0xc0);
        let thread = thread::Builder::new().stack_size(128 << 10).spawn(move || {
            assert!(decode::<PanicReport>(&bytes).is_err());
            assert!(decode::<Report>(&bytes).is_err());
            assert!(decode::<Setup>(&bytes).is_err());
        });
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn the_deepest_message_is_one() {
        let setup = Setup {
            tasks: vec!["task".into()],
            start_method: StartMethod::Spawn,
            surroundings: Surroundings {
                directory: Some("/".into()),
                nice: 3,
                processors: Some(vec![0]),
            },
            sandbox: Sandbox::default(),
            open_files: None,
        };
        let bytes = rmp_serde::to_vec(&setup).unwrap();
        let decoded: Setup = decode(&bytes).unwrap();
        assert_eq!(decoded.surroundings, setup.surroundings);
    }
}
