//! What a worker gives up before it runs a task.
//!
//! What a [`Profile`] takes is prepared once, in the fork server, and tried there in a child: some of it
//! the kernel may lack, or whoever runs the application may forbid, and who forbids it may kill. What
//! held in that trial each worker takes for itself, or ends. So what [`Isolation`] says is true of each
//! worker that serves.
//!
//! Domains of Landlock and filters of seccomp bind a thread and what it starts later. A worker
//! has two more threads than the first, and none may be started any more once its filters hold. So it
//! goes by steps: [`shed`](Confinement::shed) and [`enter`](Confinement::enter) while there is one
//! thread, [`seal`](Confinement::seal), for all threads, once those that it needs are there and before
//! one of them takes a call.
//!
//! Each worker enters a domain of its own: were it the fork server's, siblings would share it, and could
//! look into each other.

mod system_calls;

use crate::isolation::{Isolation, Lack, Measure, Measures, Profile, Sandbox};
use crate::protocol::{Setup, StartMethod};
use crate::sys::{self, Barriers, Resource, Ruleset};
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use system_calls::Filters;

/// How much rather than the application a worker is to be ended where memory is short.
const VICTIM: i32 = 500;
/// The most that can be asked for.
const MOST_VICTIM: i32 = 1000;
/// The most descriptors of an untrusted worker that was not allowed another number: its own, and some
/// for files that it may read.
const UNTRUSTED_FILES: u64 = 64;

/// What a worker is to give up.
#[derive(Debug, Default)]
pub struct Confinement {
    profile: Profile,
    measures: Measures,
    oom_score: i32,
    open_files: Option<u64>,
    ruleset: Option<Ruleset>,
    filters: Option<Filters>,
}

impl Confinement {
    /// In a fork server: what its workers will take, after a trial.
    pub(crate) fn found(setup: &Setup) -> io::Result<(Self, Isolation)> {
        let mut wanted = Measures::default();
        for measure in Measure::ALL {
            if measure.belongs_to(setup.sandbox.profile()) {
                wanted.insert(measure);
            }
        }
        let isolation = Self::prepare(setup, wanted)?.try_all(setup.start_method);
        Ok((Self::prepare(setup, isolation.held)?, isolation))
    }

    /// These measures, as the fork server found them to hold.
    pub(crate) fn prepare(setup: &Setup, measures: Measures) -> io::Result<Self> {
        let profile = setup.sandbox.profile();
        let mut this = Self {
            profile,
            measures,
            open_files: setup.open_files,
            ..Self::default()
        };
        if measures.contains(Measure::FirstVictim) {
            let own = sys::oom_score().unwrap_or(0);
            this.oom_score = (own.max(0) + VICTIM).min(MOST_VICTIM);
        }
        if measures.contains(Measure::OwnDomain) {
            this.ruleset = ruleset(&setup.sandbox)?;
        }
        if measures.contains(Measure::SystemCalls) {
            this.filters = Filters::new(measures.contains(Measure::Files)).ok();
        }
        Ok(this)
    }

    /// What each worker takes.
    pub(crate) fn measures(&self) -> Measures {
        self.measures
    }

    /// Takes each measure in a child, and looks whether it holds.
    fn try_all(&self, start_method: StartMethod) -> Isolation {
        let mut held = Measures::default();
        let mut tried = Vec::new();
        let measures = || {
            let wanted = |measure: &Measure| self.measures.contains(*measure);
            Measure::ALL.into_iter().filter(wanted)
        };
        let was_dumpable = sys::is_dumpable();
        let trial = sys::try_in_child(|| {
            for measure in measures() {
                let taken = match measure {
                    Measure::OwnLayout if start_method == StartMethod::Spawn => Ok(()),
                    Measure::OwnLayout => Err(io::Error::other("workers are forked")),
                    // It is not the child's own: see that it is there to be written.
                    Measure::FirstVictim => sys::oom_score_is_writable(),
                    _ => self.take(measure),
                };
                tried.push((measure, taken.and_then(|()| check(measure))));
            }
        });
        if was_dumpable {
            // A matter of the memory that the child has borrowed. It cannot fail; and who was kept from looking
            // before is so still.
            let _ = sys::be_dumpable(true);
        }
        let mut lacking = Vec::new();
        let mut rest = tried.into_iter();
        for measure in measures() {
            let why = match (&trial, rest.next()) {
                (_, Some((_, Ok(())))) => {
                    held.insert(measure);
                    continue;
                }
                (_, Some((_, Err(error)))) => error.to_string(),
                (Err(error), None) => error.to_string(),
                (Ok(()), None) => "who tried it was killed".into(),
            };
            lacking.push(Lack { measure, why });
        }
        Isolation {
            profile: self.profile,
            held,
            lacking,
        }
    }

    /// In a worker with a single thread, first of all: lets go of what is not its own, but for this
    /// descriptor.
    pub(crate) fn shed(&self, kept: BorrowedFd<'_>) -> io::Result<()> {
        if self.profile == Profile::Untrusted {
            sys::null_stdio().map_err(about("/dev/null"))?;
            let ruleset = self.ruleset.as_ref().map(AsRawFd::as_raw_fd);
            let kept = ruleset.into_iter().chain([kept.as_raw_fd()]);
            sys::close_all_but(kept.collect())?;
        }
        Ok(())
    }

    /// In a worker with a single thread: takes all measures but those that it could then not start its
    /// threads with.
    pub(crate) fn enter(&self) -> io::Result<()> {
        let parent = std::os::unix::process::parent_id();
        if let Some(most) = self.open_files {
            sys::limit(Resource::OpenFiles, most)?;
        }
        for measure in Measure::ALL {
            let is_last = matches!(measure, Measure::Limits | Measure::SystemCalls);
            if !is_last && self.measures.contains(measure) {
                self.take(measure).map_err(about(measure))?;
            }
        }
        if self.measures.contains(Measure::NoCapabilities) {
            // The kernel forgets this when credentials change.
            sys::die_with_parent(parent)?;
        }
        Ok(())
    }

    /// In a worker that has all threads it needs, of which none has run anything of a task.
    pub(crate) fn seal(self) -> io::Result<()> {
        for measure in [Measure::Limits, Measure::SystemCalls] {
            if self.measures.contains(measure) {
                self.take(measure).map_err(about(measure))?;
            }
        }
        Ok(())
    }

    fn take(&self, measure: Measure) -> io::Result<()> {
        match measure {
            Measure::FirstVictim => sys::set_oom_score(self.oom_score),
            Measure::NoNewPrivileges => sys::gain_no_privileges(),
            Measure::OwnDomain => match &self.ruleset {
                Some(ruleset) => ruleset.enter(),
                None => Err(ErrorKind::Unsupported.into()),
            },
            Measure::SignalScope => self.has(Barriers::SIGNALS),
            Measure::SocketScope => self.has(Barriers::ABSTRACT_SOCKETS),
            Measure::Files => self.has(Barriers::files()),
            Measure::Tcp => self.has(Barriers::TCP),
            Measure::Namespaces => sys::enter_namespaces(),
            Measure::NoCapabilities => sys::drop_capabilities(),
            Measure::Limits => self.limit_to_zero(),
            Measure::SystemCalls => match &self.filters {
                Some(filters) => filters.apply(self.measures.contains(Measure::SignalScope)),
                None => Err(ErrorKind::Unsupported.into()),
            },
            Measure::OwnLayout => Ok(()),
        }
    }

    /// Whether the domain has these barriers.
    fn has(&self, barriers: Barriers) -> io::Result<()> {
        let has = |ruleset: &Ruleset| ruleset.barriers().include(barriers);
        if self.ruleset.as_ref().is_some_and(has) {
            Ok(())
        } else {
            Err(ErrorKind::Unsupported.into())
        }
    }

    fn limit_to_zero(&self) -> io::Result<()> {
        sys::be_dumpable(false)?;
        sys::limit(
            Resource::OpenFiles,
            self.open_files.unwrap_or(UNTRUSTED_FILES),
        )?;
        [
            Resource::Core,
            Resource::FileSize,
            Resource::LockedMemory,
            Resource::MessageQueues,
            Resource::Processes,
        ]
        .into_iter()
        .try_for_each(|resource| sys::limit(resource, 0))
    }
}

/// Whether a measure holds that was taken, as far as that can be seen: the kernel may accept what it does
/// not do.
fn check(measure: Measure) -> io::Result<()> {
    let holds = match measure {
        Measure::OwnDomain => !sys::reaches_parent()?.memory,
        Measure::SignalScope => !sys::reaches_parent()?.signals,
        // No grant lets anything be written.
        Measure::Files => File::options().write(true).open("/proc/self/comm").is_err(),
        Measure::SystemCalls => sys::socket_pair().is_err(),
        _ => true,
    };
    if holds {
        Ok(())
    } else {
        Err(io::Error::other(
            "the kernel accepts it and does not keep it",
        ))
    }
}

/// Has an error say what it is about.
fn about(what: impl Display) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::other(format!("{what}: {error}"))
}

/// The domain of a profile, with as many barriers as the kernel has; none where it has no Landlock.
fn ruleset(sandbox: &Sandbox) -> io::Result<Option<Ruleset>> {
    let most = match sandbox.profile() {
        Profile::Open => return Ok(None),
        Profile::Default => vec![Barriers::SIGNALS],
        Profile::Untrusted => {
            let all = Barriers::files().and(Barriers::TCP);
            let scopes = Barriers::SIGNALS.and(Barriers::ABSTRACT_SOCKETS);
            vec![all.and(scopes), all, Barriers::files()]
        }
    };
    let Some(ruleset) = most
        .into_iter()
        .find_map(|barriers| Ruleset::new(barriers).ok())
    else {
        return Ok(None);
    };
    if sandbox.profile() == Profile::Untrusted {
        // Backtraces look up names there; the program has it in its memory anyway.
        let own = OsStr::new("/proc/self/exe");
        for path in sandbox
            .readable()
            .iter()
            .map(OsString::as_os_str)
            .chain([own])
        {
            let allowed = ruleset.allow_reading(Path::new(path));
            allowed.map_err(about(path.display()))?;
        }
    }
    Ok(Some(ruleset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Surroundings;
    use std::env;
    use std::process::Command;

    #[test]
    fn a_trial_leaves_the_process_as_it_was() {
        /// Says that no other test runs in this process.
        const ALONE: &str = "POOL_TEST_ALONE";
        if env::var_os(ALONE).is_none() {
            let name = "confinement::tests::a_trial_leaves_the_process_as_it_was";
            let mut command = Command::new("/proc/self/exe");
            let status = command.args(["--exact", name]).env(ALONE, "").status();
            assert!(status.unwrap().success());
            return;
        }
        let setup = Setup {
            tasks: Vec::new(),
            start_method: StartMethod::Spawn,
            surroundings: Surroundings::default(),
            sandbox: Sandbox::from(Profile::Untrusted),
            open_files: None,
        };
        for is_dumpable in [true, false] {
            sys::be_dumpable(is_dumpable).unwrap();
            let (_, isolation) = Confinement::found(&setup).unwrap();
            assert!(isolation.holds(Measure::Limits), "{isolation}");
            assert_eq!(sys::is_dumpable(), is_dumpable);
        }
    }
}
