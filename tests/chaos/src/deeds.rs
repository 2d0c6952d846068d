//! What calls do in the workers, and what they are to give back.

use std::hint;
use std::os::unix::fs::chroot;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pool_core::{Executor, task};
use pool_tests::tasks::cube;
use pool_tests::{Log, Misdeed};
use serde::{Deserialize, Serialize};

/// What a call does, once it has noted that it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Deed {
    /// Gives back what it is given.
    Echo,
    /// Gives back so many bytes.
    Make(usize),
    /// Gives back a digest of what it is given.
    Digest,
    /// Sleeps for so many milliseconds.
    Sleep(u64),
    /// Keeps a core busy for so many microseconds.
    Work(u64),
    /// Never ends.
    Hang,
    /// Takes so many bytes of memory and never ends.
    Fill(usize),
    /// Computes and never ends.
    Spin,
    /// Makes a system call for which an untrusted worker is killed.
    Trespass,
    /// Ends badly.
    Misbehave(Misdeed),
    /// Builds an executor of its own, and calls its workers.
    Nest(i64),
    /// Leaves a process behind.
    Abandon,
}

impl Deed {
    /// Whether it only ends if somebody ends it.
    pub(crate) fn is_endless(self) -> bool {
        matches!(self, Self::Hang | Self::Fill(_) | Self::Spin)
    }

    /// Whether its worker dies of it.
    pub(crate) fn ends_badly(self) -> bool {
        matches!(self, Self::Misbehave(_) | Self::Trespass)
    }

    /// How many bytes it gives back that was given `size` bytes.
    pub(crate) fn result_size(self, size: usize) -> usize {
        match self {
            Self::Echo => size,
            Self::Make(made) => made,
            Self::Digest | Self::Nest(_) => size_of::<u64>(),
            _ => 0,
        }
    }

    /// What the call `id` gives back that was given `size` bytes.
    pub(crate) fn result(self, id: u32, size: usize) -> Vec<u8> {
        match self {
            Self::Echo => content(id, size),
            Self::Make(made) => content(id, made),
            Self::Digest => digest(&content(id, size)),
            Self::Nest(count) => sum_of_cubes((0..count).map(cube)),
            Self::Sleep(_)
            | Self::Work(_)
            | Self::Hang
            | Self::Fill(_)
            | Self::Spin
            | Self::Trespass
            | Self::Misbehave(_)
            | Self::Abandon => Vec::new(),
        }
    }
}

/// Bytes that tell if one of them is lost, moved, or of another call.
pub(crate) fn content(id: u32, size: usize) -> Vec<u8> {
    let mut word = u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = vec![0; size];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        word = word.wrapping_add(1);
    }
    bytes
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    let fold = |sum: u64, byte: &u8| sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
    bytes.iter().fold(0, fold).to_le_bytes().to_vec()
}

fn sum_of_cubes(cubes: impl Iterator<Item = i64>) -> Vec<u8> {
    cubes.sum::<i64>().to_le_bytes().to_vec()
}

/// Notes in `log`, where it may write, that the call `id` runs, and does what it is to do.
#[task]
pub(crate) fn act(log: Option<Log>, id: u32, deed: Deed, given: Vec<u8>) -> Vec<u8> {
    if let Some(log) = log {
        log.add(id);
    }
    match deed {
        Deed::Echo => given,
        Deed::Make(size) => content(id, size),
        Deed::Digest => digest(&given),
        Deed::Sleep(milliseconds) => {
            thread::sleep(Duration::from_millis(milliseconds));
            Vec::new()
        }
        Deed::Work(micros) => {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_micros(micros) {
                hint::spin_loop();
            }
            Vec::new()
        }
        Deed::Hang => hang(),
        Deed::Fill(bytes) => {
            let _filled = hint::black_box(vec![1_u8; bytes]);
            hang()
        }
        Deed::Spin => loop {
            hint::spin_loop();
        },
        Deed::Trespass => {
            let allowed = chroot("/");
            panic!("it outlived what it may not do: {allowed:?}");
        }
        Deed::Misbehave(misdeed) => {
            misdeed.commit().expect("a misdeed of tasks");
            Vec::new()
        }
        Deed::Nest(count) => {
            let executor = Executor::builder().workers(2).build();
            let executor = executor.expect("a worker may have an executor of its own");
            let cubes = executor.map(cube, 0..count);
            sum_of_cubes(cubes.map(|cube| cube.expect("nobody knows of its workers")))
        }
        Deed::Abandon => {
            abandon_child();
            Vec::new()
        }
    }
}

pub(crate) fn hang() -> ! {
    loop {
        thread::park();
    }
}

/// Starts a process that outlives the call.
pub(crate) fn abandon_child() -> u32 {
    let mut command = Command::new("sleep");
    let command = command.arg("600").stdin(Stdio::null());
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("sleep is in every system").id()
}
