//! Why an executor could not be built, or changed.

use pool_worker::{Measure, Profile};
use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};
use std::io;

/// Why an executor could not be built, or [resized](crate::Executor::resize).
pub struct Error(Box<Inner>);

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option has a value that cannot be.
    InvalidOption,
    /// Two tasks were given the same name.
    DuplicateTask,
    /// This process cannot start fresh images of its program.
    NotStartable,
    /// `StartMethod::Fork` in a process that has more than one thread.
    MultiThreaded,
    /// The limit on open files is too low for that many workers.
    FileLimit,
    /// The fork server refused to serve, did not answer in time, or died.
    ForkServer,
    /// The kernel lacks what a [`Profile`](crate::Profile) takes to be what it is.
    Isolation,
    /// A system call failed.
    Io,
    /// The executor takes no calls any more.
    ShutDown,
    /// The executor cannot go on.
    PoolBroken,
}

struct Inner {
    kind: ErrorKind,
    text: String,
    source: Option<io::Error>,
}

impl Error {
    /// What happened, as something to match on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    fn new(kind: ErrorKind, text: String) -> Self {
        Self(Box::new(Inner {
            kind,
            text,
            source: None,
        }))
    }

    /// `option`, as its setter is named, cannot be so, for the reason `why`.
    pub(crate) fn invalid_option(option: &str, why: impl Display) -> Self {
        Self::new(
            ErrorKind::InvalidOption,
            format!("invalid option {option}: {why}"),
        )
    }

    /// Two tasks bear one name, as `duplicate` tells.
    pub(crate) fn duplicate_task(duplicate: impl Display) -> Self {
        Self::new(ErrorKind::DuplicateTask, duplicate.to_string())
    }

    /// Workers cannot be started from this process, for the reason `why`, which ends on what to
    /// do about it.
    pub(crate) fn not_startable(why: impl Display) -> Self {
        Self::new(
            ErrorKind::NotStartable,
            format!("cannot start workers from this process: {why}"),
        )
    }

    /// To fork, this process must have a single thread, but it has all of `threads`, by name.
    pub(crate) fn multi_threaded<T: AsRef<str>>(threads: &[T]) -> Self {
        let names: Vec<_> = threads
            .iter()
            .map(|name| format!("'{}'", name.as_ref()))
            .collect();
        Self::new(
            ErrorKind::MultiThreaded,
            format!(
                "cannot fork a process that has {} threads ({}); build the executor before any \
                 thread is started, or use StartMethod::ForkServer",
                threads.len(),
                names.join(", "),
            ),
        )
    }

    /// The executor needs `needed` more open files, and the limit leaves `allowed`.
    pub(crate) fn file_limit(needed: u64, allowed: u64) -> Self {
        Self::new(
            ErrorKind::FileLimit,
            format!(
                "the executor needs {needed} more open files, and the limit leaves {allowed}; ask \
                 for fewer workers, or raise RLIMIT_NOFILE (ulimit -n)"
            ),
        )
    }

    /// The fork server does not serve, for the reason `why`: its own, or how it died.
    pub(crate) fn fork_server(why: impl Display) -> Self {
        Self::new(
            ErrorKind::ForkServer,
            format!("the fork server did not start: {why}"),
        )
    }

    /// Workers cannot be isolated as was asked for, for want of these.
    pub(crate) fn not_isolated(profile: Profile, lacks: &[(Measure, &str)]) -> Self {
        Self::new(
            ErrorKind::Isolation,
            format!(
                "workers cannot be isolated as Profile::{profile:?} is meant: {}; or take what there \
                 is by best_effort()",
                list_lacks(lacks)
            ),
        )
    }

    /// The executor takes no calls any more.
    pub(crate) fn shut_down() -> Self {
        Self::new(
            ErrorKind::ShutDown,
            "the executor takes no calls any more; build another one".into(),
        )
    }

    /// The executor cannot go on, for the reason `why`.
    pub(crate) fn broken(why: impl Display) -> Self {
        Self::new(
            ErrorKind::PoolBroken,
            format!("the executor cannot go on ({why}); build another one"),
        )
    }

    /// `operation` ("create the memfd of a ring") failed with `error`.
    pub(crate) fn io(operation: &str, error: io::Error) -> Self {
        let mut this = Self::new(ErrorKind::Io, format!("cannot {operation}: {error}"));
        this.0.source = Some(error);
        this
    }
}

/// Measures that cannot be taken, in words, each with what the system said and what it takes.
pub(crate) fn list_lacks(lacks: &[(Measure, &str)]) -> String {
    let lacks: Vec<_> = lacks
        .iter()
        .map(|(lack, why)| format!("'{lack}' cannot be had ({why}) and takes {}", lack.needs()))
        .collect();
    lacks.join("; ")
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl Debug for Error {
    /// Shows the text too, for this is what `main` prints that returns it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.text)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn travels() {
        fn travels<T: StdError + Send + Sync + 'static>() {}
        travels::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn texts_name_what_happened_and_the_remedy() {
        let cases = [
            (
                Error::invalid_option("workers", "0 workers could run nothing"),
                ErrorKind::InvalidOption,
                "invalid option workers: 0 workers could run nothing",
            ),
            (
                Error::duplicate_task("two tasks are named 'a'"),
                ErrorKind::DuplicateTask,
                "two tasks are named 'a'",
            ),
            (
                Error::not_startable("it was started by ld.so; start the program itself"),
                ErrorKind::NotStartable,
                "cannot start workers from this process: it was started by ld.so; start the \
                 program itself",
            ),
            (
                Error::multi_threaded(&["main", "tokio"]),
                ErrorKind::MultiThreaded,
                "cannot fork a process that has 2 threads ('main', 'tokio'); build the executor \
                 before any thread is started, or use StartMethod::ForkServer",
            ),
            (
                Error::file_limit(520, 100),
                ErrorKind::FileLimit,
                "the executor needs 520 more open files, and the limit leaves 100; ask for fewer \
                 workers, or raise RLIMIT_NOFILE (ulimit -n)",
            ),
            (
                Error::not_isolated(Profile::Untrusted, &[(Measure::Namespaces, "no room")]),
                ErrorKind::Isolation,
                "workers cannot be isolated as Profile::Untrusted is meant: 'namespaces of its own' \
                 cannot be had (no room) and takes user namespaces to be allowed \
                 (user.max_user_namespaces); or take what there is by best_effort()",
            ),
            (
                Error::shut_down(),
                ErrorKind::ShutDown,
                "the executor takes no calls any more; build another one",
            ),
            (
                Error::broken("its workers died"),
                ErrorKind::PoolBroken,
                "the executor cannot go on (its workers died); build another one",
            ),
            (
                Error::fork_server("no answer within 2s"),
                ErrorKind::ForkServer,
                "the fork server did not start: no answer within 2s",
            ),
        ];
        for (error, kind, text) in cases {
            assert_eq!(error.kind(), kind);
            assert_eq!(error.to_string(), text);
            assert!(error.source().is_none());
        }
    }

    #[test]
    fn failed_system_calls_are_sources() {
        let error = Error::io("create a memfd", io::Error::from_raw_os_error(libc::EMFILE));
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().starts_with("cannot create a memfd: "));
        let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.raw_os_error(), Some(libc::EMFILE));
        assert!(format!("{error:?}").contains("cannot create a memfd"));
    }
}
