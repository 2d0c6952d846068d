//! Every fault at every site: a program that uses a bit of everything is run once for each site of
//! [`Site`], each kind of process that comes by there, and each [`Action`], which hits the first of
//! them that does.
//!
//! It has to end by itself, with its calls' values or errors that say what happened, and to leave no
//! process, descriptor, thread or memory behind; what hits the application itself may end it, and
//! then no process of it may be left.
//!
//! Without arguments as many of these pairs are tried as half a minute allows, those first that show
//! that every site is come by, the others in an order that a seed decides. `all` tries them all;
//! `triples SEED COUNT` has three random faults at a time; `plan FAULTS` runs one plan again, as a
//! failure names it.

use std::{
    env,
    fmt::{self, Display, Formatter},
    fs::{metadata, read_to_string},
    os::unix::process::ExitStatusExt,
    process::{Command, ExitCode, ExitStatus},
    str::FromStr,
    time::{Duration, Instant},
};

use pool_tests::{
    Observed, Random, Scratch, functions, harness, load, observe, program, run_here, sys,
    trials::try_all,
};
use pool_worker::fault::{Action, Fault, LEDGER, PLAN, Process, Site};

/// How long the pairs are tried that nobody asked for.
const BUDGET: Duration = Duration::from_secs(30);
/// How long one run may take. A fork server that hangs at its start is given 10 seconds.
const LIMIT: Duration = Duration::from_secs(25);
/// How long an application that is stopped stays so.
const STOPPED: Duration = Duration::from_millis(30);
/// How many MiB make a fork server keep a spare.
const WORTH_A_SPARE: &str = "40";

/// The how manieth call of workers is hit as well, besides the first one.
const LATER: u64 = 30;

/// The command that tries a plan again.
const AGAIN: &str =
    "cargo test --release -p pool-tests --features fault-injection --test injection -- plan";

/// The program that faults are planted in.
fn loaded() {
    run_here(load::load);
}

/// The same, which may lose its own descriptors, and the memory that it shares.
fn ruined() {
    load::load();
}

/// What is planted in one run.
struct Plan(Vec<Fault>);

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&faults.join(";"))
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(';')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn main() -> ExitCode {
    if env::var_os(PLAN).is_some() {
        return harness(&[], functions!(loaded ruined));
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (what, plans) = match words.as_slice() {
        ["all"] => ("all pairs of site and fault".into(), pairs()),
        ["triples", seed, count] => {
            let mut random = Random::new(seed.parse().expect("a seed"));
            let count: usize = count.parse().expect("how many");
            let triples = (0..count).map(|_| triple(&mut random)).collect();
            (format!("triples of faults from seed {seed}"), triples)
        }
        ["plan", faults] => ("a plan".into(), vec![faults.parse().expect("a plan")]),
        _ => {
            return try_all(
                "pairs of site and fault",
                sample(),
                Some(BUDGET),
                AGAIN,
                run,
            );
        }
    };
    try_all(&what, plans, None, AGAIN, run)
}

/// Every pair of a site, in each kind of process, and an action.
fn pairs() -> Vec<Plan> {
    let mut pairs = Vec::new();
    for &site in Site::ALL {
        for &process in site.processes() {
            for count in counts(site, process) {
                let fault = |action| Fault {
                    site,
                    process,
                    action,
                    count,
                    lasts: false,
                };
                let actions = Action::all(site.can_fail());
                pairs.extend(actions.map(|action| Plan(vec![fault(action)])));
            }
        }
    }
    pairs
}

/// Which ones are hit of those that come by. The first call of a worker is that of its initializer: a
/// later one is hit as well.
fn counts(site: Site, process: Process) -> Vec<u64> {
    let is_of_calls = [
        Site::TaskIdle,
        Site::Claimed,
        Site::Taken,
        Site::Decodes,
        Site::Calls,
        Site::Encodes,
        Site::Answers,
        Site::Written,
        Site::Committed,
    ];
    if process == Process::Worker && is_of_calls.contains(&site) {
        vec![1, LATER]
    } else {
        vec![1]
    }
}

/// All pairs, in the order of a sample.
fn sample() -> Vec<Plan> {
    let is_mild = |plan: &Plan| plan.0[0].action == Action::Delay(1);
    let (mut sample, mut others): (Vec<_>, Vec<_>) = pairs().into_iter().partition(is_mild);
    Random::unforeseen().shuffle(&mut others);
    sample.append(&mut others);
    sample
}

/// Three faults at a time, which may be met late, or last.
fn triple(random: &mut Random) -> Plan {
    let fault = |_| {
        let site = random.pick(Site::ALL);
        let process = random.pick(site.processes());
        // A fork server that is stopped cannot see that its application dies of another fault.
        let is_apt = |action: &Action| *action != Action::Stop || process != Process::ForkServer;
        let actions: Vec<Action> = Action::all(site.can_fail()).filter(is_apt).collect();
        let action = random.pick(&actions);
        // To be slow for good is to be too slow for this.
        let lasts = random.one_in(4) && !matches!(action, Action::Delay(_) | Action::Stop);
        Fault {
            site,
            process,
            action,
            count: 1 + random.number() % 6,
            lasts,
        }
    };
    Plan((0..3).map(fault).collect())
}

/// Runs the program with these faults planted; the error tells what was wrong about its end.
fn run(plan: &Plan) -> Result<(), String> {
    let faults = &plan.0;
    let scratch = Scratch::new();
    let ledger = scratch.path("ledger");
    let is_ruined = faults.iter().any(is_ruinous);
    let mut command = program(if is_ruined { "ruined" } else { "loaded" });
    command.env(PLAN, plan.to_string()).env(LEDGER, &ledger);
    // To tell where a planted panic came from takes a good part of a second.
    command.env("RUST_BACKTRACE", "0");
    if faults.iter().any(|fault| fault.action == Action::Garbage) {
        command.env(load::GARBLED, "");
    }
    with_spare(&mut command, faults);
    let mut stopped = None;
    let Observed { status, output } = observe(command, LIMIT, |pid| {
        if is_stopped(pid) && stopped.get_or_insert_with(Instant::now).elapsed() > STOPPED {
            // It may have ended in this moment.
            let _ = sys::kill(pid, libc::SIGCONT);
        }
    })?;
    // Of several faults one may keep another from happening.
    let met = metadata(format!("{}.0", ledger.display())).map_or(0, |ledger| ledger.len());
    if faults.len() == 1 && met < faults[0].count {
        return Err(format!("its site was come by {met} times\n{output}"));
    }
    let may_end_so = status.success() || faults.iter().any(|fault| may_end_so(*fault, status));
    if !may_end_so {
        let how = format!("it ended otherwise than it may ({status})");
        return Err([&how, output.as_str()].join("\n"));
    }
    match *faults.as_slice() {
        [fault] if costs_one_call(fault) && !load::failed_at_most(1, &output) => {
            Err(format!("it cost more than one call\n{output}"))
        }
        _ => Ok(()),
    }
}

/// Whether no more than one call may fail, that which a worker ran.
fn costs_one_call(fault: Fault) -> bool {
    let harms_others = matches!(fault.action, Action::Garbage | Action::Fail(_));
    let of_a_call = fault.process == Process::Worker && fault.count == LATER && !harms_others;
    // What is swept away later was in nobody's way.
    let of_a_sweep = fault.site == Site::ServerSweeps && matches!(fault.action, Action::Fail(_));
    of_a_call || of_a_sweep
}

/// Has the fork server keep a spare, where faults are planted that need one.
fn with_spare(command: &mut Command, faults: &[Fault]) {
    let spare = [Site::ServerSpare, Site::ServerEmploys, Site::WorkerWaits];
    if faults.iter().any(|fault| spare.contains(&fault.site)) {
        command.env(load::PRELOADED, WORTH_A_SPARE);
    }
}

/// Whether a signal has stopped the process.
fn is_stopped(pid: u32) -> bool {
    let stat = read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| rest.starts_with('T'))
}

/// Whether an application that was itself hit by this fault may end so.
fn may_end_so(fault: Fault, status: ExitStatus) -> bool {
    let signal = status.signal();
    fault.process == Process::Application
        && match fault.action {
            Action::Kill => signal == Some(libc::SIGKILL),
            Action::Abort => signal == Some(libc::SIGABRT),
            // A panic while another one unwinds aborts.
            Action::Panic => status.code() == Some(101) || signal == Some(libc::SIGABRT),
            _ => is_ruinous(&fault),
        }
}

/// Whether an application destroys what is its own: any end is one then.
fn is_ruinous(fault: &Fault) -> bool {
    let ruins = matches!(fault.action, Action::Close | Action::Garbage);
    ruins && fault.process == Process::Application
}
