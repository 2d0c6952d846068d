//! Every way in which a task ends badly, and what the caller must be told of it.

use std::{hint::black_box, panic::panic_any, process};

use pool_core::{DeathCause, TaskError, TaskErrorKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};

use crate::sys;

/// The message of panics and errors that are committed on purpose.
pub(crate) const MESSAGE: &str = "on purpose";

/// A way to end badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Misdeed {
    /// An error of serde; only where serde runs.
    Fail,
    /// A panic.
    Panic,
    /// `std::process::abort`.
    Abort,
    /// `SIGSEGV`, sent to itself.
    RaiseSegv,
    /// A write to where nothing is mapped.
    BadWrite,
    /// Recursion without end.
    StackOverflow,
    /// `std::process::exit(0)`, with its handlers.
    Exit,
    /// `_exit(7)`.
    ExitAtOnce,
    /// `SIGKILL`, sent to itself.
    Kill,
}

impl Misdeed {
    /// All that a task can do.
    pub const OF_TASKS: [Self; 8] = [
        Self::Panic,
        Self::Abort,
        Self::RaiseSegv,
        Self::BadWrite,
        Self::StackOverflow,
        Self::Exit,
        Self::ExitAtOnce,
        Self::Kill,
    ];

    /// Does it; the error is for serde.
    ///
    /// # Errors
    ///
    /// That of [`Misdeed::Fail`]; all others do not come back.
    ///
    /// # Panics
    ///
    /// That of [`Misdeed::Panic`].
    pub fn commit(self) -> Result<(), &'static str> {
        match self {
            Self::Fail => return Err(MESSAGE),
            Self::Panic => panic!("{MESSAGE}"),
            Self::Abort => process::abort(),
            Self::RaiseSegv => sys::raise(libc::SIGSEGV),
            Self::BadWrite => sys::write_to_null(),
            Self::StackOverflow => drop(recurse(1)),
            Self::Exit => process::exit(0),
            Self::ExitAtOnce => sys::exit_at_once(7),
            Self::Kill => sys::raise(libc::SIGKILL),
        }
        panic_any("the misdeed did not end this process")
    }

    /// Checks what `error` tells of a task that did this.
    ///
    /// # Panics
    ///
    /// Where it tells anything else.
    #[track_caller]
    pub fn is_told_by(self, error: &TaskError) {
        let text = error.to_string();
        let pid = error
            .worker_pid()
            .unwrap_or_else(|| panic!("{self:?}: no worker in {error:?}"));
        let pid = pid.to_string();
        assert!(text.contains(&pid), "no pid {pid}: {text}");
        assert!(text.contains(error.task()), "no task: {text}");
        let (signal, code) = (error.signal(), error.exit_code());
        let is_right = match self {
            Self::Fail => matches!(error.kind(), TaskErrorKind::Encode | TaskErrorKind::Decode),
            Self::Panic => {
                assert_eq!(error.panic_message(), Some(MESSAGE));
                error.kind() == TaskErrorKind::Panicked && text.contains(MESSAGE)
            }
            Self::Abort => signal == Some(6) && text.contains("SIGABRT"),
            Self::RaiseSegv | Self::BadWrite => signal == Some(11) && text.contains("SIGSEGV"),
            Self::StackOverflow => {
                assert_eq!(error.death_cause(), Some(DeathCause::StackOverflow));
                signal == Some(6) || signal == Some(11)
            }
            Self::Exit => code == Some(0) && signal.is_none() && text.contains("exit"),
            Self::ExitAtOnce => code == Some(7) && signal.is_none() && text.contains('7'),
            Self::Kill => signal == Some(9) && text.contains("SIGKILL"),
        };
        assert!(is_right, "{self:?} is told as {error:?}: {text}");
        assert!(error.started(), "{self:?}: {text}");
        if !matches!(self, Self::Fail | Self::Panic) {
            assert_eq!(error.kind(), TaskErrorKind::WorkerDied, "{self:?}: {text}");
        }
    }
}

/// Recursion whose frames are used, so that no compiler makes a loop of it.
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if frame[0] == 0 {
        return 0;
    }
    recurse(depth + 1) + black_box(frame)[63]
}

/// Where on a call's way something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// While the application encodes the arguments.
    EncodeArguments,
    /// While the worker decodes the arguments.
    DecodeArguments,
    /// While the task runs.
    Run,
    /// While the worker encodes the result.
    EncodeResult,
    /// While the application decodes the result.
    DecodeResult,
}

/// An argument that goes wrong at its stage, if that is one of the argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragile(pub Stage, pub Misdeed);

impl Serialize for Fragile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == Stage::EncodeArguments {
            self.1.commit().map_err(S::Error::custom)?;
        }
        (self.0, self.1).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fragile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (stage, misdeed) = <(Stage, Misdeed)>::deserialize(deserializer)?;
        if stage == Stage::DecodeArguments {
            misdeed.commit().map_err(D::Error::custom)?;
        }
        Ok(Self(stage, misdeed))
    }
}

/// A result that goes wrong at its stage, if that is one of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome(pub Stage, pub Misdeed);

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == Stage::EncodeResult {
            self.1.commit().map_err(S::Error::custom)?;
        }
        (self.0, self.1).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (stage, misdeed) = <(Stage, Misdeed)>::deserialize(deserializer)?;
        if stage == Stage::DecodeResult {
            misdeed.commit().map_err(D::Error::custom)?;
        }
        Ok(Self(stage, misdeed))
    }
}
