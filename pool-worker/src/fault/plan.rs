//! Which faults are planted, and when each is due.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

use super::{Action, Process, Site};

/// The variable that holds the plan: [faults](Fault), with `;` between them.
pub const PLAN: &str = "POOL_FAULTS";

/// The variable that holds the path of the ledgers. The fault at place `i` of the plan has the ledger
/// `PATH.i`: a file that grows by one byte each time a process comes by the site, so that all processes
/// of a run count together.
pub const LEDGER: &str = "POOL_FAULTS_LEDGER";

/// What happens, where, to whom and when: `site process action count`, as in `call.claimed worker kill 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub site: Site,
    /// In which processes.
    pub process: Process,
    /// What.
    pub action: Action,
    /// The how manieth time that such a process comes by, from 1 on.
    pub count: u64,
    /// Each time from then on, which a `+` behind the count stands for.
    pub lasts: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (site, process) = (self.site.name(), self.process.name());
        let plus = if self.lasts { "+" } else { "" };
        write!(f, "{site} {process} {} {}{plus}", self.action, self.count)
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no fault: write `site process action count`");
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let &[site, process, action, count] = words.as_slice() else {
            return Err(wrong());
        };
        let once = count.strip_suffix('+');
        let fault = Self {
            site: Site::named(site).ok_or_else(wrong)?,
            process: Process::named(process).ok_or_else(wrong)?,
            action: action.parse().map_err(|()| wrong())?,
            count: once.unwrap_or(count).parse().map_err(|_| wrong())?,
            lasts: once.is_some(),
        };
        let fits = fault.site.processes().contains(&fault.process)
            && (fault.site.can_fail() || !matches!(fault.action, Action::Fail(_)));
        fits.then_some(fault).ok_or_else(wrong)
    }
}

impl Site {
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|site| site.name() == name)
    }
}

impl Process {
    const ALL: [Self; 3] = [Self::Application, Self::ForkServer, Self::Worker];

    /// What plans name it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::ForkServer => "server",
            Self::Worker => "worker",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|process| process.name() == name)
    }
}

/// A fault of this run.
struct Planted {
    fault: Fault,
    ledger: PathBuf,
    /// How often its site was come by needs no more counting in this process.
    settled: AtomicBool,
}

/// What this process is, as the place in [`Process::ALL`].
static PROCESS: AtomicU8 = AtomicU8::new(Process::Application as u8);

/// This process is one of this kind from now on.
pub fn enter(process: Process) {
    PROCESS.store(process as u8, Relaxed);
}

/// The calling thread comes by a site.
///
/// # Panics
///
/// Where that is planted, or the plan is none.
#[inline]
pub fn at(site: Site) {
    // An error is planted only where `try_at` stands.
    let _ = try_at(site);
}

/// The calling thread comes by a site that can fail.
///
/// # Errors
///
/// The one that is planted.
///
/// # Panics
///
/// Where that is planted, or the plan is none.
#[inline]
pub fn try_at(site: Site) -> io::Result<()> {
    let plan = plan();
    if plan.is_empty() {
        Ok(())
    } else {
        meet(plan, site)
    }
}

#[inline]
fn plan() -> &'static [Planted] {
    static PLANTED: OnceLock<Vec<Planted>> = OnceLock::new();
    PLANTED.get_or_init(read)
}

#[cold]
fn read() -> Vec<Planted> {
    let Ok(plan) = env::var(PLAN) else {
        return Vec::new();
    };
    let ledger = env::var(LEDGER).unwrap_or_else(|_| panic!("{PLAN} is set without {LEDGER}"));
    let planted = |(place, fault): (usize, &str)| Planted {
        fault: fault
            .parse()
            .unwrap_or_else(|error| panic!("{PLAN}: {error}")),
        ledger: format!("{ledger}.{place}").into(),
        settled: AtomicBool::new(false),
    };
    plan.split(';').enumerate().map(planted).collect()
}

#[cold]
fn meet(plan: &[Planted], site: Site) -> io::Result<()> {
    let process = PROCESS.load(Relaxed);
    plan.iter()
        .filter(|planted| planted.fault.site == site && planted.fault.process as u8 == process)
        .filter(|planted| planted.is_due())
        .try_for_each(|planted| planted.fault.action.take())
}

impl Planted {
    fn is_due(&self) -> bool {
        let Fault { count, lasts, .. } = self.fault;
        if self.settled.load(Relaxed) {
            return lasts;
        }
        // Without descriptors nothing can be counted any more.
        let Ok(number) = self.note() else {
            return lasts;
        };
        self.settled.store(number >= count, Relaxed);
        number == count || (number > count && lasts)
    }

    /// Notes that the site was come by; how often it was, in all processes.
    fn note(&self) -> io::Result<u64> {
        let mut ledger = File::options()
            .append(true)
            .create(true)
            .open(&self.ledger)?;
        ledger.write_all(b".")?;
        ledger.stream_position()
    }
}
