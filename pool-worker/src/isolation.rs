//! How far workers are kept from all else: what is asked for, and what came of it.

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::LinkedList;
use std::ffi::OsString;
use std::fmt::{self, Display};

/// How far workers are kept from the application, from each other, and from the rest of the machine.
///
/// Every profile keeps faults apart: a task that crashes, hangs or leaks costs its own call. Only
/// [`Untrusted`](Self::Untrusted) is a boundary for code that means harm, and only as far as
/// [`Isolation`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Profile {
    /// Tasks do what they like with files, the network, threads and processes of their own; but not
    /// with the application, the fork server or other workers: a worker can neither read nor write
    /// their memory, take their descriptors, nor signal them, where the kernel has Landlock with
    /// scopes for signals (6.12). No program that it executes gains privileges: set-user-ID programs
    /// such as `sudo` or `ping` run with the rights of the worker. Costs some 30 us for each worker.
    #[default]
    Default,
    /// As `Default`, without what keeps it from other processes and from gaining privileges: for tasks
    /// that have to trace or signal what is not theirs, or to execute `sudo`.
    Open,
    /// For input that may take a task over, or tasks that are not to be trusted: they compute, on what
    /// they are given, and can do nothing else.
    ///
    /// No file but those [granted](Self::read), no network, no thread or process of their own, no
    /// executor within a task, nothing of what others own. System calls beyond those that computing
    /// takes fail with `EPERM`, or kill the worker where no honest program makes them, which the call's
    /// error tells as `SandboxViolation`. The environment is empty but for what `env` sets, what a task
    /// prints goes nowhere, and descriptors that a preload has left open are closed.
    ///
    /// Each call has a worker of its own, and each worker is started from a fresh image of the program,
    /// so that nothing learnt in one helps in another; `max_tasks_per_worker` and `start_method` say
    /// otherwise where calls trust each other.
    ///
    /// With a `preload` workers are forked from the process that ran it instead. So a task can read all
    /// that its code has left in memory, be it freed: what it loaded, what it decrypted for that, what
    /// arguments it was given. Have it touch nothing that tasks are not to know. All workers have one
    /// layout of memory then, and what is learnt of it in one helps in the next.
    ///
    /// Memory is bounded by `memory_limit`, time by `task_timeout` and `cpu_limit`: set them.
    Untrusted,
}

impl Profile {
    /// This profile, with files at this path, and beneath it, that workers may read. Only
    /// [`Untrusted`](Self::Untrusted) keeps any from them, so only there it can be asked for.
    ///
    /// ```
    /// use pool_core::{AnyError, Executor, Profile, task};
    ///
    /// #[task]
    /// fn length(path: String) -> Result<usize, AnyError> {
    ///     Ok(std::fs::read(path)?.len())
    /// }
    ///
    /// let profile = Profile::Untrusted.read("/proc/version");
    /// let executor = Executor::builder().workers(1).profile(profile).build()?;
    /// assert!(executor.submit(length, "/proc/version".to_string()).result()?.is_ok());
    /// assert!(executor.submit(length, "/etc/passwd".to_string()).result()?.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(self, path: impl Into<OsString>) -> Sandbox {
        Sandbox::from(self).read(path)
    }
}

/// A [`Profile`] and what it grants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    profile: Profile,
    readable: Vec<OsString>,
}

impl From<Profile> for Sandbox {
    fn from(profile: Profile) -> Self {
        Self {
            profile,
            readable: Vec::new(),
        }
    }
}

impl Sandbox {
    /// As [`Profile::read`].
    #[must_use]
    pub fn read(mut self, path: impl Into<OsString>) -> Self {
        self.readable.push(path.into());
        self
    }

    /// The profile.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The paths that may be read.
    pub fn readable(&self) -> &[OsString] {
        &self.readable
    }
}

/// One thing by which a worker is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[repr(u8)]
pub enum Measure {
    /// Where memory is short, the kernel ends workers before the application (`oom_score_adj`).
    FirstVictim,
    /// Programs that a worker executes gain no privileges (`no_new_privs`).
    NoNewPrivileges,
    /// A Landlock domain for each worker: it can neither read nor write the memory of processes outside
    /// of it, nor take their descriptors, nor trace them.
    OwnDomain,
    /// The domain lets no signals out.
    SignalScope,
    /// The domain lets nobody connect to abstract Unix sockets outside.
    SocketScope,
    /// The domain lets nobody use files, but those granted.
    Files,
    /// The domain lets nobody bind or connect TCP sockets.
    Tcp,
    /// Namespaces of users, of networks, and of System V's and POSIX's shared memory for each worker.
    Namespaces,
    /// No capabilities, whoever the user is.
    NoCapabilities,
    /// Limits of zero to files that are written, processes, locked memory, core files.
    Limits,
    /// A list of system calls (seccomp): all others fail, or kill.
    SystemCalls,
    /// Each worker has a layout of memory, and canaries, of its own.
    OwnLayout,
}

impl Measure {
    /// All of them, in the order in which a worker takes them.
    pub const ALL: [Self; 12] = [
        Self::FirstVictim,
        Self::OwnLayout,
        Self::NoNewPrivileges,
        Self::Namespaces,
        Self::NoCapabilities,
        Self::OwnDomain,
        Self::SignalScope,
        Self::SocketScope,
        Self::Files,
        Self::Tcp,
        Self::Limits,
        Self::SystemCalls,
    ];

    /// Whether a profile takes it, where the kernel has it.
    pub(crate) fn belongs_to(self, profile: Profile) -> bool {
        match profile {
            Profile::Open => self == Self::FirstVictim,
            Profile::Default => matches!(
                self,
                Self::FirstVictim | Self::NoNewPrivileges | Self::OwnDomain | Self::SignalScope
            ),
            Profile::Untrusted => true,
        }
    }

    /// Whether `Untrusted` is no boundary without it.
    pub fn is_vital(self) -> bool {
        matches!(
            self,
            Self::NoNewPrivileges
                | Self::NoCapabilities
                | Self::OwnDomain
                | Self::Files
                | Self::Limits
                | Self::SystemCalls
        )
    }

    /// What it takes of the system.
    pub fn needs(self) -> &'static str {
        match self {
            Self::FirstVictim => "/proc to be mounted for writing",
            Self::NoNewPrivileges => "a kernel from 3.5 on",
            Self::OwnDomain | Self::Files => {
                "a kernel from 5.13 on, with Landlock among its security modules (lsm=landlock,...)"
            }
            Self::SignalScope | Self::SocketScope => "a kernel from 6.12 on, with Landlock",
            Self::Tcp => "a kernel from 6.7 on, with Landlock",
            Self::Namespaces => "user namespaces to be allowed (user.max_user_namespaces)",
            Self::NoCapabilities | Self::Limits => "a system that lets processes give up rights",
            Self::SystemCalls => {
                "a kernel with seccomp filters, on x86-64, aarch64 or riscv64, and no filter around \
                 this program that forbids more of them"
            }
            Self::OwnLayout => "StartMethod::Spawn",
        }
    }
}

impl Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstVictim => "first to end where memory is short",
            Self::NoNewPrivileges => "no new privileges",
            Self::OwnDomain => "no access to other processes",
            Self::SignalScope => "no signals to other processes",
            Self::SocketScope => "no abstract sockets of others",
            Self::Files => "no files but those granted",
            Self::Tcp => "no TCP",
            Self::Namespaces => "namespaces of its own",
            Self::NoCapabilities => "no capabilities",
            Self::Limits => "limits of zero",
            Self::SystemCalls => "listed system calls only",
            Self::OwnLayout => "a memory layout of its own",
        })
    }
}

/// A set of measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measures(u32);

impl Measures {
    /// Adds one.
    pub fn insert(&mut self, measure: Measure) {
        self.0 |= Self::bit(measure);
    }

    /// Whether this one is among them.
    pub fn contains(self, measure: Measure) -> bool {
        self.0 & Self::bit(measure) != 0
    }

    /// As a number, which [`from_bits`](Self::from_bits) takes.
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// From a number.
    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    fn bit(measure: Measure) -> u32 {
        1 << measure as u8
    }
}

/// A measure that could not be taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    /// The measure.
    pub measure: Measure,
    /// What the system said.
    pub why: String,
}

/// What keeps the workers of an executor from others, as it was tried before the first of them was
/// made. A worker that does not come by all of it ends before it runs any task.
///
/// ```
/// use pool_core::{Executor, Measure, Profile};
///
/// let executor = Executor::builder().workers(1).profile(Profile::Untrusted).build()?;
/// let isolation = executor.isolation();
/// assert_eq!(isolation.profile(), Profile::Untrusted);
/// assert!(isolation.holds(Measure::Files));
/// assert!(isolation.to_string().contains("no files but those granted"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    pub(crate) profile: Profile,
    pub(crate) held: Measures,
    #[serde(deserialize_with = "unreserved")]
    pub(crate) lacking: Vec<Lack>,
}

/// Decodes a list without room that is set aside for as many as are announced, which is another process's
/// word.
fn unreserved<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Lack>, D::Error> {
    let lacking = LinkedList::deserialize(deserializer)?;
    Ok(lacking.into_iter().collect())
}

impl Isolation {
    /// The profile that was asked for.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Whether this measure is taken in every worker.
    pub fn holds(&self, measure: Measure) -> bool {
        self.held.contains(measure)
    }

    /// The measures that are taken in every worker.
    pub fn measures(&self) -> impl Iterator<Item = Measure> {
        let held = self.held;
        Measure::ALL
            .into_iter()
            .filter(move |measure| held.contains(*measure))
    }

    /// The measures of the profile that are not taken, each with what the system said.
    pub fn missing(&self) -> impl Iterator<Item = (Measure, &str)> {
        self.lacking
            .iter()
            .map(|lack| (lack.measure, lack.why.as_str()))
    }
}

impl Display for Isolation {
    /// In one line, what holds and then what does not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: ", self.profile)?;
        for (index, measure) in self.measures().enumerate() {
            write!(f, "{}{measure}", if index == 0 { "" } else { ", " })?;
        }
        for (index, (measure, why)) in self.missing().enumerate() {
            let comma = if index == 0 { "; missing: " } else { ", " };
            write!(f, "{comma}{measure} ({why})")?;
        }
        Ok(())
    }
}
