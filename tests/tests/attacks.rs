//! The threats of the model, T1 to T22, each tried from inside a worker, under each profile.
//!
//! An attack gives 0 where it succeeded, else the number of the error that it met with. Under `Open` it has
//! to succeed where nothing but a profile is against it: else it would show nothing. `Untrusted` keeps all of
//! them off; what `Default` keeps off, each test says.

#[path = "attacks/raw.rs"]
mod raw;
#[path = "attacks/rings.rs"]
mod rings;

use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream},
    os::{
        fd::AsRawFd,
        linux::net::SocketAddrExt,
        unix::{
            fs::{PermissionsExt, symlink},
            net::{SocketAddr, UnixListener, UnixStream},
            process::parent_id,
        },
    },
    path::PathBuf,
    process,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use pool_core::{
    Executor, ExecutorBuilder, Measure, Profile, Shared, StartMethod, TaskError, TaskErrorKind,
    TaskFuture, current, task,
};
use pool_tests::{
    Scratch, builder, fails_with, isolated, maps, most_reserved, resident, skipped, sys, tasks,
    until,
};
use raw::{ClockUse, call, code, errno};
use rings::{Frame, Rings};
use serde::{Deserialize, Serialize};

/// What became of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Succeeded,
    Refused,
    Killed,
}
use Fate::{Killed, Refused, Succeeded};

fn fate(result: Result<i32, TaskError>) -> Fate {
    match result {
        Ok(0) => Succeeded,
        Ok(_) => Refused,
        Err(error) => {
            assert_eq!(error.kind(), TaskErrorKind::SandboxViolation, "{error}");
            assert_eq!(error.signal(), Some(libc::SIGSYS), "{error}");
            Killed
        }
    }
}

/// What attacks come to under each profile, where they come to the same.
#[derive(Clone, Copy)]
struct Expected {
    open: Option<Fate>,
    default: Option<Fate>,
}

/// What is kept off under `Default`, where this kernel has what that takes.
fn kept_off_by_default(is_one: bool) -> Expected {
    let executor = executor(Profile::Default, 1);
    let isolation = executor.isolation();
    let scoped = isolation.holds(Measure::OwnDomain) && isolation.holds(Measure::SignalScope);
    Expected {
        open: is_one.then_some(Succeeded),
        default: scoped.then_some(Refused),
    }
}

/// What `Default` lets tasks do.
const ALLOWED_BY_DEFAULT: Expected = Expected {
    open: Some(Succeeded),
    default: Some(Succeeded),
};

/// Tries attacks under each profile, one after the other, each beside another worker. What they attack goes
/// on to work.
fn attack<N: Copy + std::fmt::Debug>(
    expected: Expected,
    attacks: &[N],
    attempt: impl Fn(&Executor, N) -> TaskFuture<i32>,
) {
    let profiles = [
        (Profile::Open, expected.open),
        (Profile::Default, expected.default),
        (Profile::Untrusted, None),
    ];
    for (profile, due) in profiles {
        let executor = executor(profile, 2);
        for &name in attacks {
            until("all workers are there", || {
                executor.worker_pids().len() == 2
            });
            let fate = fate(attempt(&executor, name).result());
            if let Some(due) = due {
                assert_eq!(fate, due, "{name:?} under {profile:?}");
            } else if profile == Profile::Untrusted {
                assert_ne!(fate, Succeeded, "{name:?} under {profile:?}");
            }
        }
        maps(&executor, 20);
    }
}

fn settings(profile: Profile, workers: usize) -> ExecutorBuilder {
    builder(workers)
        .profile(profile)
        .restart_limit(u32::MAX, Duration::from_secs(1))
}

/// An executor whose workers may be spent as attackers like.
fn executor(profile: Profile, workers: usize) -> Executor {
    settings(profile, workers).build().unwrap()
}

/// Under each profile, and many calls for each worker, so that one attacks what others use.
fn under_each_profile(body: impl Fn(Profile, Executor)) {
    for profile in [Profile::Open, Profile::Default, Profile::Untrusted] {
        let builder = settings(profile, 2).max_tasks_per_worker(1000);
        body(profile, builder.build().unwrap());
    }
}

/// Whether nothing but a profile keeps a process from others of the same user.
fn nothing_else_guards() -> bool {
    let yama = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let nothing_guards = yama.is_empty() || yama.starts_with('0');
    if !nothing_guards {
        skipped(
            "what T1 comes to without a profile",
            "Yama guards processes",
        );
    }
    nothing_guards
}

/// Who is attacked from within a worker.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Victim {
    Application,
    ForkServer,
    Sibling,
}
const VICTIMS: [Victim; 3] = [Victim::Application, Victim::ForkServer, Victim::Sibling];

/// Each way, with each victim.
fn on_each_victim<W: Copy>(ways: &[W]) -> Vec<(W, Victim)> {
    let on_each = |&way: &W| VICTIMS.map(|victim| (way, victim));
    ways.iter().flat_map(on_each).collect()
}

/// The processes of an executor, as its attackers are told of them.
#[derive(Serialize, Deserialize)]
struct Processes {
    application: u32,
    workers: Vec<u32>,
}

impl Processes {
    fn of(executor: &Executor) -> Self {
        Self {
            application: process::id(),
            workers: executor.worker_pids(),
        }
    }

    /// The number of a victim, where the attacker is.
    fn pid(&self, victim: Victim) -> u32 {
        let is_other = |pid: &&u32| **pid != process::id();
        match victim {
            Victim::Application => self.application,
            Victim::ForkServer => parent_id(),
            Victim::Sibling => *self.workers.iter().find(is_other).unwrap(),
        }
    }
}

/// What others are after. It has its value in the application alone.
static SECRET: AtomicU64 = AtomicU64::new(1);
const PRICELESS: u64 = 0x5EC2_E7F0;

/// Ways to look into another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Look {
    ReadMemory,
    WriteMemory,
    ReadFile,
    WriteFile,
    Trace,
    TakeDescriptor,
    OpenDescriptor,
    ReadEnvironment,
    ReadMaps,
}

/// Looks into a victim, of which the application has its secret at that address.
#[task]
fn look(how: Look, victim: Victim, processes: Processes, secret: usize) -> i32 {
    let address = match victim {
        Victim::Application => secret,
        // Those that were forked have it where it is here.
        Victim::ForkServer | Victim::Sibling => raw::address(&SECRET),
    };
    look_into(how, processes.pid(victim), address)
}

fn look_into(how: Look, pid: u32, address: usize) -> i32 {
    let number = i32::try_from(pid).unwrap();
    let place = |file: &str| format!("/proc/{pid}/{file}");
    match how {
        Look::ReadMemory => raw::read_process(number, address, &mut [0; 8]),
        Look::WriteMemory => raw::write_process(number, address, 7_u64.to_ne_bytes()),
        Look::ReadFile => code(File::open(place("mem"))),
        Look::WriteFile => code(File::options().write(true).open(place("mem"))),
        Look::Trace => raw::trace(number),
        Look::TakeDescriptor => raw::take_descriptor(pid),
        Look::OpenDescriptor => code(fs::metadata(place("fd/0"))),
        Look::ReadEnvironment => code(fs::read(place("environ"))),
        Look::ReadMaps => code(fs::read(place("maps"))),
    }
}

#[test]
fn t01_memory_and_descriptors_of_others() {
    isolated(|| {
        SECRET.store(PRICELESS, Relaxed);
        let looks = [
            Look::ReadMemory,
            Look::WriteMemory,
            Look::ReadFile,
            Look::WriteFile,
            Look::Trace,
            Look::TakeDescriptor,
            Look::OpenDescriptor,
            Look::ReadEnvironment,
            Look::ReadMaps,
        ];
        let is_open = nothing_else_guards();
        for how in looks {
            let mut expected = kept_off_by_default(is_open);
            if raw::is_superuser() && matches!(how, Look::ReadEnvironment | Look::ReadMaps) {
                // Whoever may measure the performance of others may read these, domain or not.
                expected.default = None;
            }
            attack(
                expected,
                &on_each_victim(&[how]),
                |executor, (how, victim)| {
                    let address = raw::address(&SECRET);
                    executor.submit(look, (how, victim, Processes::of(executor), address))
                },
            );
            if how == Look::WriteMemory && is_open {
                assert_eq!(SECRET.swap(PRICELESS, Relaxed), 7, "Open writes for real");
            }
            assert_eq!(SECRET.load(Relaxed), PRICELESS);
        }
    });
}

/// Uses the application's clock.
#[task]
fn use_clock(application: u32, how: ClockUse) -> i32 {
    raw::use_clock_of(application, how)
}

#[test]
fn t01_clocks_of_others() {
    isolated(|| {
        let uses = [ClockUse::Read, ClockUse::Resolution, ClockUse::Sleep];
        attack(ALLOWED_BY_DEFAULT, &uses, |executor, how| {
            executor.submit(use_clock, (process::id(), how))
        });
    });
}

/// Reads those of everybody: 0 if it can.
#[task]
fn read_clocks() -> i32 {
    raw::read_clocks()
}

#[test]
fn what_time_it_is_can_be_asked_in_any_way() {
    isolated(|| {
        under_each_profile(|profile, executor| {
            let told = executor.submit(read_clocks, ()).result().unwrap();
            assert_eq!(told, 0, "{profile:?}");
        });
    });
}

/// Names its thread, and forbids that others look into its process: the errors of both.
#[task]
fn change_process() -> (i32, i32) {
    (raw::name_thread(c"named"), raw::be_undumpable())
}

/// A thread that the standard library starts names itself, and dies of a refusal where that library has its
/// assertions. Nothing else of that call is allowed.
#[test]
fn a_thread_can_be_named() {
    isolated(|| {
        under_each_profile(|profile, executor| {
            let (named, else_refused) = executor.submit(change_process, ()).result().unwrap();
            assert_eq!(named, 0, "{profile:?}");
            let due = if profile == Profile::Untrusted {
                libc::EPERM
            } else {
                0
            };
            assert_eq!(else_refused, due, "{profile:?}");
        });
    });
}

/// How many bytes of calls lie in the ring behind this one.
#[task]
fn calls_ahead() -> u64 {
    Rings::find().calls_ahead()
}

#[test]
fn untrusted_workers_are_dealt_one_call_at_a_time() {
    isolated(|| {
        under_each_profile(|profile, executor| {
            // Now that calls are known to be short, many are dealt ahead where that is allowed.
            maps(&executor, 500);
            let ahead = |_| {
                executor
                    .map(calls_ahead, [(); 200])
                    .map(Result::unwrap)
                    .max()
            };
            let most = (0..5).filter_map(ahead).max().unwrap();
            assert_eq!(
                most == 0,
                profile == Profile::Untrusted,
                "{profile:?}: {most}"
            );
        });
    });
}

/// Has the fork server trace this worker, and crashes.
#[task]
fn crash_under_trace() -> i32 {
    raw::have_parent_trace();
    process::abort()
}

#[test]
fn t01_a_worker_that_has_itself_traced_dies_all_the_same() {
    isolated(|| {
        under_each_profile(|profile, executor| {
            let error = executor.submit(crash_under_trace, ()).result().unwrap_err();
            let (kind, signal) = match profile {
                Profile::Untrusted => (TaskErrorKind::SandboxViolation, libc::SIGSYS),
                _ => (TaskErrorKind::WorkerDied, libc::SIGKILL),
            };
            assert_eq!(
                (error.kind(), error.signal()),
                (kind, Some(signal)),
                "{error}"
            );
            maps(&executor, 20);
        });
    });
}

/// Ways to signal another process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Call {
    Process,
    Thread,
    AnyThread,
    Descriptor,
    Queue,
    QueueOfThread,
}

/// Signals a victim.
#[task]
fn signal(how: Call, victim: Victim, processes: Processes) -> i32 {
    // One that nobody heeds who does not ask for it.
    const SIGNAL: i32 = libc::SIGURG;
    let pid = processes.pid(victim);
    let [number, signal] = [pid as usize, SIGNAL.unsigned_abs() as usize];
    match how {
        Call::Process => code(sys::kill(pid, SIGNAL)),
        Call::Thread => errno(call(libc::SYS_tgkill, [number, number, signal, 0])),
        Call::AnyThread => errno(call(libc::SYS_tkill, [number, signal, 0, 0])),
        Call::Descriptor => raw::signal_by_descriptor(pid, SIGNAL),
        Call::Queue => raw::queue_signal(pid, SIGNAL),
        Call::QueueOfThread => raw::queue_signal_of_thread(pid, SIGNAL),
    }
}

#[test]
fn t02_signals_to_others() {
    isolated(|| {
        let ways = on_each_victim(&[
            Call::Process,
            Call::Thread,
            Call::AnyThread,
            Call::Descriptor,
            Call::Queue,
            Call::QueueOfThread,
        ]);
        attack(
            kept_off_by_default(true),
            &ways,
            |executor, (how, victim)| {
                executor.submit(signal, (how, victim, Processes::of(executor)))
            },
        );
    });
}

/// Answers, and goes on to change what it has answered, until the worker is stopped.
#[task]
fn say_one_thing_and_another(milliseconds: u64) -> String {
    let rings = Rings::find();
    let seq = rings.own_seq();
    let end = Instant::now() + Duration::from_millis(milliseconds);
    // A text as MessagePack has it.
    let text = [vec![0xD9, rings::TEXT], vec![b'a'; rings::TEXT.into()]].concat();
    rings.forge(&Frame::result(seq, text));
    ring_all(&raw::sockets());
    while Instant::now() < end {
        for byte in [0xFF, b'a'] {
            rings.change_last(byte);
        }
    }
    sys::exit_at_once(3)
}

#[test]
fn t03_answers_that_change_while_they_are_read() {
    isolated(|| {
        under_each_profile(|profile, executor| {
            let mut caught = 0;
            for attempt in 0..400 {
                let told = executor.submit(say_one_thing_and_another, attempt % 20);
                match told.result() {
                    // What is a text was checked where nobody else writes.
                    Ok(text) => assert!(str::from_utf8(text.as_bytes()).is_ok()),
                    Err(error) => {
                        assert_eq!(error.kind(), TaskErrorKind::Decode, "{error}");
                        caught += 1;
                    }
                }
                if attempt > 20 && caught > 0 {
                    break;
                }
            }
            assert!(caught > 0, "it was taken after all changes, {profile:?}");
            maps(&executor, 20);
        });
    });
}

/// Shrinks the file behind the rings: what it met with.
#[task]
fn shrink() -> i32 {
    Rings::find().shrink()
}

/// Shrinks the file behind memory that nobody has sealed, and reads that.
#[task]
fn shrink_unsealed() -> i32 {
    raw::shrink_unsealed_and_read()
}

/// Takes the pages of the rings away, and ends: who has spoilt his own rings would spoil what he is given
/// next.
#[task]
fn punch() -> i32 {
    let met = Rings::find().punch();
    if met == 0 {
        process::abort();
    }
    met
}

#[test]
fn t04_memory_that_goes_away_under_the_reader() {
    isolated(|| {
        under_each_profile(|profile, executor| {
            assert_eq!(
                fate(executor.submit(shrink, ()).result()),
                Refused,
                "{profile:?}"
            );
            // What a reader comes to whose memory was not sealed.
            match executor.submit(shrink_unsealed, ()).result() {
                Err(error) => assert_eq!(error.signal(), Some(libc::SIGBUS), "{error}"),
                Ok(_) if profile == Profile::Untrusted => {}
                Ok(met) => {
                    assert_eq!(met, libc::EPERM, "{profile:?}");
                    skipped(
                        "to shrink what is mapped",
                        "it takes rights that are not had here",
                    );
                }
            }
            // A hole reads as zeros: whatever came of the call, the application has not died of it.
            let punched = executor.submit(punch, ()).result();
            fails_with(punched, TaskErrorKind::WorkerDied);
            maps(&executor, 20);
        });
    });
}

/// Sends descriptors over every socket that there is, so often each; how many were taken.
#[task]
fn send_descriptors(count: usize) -> usize {
    let null = File::open("/dev/null").map_or(0, std::os::fd::IntoRawFd::into_raw_fd);
    let sockets = raw::sockets();
    assert!(!sockets.is_empty(), "the control socket is there");
    let sent = sockets
        .into_iter()
        .flat_map(|socket| (0..count).map(move |_| raw::send_descriptor(socket, null)));
    sent.filter(|code| *code == 0).count()
}

/// Sends one to itself, which nobody refuses but a profile.
#[task]
fn send_descriptor_to_itself() -> i32 {
    match UnixStream::pair() {
        Ok((socket, _other)) => raw::send_descriptor(socket.as_raw_fd(), 0),
        Err(error) => code::<()>(Err(error)),
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn t05_t06_descriptors_from_workers() {
    isolated(|| {
        let to_itself = [()];
        attack(ALLOWED_BY_DEFAULT, &to_itself, |executor, ()| {
            executor.submit(send_descriptor_to_itself, ())
        });
        under_each_profile(|profile, executor| {
            maps(&executor, 20);
            assert_eq!(executor.worker_pids().len(), 2, "all of them are there");
            let before = descriptors();
            for count in [1, 500] {
                let sent = executor.submit(send_descriptors, count).result().unwrap();
                assert!(
                    profile != Profile::Untrusted || sent == 0,
                    "{sent} were sent"
                );
                maps(&executor, 20);
                until("none has come of it", || descriptors() == before);
            }
        });
    });
}

/// What a frame can lie about.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Lie {
    /// Nothing: this is the control.
    None,
    Status,
    LengthBeyondWhatWasSent,
    LengthBeyondAnyFrame,
    Total,
    TotalBeyondAnyMemory,
    Position,
    PositionFarAhead,
    PositionBehind,
    CallOfNobody,
    CallBefore,
    CallToCome,
    Twice,
}

/// Answers 42 in a frame that lies, and dies.
#[task]
fn lie(lie: Lie) -> u64 {
    let rings = Rings::find();
    let seq = rings.own_seq();
    let mut frame = Frame::result(seq, vec![42]);
    match lie {
        Lie::None | Lie::Twice | Lie::Position | Lie::PositionFarAhead | Lie::PositionBehind => {}
        Lie::Status => frame.status = 77,
        Lie::LengthBeyondWhatWasSent => frame.len = 4000,
        Lie::LengthBeyondAnyFrame => frame.len = u32::MAX,
        Lie::Total => frame.total = 5,
        Lie::TotalBeyondAnyMemory => frame.total = 1 << 60,
        Lie::CallOfNobody => frame.seq = seq.wrapping_sub(1000),
        Lie::CallBefore => frame.seq = seq.wrapping_sub(1),
        Lie::CallToCome => frame.seq = seq.wrapping_add(1),
    }
    rings.forge(&frame);
    match lie {
        Lie::Twice => rings.forge(&frame),
        Lie::Position => rings.push_head(1),
        Lie::PositionFarAhead => rings.push_head(1 << 20),
        Lie::PositionBehind => rings.push_head(u64::MAX - 63),
        _ => {}
    }
    sys::exit_at_once(3)
}

/// What lies of a worker come to, for the call that it ran; no other call is harmed.
fn is_seen_through(lies: &[Lie], is_fine: impl Fn(Lie, Result<u64, TaskErrorKind>) -> bool) {
    under_each_profile(|profile, executor| {
        let others: Vec<_> = (0..50).map(|x| executor.submit(tasks::cube, x)).collect();
        for &tried in lies {
            let told = executor.submit(lie, tried).result();
            let told = told.map_err(|error| error.kind());
            assert!(
                is_fine(tried, told),
                "{tried:?} under {profile:?}: {told:?}"
            );
        }
        for (x, other) in (0..).zip(others) {
            assert_eq!(other.result().unwrap(), tasks::cube(x));
        }
        maps(&executor, 20);
    });
}

#[test]
fn t07_lengths_and_positions_that_lie() {
    isolated(|| {
        let lies = [
            Lie::None,
            Lie::LengthBeyondWhatWasSent,
            Lie::LengthBeyondAnyFrame,
            Lie::Total,
            Lie::TotalBeyondAnyMemory,
            Lie::Position,
            Lie::PositionFarAhead,
            Lie::PositionBehind,
        ];
        let before = resident();
        is_seen_through(&lies, |lie, told| match lie {
            // Of the call that it runs it is believed.
            Lie::None => told == Ok(42),
            _ => told == Err(TaskErrorKind::WorkerDied),
        });
        assert!(resident() < before + (64 << 20), "lies take memory");
    });
}

#[test]
fn t10_answers_to_calls_of_others_and_second_answers() {
    isolated(|| {
        let lies = [
            Lie::None,
            Lie::Status,
            Lie::CallOfNobody,
            Lie::CallBefore,
            Lie::CallToCome,
            Lie::Twice,
        ];
        is_seen_through(&lies, |lie, told| match lie {
            Lie::None | Lie::Twice => told == Ok(42),
            _ => told == Err(TaskErrorKind::WorkerDied),
        });
    });
}

/// A tree, as deep and as wide as it comes.
#[derive(Debug, Serialize, Deserialize)]
struct Tree(Vec<Tree>);

/// What is answered in the place of a tree.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Seed {
    Small,
    /// Lists within lists that each claim four billion elements.
    Wide,
    Deep,
}

impl Seed {
    /// As `MessagePack` has it.
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Small => vec![0x92, 0x91, 0x90, 0x90],
            Self::Wide => [0xDD, 0xFF, 0xFF, 0xFF, 0xFF].repeat(1000),
            Self::Deep => vec![0x91; 12_000],
        }
    }
}

/// Answers so, and dies.
#[task]
fn grow(seed: Seed) -> Tree {
    let rings = Rings::find();
    rings.forge(&Frame::result(rings.own_seq(), seed.bytes()));
    sys::exit_at_once(3)
}

/// Decodes such an answer without any limits, on a thread as others have; how much memory is then reserved
/// at the most.
#[task]
fn fall_for(seed: Seed) -> usize {
    let decode = move || {
        let bytes = seed.bytes();
        let mut decoder = rmp_serde::Deserializer::from_read_ref(&bytes);
        decoder.set_max_depth(usize::MAX);
        Tree::deserialize(&mut decoder).unwrap_err();
        most_reserved()
    };
    let thread = thread::Builder::new().stack_size(2 << 20).spawn(decode);
    thread.unwrap().join().unwrap()
}

/// What is less than a bomb reserves, and more than the application ever does here.
const LARGE: usize = 700 << 20;

/// What becomes of whoever decodes it without limits.
fn bombed(seed: Seed) -> Result<usize, TaskError> {
    executor(Profile::Open, 1).submit(fall_for, seed).result()
}

fn is_no_bomb(seed: Seed) {
    under_each_profile(|profile, executor| {
        let tree = executor.submit(grow, Seed::Small).result().unwrap();
        assert_eq!(tree.0.len(), 2, "{profile:?}");
        let (before, reserved) = (resident(), most_reserved());
        let grown = executor.submit(grow, seed).result();
        fails_with(grown.map(drop), TaskErrorKind::Decode);
        assert!(resident() < before + (32 << 20), "{profile:?}");
        assert!(most_reserved() < reserved + LARGE, "{profile:?}");
        maps(&executor, 20);
    });
}

#[test]
fn t08_bombs_of_memory() {
    isolated(|| {
        match bombed(Seed::Wide) {
            Ok(reserved) => assert!(reserved > LARGE),
            // Where so much cannot even be reserved.
            Err(error) => assert_eq!(error.kind(), TaskErrorKind::WorkerDied),
        }
        is_no_bomb(Seed::Wide);
    });
}

#[test]
fn t09_bombs_of_stack() {
    isolated(|| {
        let overflow = fails_with(bombed(Seed::Deep), TaskErrorKind::WorkerDied);
        assert_eq!(overflow.signal(), Some(libc::SIGSEGV), "{overflow}");
        is_no_bomb(Seed::Deep);
    });
}

/// Rings at all of them, of which a full one takes no more; how many took it.
fn ring_all(sockets: &[i32]) -> usize {
    let took_it = |socket: &&i32| raw::send_byte(**socket) == 0;
    sockets.iter().filter(took_it).count()
}

/// When the child of a worker talks in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Talk {
    /// While that lives: this is the control.
    Before,
    /// Once it is dead, for as long as it can.
    After,
}

/// Has a child answer, 42, and ring, and dies.
#[task]
fn haunt(log: PathBuf, talk: Talk) -> i32 {
    let (rings, sockets, worker) = (Rings::find(), raw::sockets(), process::id());
    let answer = Frame::result(rings.own_seq(), vec![42]);
    rings.leave_to_children();
    let child = || {
        rings.forge(&answer);
        ring_all(&sockets);
    };
    let forked = match talk {
        Talk::Before => raw::in_child(|| {
            child();
            0
        }),
        Talk::After => raw::fork(|| {
            while parent_id() == worker {}
            loop {
                child();
            }
        }),
    };
    if forked != 0 {
        return forked;
    }
    File::create(log).unwrap();
    process::abort()
}

#[test]
fn t11_what_outlives_a_worker_and_talks_on() {
    isolated(|| {
        let scratch = Scratch::new();
        under_each_profile(|profile, executor| {
            for talk in [Talk::Before, Talk::After] {
                let log = scratch.path(&format!("{profile:?} {talk:?}"));
                let told = executor.submit(haunt, (log.clone(), talk)).result();
                match (profile, told) {
                    (Profile::Untrusted, told) => assert_eq!(told.unwrap(), libc::EPERM),
                    // It may come before anybody knows of the death, as from the worker itself.
                    (_, Ok(answer)) => assert_eq!(answer, 42),
                    (_, Err(error)) => {
                        assert_eq!(error.kind(), TaskErrorKind::WorkerDied, "{error}");
                        assert_eq!(talk, Talk::After, "{error}");
                    }
                }
                if profile != Profile::Untrusted {
                    until("it has forked", || log.exists());
                }
                maps(&executor, 100);
            }
        });
    });
}

/// More than it takes for a flood.
const FLOOD: usize = 1000;

/// Rings until nobody wants it to go on, and so often at least; how often.
#[task]
fn ring_and_ring() -> usize {
    let sockets = raw::sockets();
    let call = current().unwrap();
    let mut rung = 0;
    while !call.is_cancelled() || rung <= FLOOD {
        rung += ring_all(&sockets);
    }
    rung
}

/// Checks that the other worker serves all others.
fn serves_others(executor: &Executor) {
    for x in 0..100 {
        let other = executor.submit(tasks::cube, x).result().unwrap();
        assert_eq!(other, tasks::cube(x));
    }
}

#[test]
fn t12_a_flood_starves_nobody() {
    isolated(|| {
        under_each_profile(|profile, executor| {
            let flood = executor.submit(ring_and_ring, ());
            until("it rings", || flood.is_running());
            serves_others(&executor);
            assert!(!flood.is_done(), "{profile:?}: all were served beside it");
            assert!(!flood.cancel(), "it has begun");
            let rung = flood.result().unwrap();
            assert!(rung > FLOOD, "{profile:?}");
        });
    });
}

/// How many messages a socket is sure not to hold.
const MESSAGES: u32 = 500;

/// Takes notice of a value.
#[task]
fn hear_of(value: Shared<[u32]>) -> u32 {
    value[0]
}

/// Stops all threads of this worker, so that it reads nothing more.
#[task]
fn be_deaf() {
    sys::kill(process::id(), libc::SIGSTOP).unwrap();
    // Another thread may be the first that is stopped.
    loop {
        thread::park();
    }
}

/// Whether any of these is stopped.
fn is_one_stopped(pids: &[u32]) -> bool {
    let is_stopped = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        status.is_ok_and(|status| status.contains("\nState:\tT"))
    };
    pids.iter().any(is_stopped)
}

#[test]
fn t12_who_never_reads_starves_nobody() {
    isolated(|| {
        under_each_profile(|_, executor| {
            let values: Vec<_> = (0..MESSAGES)
                .map(|number| Shared::from_slice(&[number]))
                .collect();
            for (number, value) in (0..).zip(&values) {
                for heard in executor.broadcast(hear_of, value.clone()) {
                    assert_eq!(heard.result().unwrap(), number);
                }
            }
            let deaf = executor.submit(be_deaf, ());
            until("it reads no more", || {
                is_one_stopped(&executor.worker_pids())
            });
            // Of which all workers are told that had them.
            drop(values);
            serves_others(&executor);
            // It may have been found out by then.
            deaf.kill();
            let kind = deaf.result().unwrap_err().kind();
            assert!(matches!(
                kind,
                TaskErrorKind::Killed | TaskErrorKind::WorkerDied
            ));
            maps(&executor, 20);
        });
    });
}

/// Where memory is that no limit to a process's own counts.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Hoard {
    File,
    Shared,
    Pipe,
    TemporaryFile,
}

/// Takes a page of it.
#[task]
fn hoard(place: Hoard, path: PathBuf) -> i32 {
    match place {
        Hoard::File => raw::fill_memory_file(4096),
        Hoard::Shared => raw::map_shared(4096),
        Hoard::Pipe => code(std::io::pipe()),
        Hoard::TemporaryFile => code(fs::write(path, [1; 4096])),
    }
}

#[test]
fn t13_memory_that_nobody_counts() {
    isolated(|| {
        let scratch = Scratch::new();
        let places = [
            Hoard::File,
            Hoard::Shared,
            Hoard::Pipe,
            Hoard::TemporaryFile,
        ];
        attack(ALLOWED_BY_DEFAULT, &places, |executor, place| {
            executor.submit(hoard, (place, scratch.path("page")))
        });
    });
}

/// Ways to become many.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Spawn {
    Fork,
    Daemon,
    Thread,
    Program,
    Executor,
}

/// Becomes one more.
#[task]
fn spawn(how: Spawn) -> i32 {
    match how {
        Spawn::Fork => raw::fork(|| {
            thread::sleep(Duration::from_mins(1));
        }),
        Spawn::Daemon => raw::fork(|| {
            raw::leave_session();
            raw::fork(|| thread::sleep(Duration::from_mins(1)));
        }),
        Spawn::Thread => code(thread::Builder::new().spawn(|| ())),
        Spawn::Program => code(process::Command::new("/bin/true").status()),
        Spawn::Executor => i32::from(builder(1).build().is_err()),
    }
}

#[test]
fn t14_more_processes() {
    isolated(|| {
        let ways = [
            Spawn::Fork,
            Spawn::Daemon,
            Spawn::Thread,
            Spawn::Program,
            Spawn::Executor,
        ];
        attack(ALLOWED_BY_DEFAULT, &ways, |executor, how| {
            executor.submit(spawn, how)
        });
        // That the forked are gone, the look at what the test has left tells.
    });
}

/// What a worker has of the application: its secret, a variable, descriptors, cores.
#[task]
fn inheritance() -> (u64, Option<String>, usize, u64) {
    let variable = std::env::var("POOL_TEST_SECRET").ok();
    let open = (0..200).filter(|fd| raw::is_open(*fd)).count();
    (SECRET.load(Relaxed), variable, open, raw::core_limit())
}

#[test]
fn t15_what_workers_inherit() {
    pool_tests::Isolated::new()
        .env("POOL_TEST_SECRET", "priceless")
        .run(|| {
            SECRET.store(PRICELESS, Relaxed);
            let file = File::open("/proc/version").unwrap();
            let _leaked = raw::copies_without_close_on_exec(&file, 20);
            // The guard of tests has put it out, too.
            sys::limit(libc::RLIMIT_CORE, u64::MAX).unwrap();
            let (secret, variable, open, core) = inheritance();
            assert_eq!(secret, PRICELESS);
            assert!(variable.is_some() && open > 20);
            if core == 0 {
                skipped("core files of T15", "nothing here may leave any");
            }
            under_each_profile(|profile, executor| {
                let told = executor.submit(inheritance, ()).result().unwrap();
                let (secret, variable, open, core) = told;
                assert_ne!(secret, PRICELESS);
                assert!(open < 12, "{open} descriptors");
                assert_eq!(core, 0);
                let is_told = profile != Profile::Untrusted;
                assert_eq!(
                    variable.is_some(),
                    is_told,
                    "the environment is the application's"
                );
            });
        });
}

/// What an attacker learns of memory by a crash.
#[task]
fn layout() -> (u64, usize) {
    raw::layout()
}

/// Crashes, as an attack does that guesses wrong where something lies.
#[task]
fn guess(known: (u64, usize)) {
    if raw::layout() != known {
        process::abort();
    }
}

#[test]
fn t16_what_is_learnt_in_one_worker_helps_in_no_other() {
    isolated(|| {
        // Whether workers have layouts of their own, and whether what was learnt in one helps in another.
        let attack = |profile, start_method| {
            let builder = settings(profile, 1).max_tasks_per_worker(1);
            let executor = match start_method {
                Some(method) => builder.start_method(method).build().unwrap(),
                None => builder.build().unwrap(),
            };
            let is_own = executor.isolation().holds(Measure::OwnLayout);
            let learnt = executor.submit(layout, ()).result().unwrap();
            let crashed = executor.submit(guess, (0, 0)).result();
            fails_with(crashed, TaskErrorKind::WorkerDied);
            let helps = match executor.submit(guess, learnt).result() {
                Ok(()) => true,
                Err(error) => {
                    assert_eq!(error.kind(), TaskErrorKind::WorkerDied, "{error}");
                    false
                }
            };
            (is_own, helps)
        };
        assert_eq!(attack(Profile::Untrusted, None), (true, false));
        let forked = Some(StartMethod::ForkServer);
        for profile in [Profile::Untrusted, Profile::Default, Profile::Open] {
            assert_eq!(attack(profile, forked), (false, true), "{profile:?}");
        }
    });
}

/// Puts a character into the terminal at this path, as an ordinary user.
#[task]
fn type_into(terminal: String) -> i32 {
    let Ok(terminal) = File::options().read(true).write(true).open(terminal) else {
        return libc::EACCES;
    };
    // A superuser may do so in any terminal.
    match raw::become_nobody() {
        0 => raw::inject(&terminal),
        _ if raw::is_superuser() => libc::EPERM,
        _ => raw::inject(&terminal),
    }
}

/// Opens the terminal of its session.
#[task]
fn open_terminal() -> i32 {
    code(File::open("/dev/tty"))
}

/// Panics with what would clear a terminal.
#[task]
fn escape() {
    panic!("\x1b[2J\x1b]0;owned\x07\r\n");
}

#[test]
fn t17_the_terminal() {
    isolated(|| {
        // The application's own, which it can type into, as can whoever is in its session.
        let Ok((_master, path)) = raw::terminal() else {
            skipped("T17", "there are no terminals");
            return;
        };
        let terminal = raw::lead_terminal(&path).unwrap();
        if open_terminal() != 0 {
            skipped("the terminal of a session", "this one cannot have any");
        }
        let typing = path.clone();
        if raw::in_child(|| type_into(typing)) != 0 {
            let allowed = fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti");
            let is_allowed = allowed.is_ok_and(|allowed| allowed.starts_with('1'));
            assert!(!is_allowed || is_filtered(), "the attack is none");
            skipped("to type into a terminal", "nobody is let do so here");
        }
        under_each_profile(|profile, executor| {
            let typed = executor.submit(type_into, path.clone()).result();
            assert_ne!(fate(typed), Succeeded, "{profile:?}");
            let opened = executor.submit(open_terminal, ()).result();
            assert_ne!(fate(opened), Succeeded, "{profile:?}");
            let error = executor.submit(escape, ()).result().unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(char::is_control), "{shown:?}");
            let told = error.panic_message().unwrap();
            assert!(told.contains(char::is_control), "{told:?} is harmless");
        });
        raw::leave_terminal(&terminal);
    });
}

/// Executes the program as nobody; 0 if it ran with the rights of its owner, the superuser.
#[task]
fn execute(program: PathBuf) -> i32 {
    match raw::execute_as_nobody(&program) {
        0 => 0,
        other => other.max(1),
    }
}

/// Whether a program that it executes can gain privileges: 0 if so.
#[task]
fn can_gain() -> i32 {
    raw::no_new_privileges()
}

#[test]
fn t18_programs_that_gain_privileges() {
    isolated(|| {
        let expected = Expected {
            open: Some(Succeeded),
            default: Some(Refused),
        };
        if raw::no_new_privileges() != 0 {
            skipped("T18", "nothing that is started here can gain privileges");
            return;
        }
        attack(expected, &["a promise to the kernel"], |executor, _| {
            executor.submit(can_gain, ())
        });
        let scratch = Scratch::new();
        let Some(program) = set_user_id_program(&scratch) else {
            skipped(
                "a program with its owner's rights",
                "only the superuser can make one, and not in every directory",
            );
            return;
        };
        attack(expected, &["a program"], |executor, _| {
            executor.submit(execute, program.clone())
        });
    });
}

/// A program of the superuser's that exits with 0 if it has its owner's rights. Only the superuser can make
/// one, and not in every directory.
fn set_user_id_program(scratch: &Scratch) -> Option<PathBuf> {
    let source = scratch.path("privileged.c");
    fs::write(
        &source,
        "#include <unistd.h>\nint main(void) { return geteuid() != 0; }\n",
    )
    .unwrap();
    let path = scratch.path("privileged");
    let compiled = process::Command::new("cc")
        .arg("-o")
        .args([&path, &source])
        .status();
    assert!(compiled.unwrap().success());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
    (raw::is_superuser() && raw::execute_as_nobody(&path) == 0).then_some(path)
}

/// What is outside of the machine's memory.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Reach {
    Connect,
    Listen,
    ReadFile,
    WriteFile,
    AbstractSocket,
    /// As that of D-Bus.
    NamedSocket,
}

/// Reaches for it.
#[task]
fn reach(what: Reach, port: u16, name: String, folder: PathBuf) -> i32 {
    match what {
        Reach::Connect => code(TcpStream::connect(("127.0.0.1", port))),
        Reach::Listen => code(TcpListener::bind(("127.0.0.1", 0))),
        Reach::ReadFile => code(fs::read("/proc/version")),
        Reach::WriteFile => code(fs::write(folder.join("file"), b"x")),
        Reach::AbstractSocket => {
            let address = SocketAddr::from_abstract_name(name).unwrap();
            code(UnixStream::connect_addr(&address))
        }
        Reach::NamedSocket => code(UnixStream::connect(folder.join("socket"))),
    }
}

#[test]
fn t19_files_and_networks() {
    isolated(|| {
        let scratch = Scratch::new();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = format!("pool-test-{}", process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let _listener = UnixListener::bind_addr(&address).unwrap();
        let folder = scratch.path("folder");
        fs::create_dir(&folder).unwrap();
        let _named = UnixListener::bind(folder.join("socket")).unwrap();
        let all = [
            Reach::Connect,
            Reach::Listen,
            Reach::ReadFile,
            Reach::WriteFile,
            Reach::AbstractSocket,
            Reach::NamedSocket,
        ];
        attack(ALLOWED_BY_DEFAULT, &all, |executor, what| {
            executor.submit(reach, (what, port, name.clone(), folder.clone()))
        });
    });
}

/// What a file tells who may not read it: its size, where it points to, what it holds, which names.
#[task]
fn ask_about(path: PathBuf) -> (Result<u64, i32>, Result<PathBuf, i32>, i32, i32) {
    let size = fs::symlink_metadata(&path).map(|known| known.len());
    let target = fs::read_link(&path);
    (
        size.map_err(|error| code::<()>(Err(error))),
        target.map_err(|error| code::<()>(Err(error))),
        code(fs::read(&path)),
        code(fs::read_dir(&path)),
    )
}

#[test]
fn t19_what_files_tell_that_are_not_granted() {
    isolated(|| {
        let scratch = Scratch::new();
        let [file, folder, link] = ["file", "folder", "link"].map(|name| scratch.path(name));
        fs::write(&file, [0; 1234]).unwrap();
        fs::create_dir(&folder).unwrap();
        symlink(&file, &link).unwrap();
        // Nothing else guards them.
        for profile in [Profile::Open, Profile::Default] {
            let executor = executor(profile, 1);
            let ask = |path: &PathBuf| executor.submit(ask_about, path.clone()).result().unwrap();
            let (.., content, _) = ask(&file);
            let (.., names) = ask(&folder);
            assert_eq!((content, names), (0, 0), "{profile:?}");
        }
        let executor = executor(Profile::Untrusted, 1);
        let ask = |path: PathBuf| executor.submit(ask_about, path).result().unwrap();
        // As told in RELIABILITY.md: that it is there, and about it, but nothing that is in it.
        let (size, _, content, _) = ask(file.clone());
        assert_eq!((size, content), (Ok(1234), libc::EACCES));
        let (size, _, _, names) = ask(folder);
        assert!(size.is_ok());
        assert_eq!(names, libc::EACCES);
        let (_, target, content, _) = ask(link);
        assert_eq!((target, content), (Ok(file), libc::EACCES));
        let (size, _, content, _) = ask(scratch.path("missing"));
        assert_eq!((size, content), (Err(libc::ENOENT), libc::ENOENT));
        // Of other processes, that they are there alone.
        let application = PathBuf::from(format!("/proc/{}", process::id()));
        assert!(ask(application.clone()).0.is_ok());
        let (_, target, ..) = ask(application.join("exe"));
        assert_eq!(target, Err(libc::EACCES));
    });
}

/// System calls that filters may not see for what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Hidden {
    Ring,
    Clone3,
    Bits32,
    X32,
}

/// Makes it.
#[task]
fn hide(how: Hidden) -> i32 {
    match how {
        Hidden::Ring => raw::make_io_uring(),
        Hidden::Clone3 => raw::clone_by_structure(),
        Hidden::Bits32 => i32::from(raw::getpid_of_32_bits() != i64::from(process::id())),
        Hidden::X32 => errno(call(0x4000_0000 | libc::SYS_getpid, [0; 4])),
    }
}

/// Whether a filter of system calls, as containers have, lies around all this.
fn is_filtered() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    !status.contains("\nSeccomp:\t0")
}

/// Whether the kernel's settings keep rings of system calls from some or all.
fn has_no_rings() -> bool {
    let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    disabled.is_ok_and(|disabled| !disabled.starts_with('0'))
}

/// Whether this kernel knows such a call, as a task finds that nothing keeps off; says so if not.
fn is_known(how: Hidden) -> bool {
    let told = executor(Profile::Open, 1).submit(hide, how).result();
    let lacks = match how {
        Hidden::Ring | Hidden::Clone3 => match told {
            Ok(libc::ENOSYS) => true,
            Ok(libc::EPERM) => is_filtered() || has_no_rings(),
            _ => false,
        },
        Hidden::X32 => matches!(told, Ok(libc::ENOSYS)),
        // Without numbers of 32 bits, to call by them is a fault.
        Hidden::Bits32 => {
            cfg!(not(target_arch = "x86_64"))
                || matches!(&told, Err(error) if error.signal() == Some(libc::SIGSEGV))
        }
    };
    if lacks {
        skipped(
            &format!("what {how:?} of T20 comes to"),
            "the kernel has none, or a filter around this",
        );
    }
    !lacks
}

#[test]
fn t20_system_calls_that_hide() {
    isolated(|| {
        for how in [Hidden::Ring, Hidden::Clone3, Hidden::Bits32, Hidden::X32] {
            if is_known(how) {
                attack(ALLOWED_BY_DEFAULT, &[how], |executor, how| {
                    executor.submit(hide, how)
                });
            }
            let told = executor(Profile::Untrusted, 1).submit(hide, how).result();
            match how {
                Hidden::Ring | Hidden::Clone3 => assert_eq!(told.unwrap(), libc::ENOSYS),
                // Not what a kernel says that has none.
                Hidden::X32 => assert_eq!(told.unwrap(), libc::EPERM),
                Hidden::Bits32 if cfg!(target_arch = "x86_64") => assert_eq!(fate(told), Killed),
                Hidden::Bits32 => {}
            }
        }
    });
}

/// Writes what chance says into all that it shares with the application, over and over, and dies.
#[task]
fn scribble(seed: u64, milliseconds: u64) {
    let rings = Rings::find();
    let end = Instant::now() + Duration::from_millis(milliseconds);
    for round in 0.. {
        rings.scribble(seed + round);
        if Instant::now() > end {
            sys::exit_at_once(3);
        }
    }
}

#[test]
fn t21_shared_memory_full_of_garbage() {
    isolated(|| {
        under_each_profile(|profile, executor| {
            for seed in 1..12 {
                // It may have written over where it would have been rung, or rings.
                let patient = executor.options().timeout(Duration::from_secs(2));
                let vandal = patient.submit(scribble, (seed * 0x9E37_79B9, seed));
                let others: Vec<_> = (0..50).map(|x| executor.submit(tasks::cube, x)).collect();
                // Whatever becomes of its own call, it ends.
                if let Err(error) = vandal.result() {
                    let kinds = [TaskErrorKind::WorkerDied, TaskErrorKind::TimedOut];
                    assert!(kinds.contains(&error.kind()), "{error}");
                }
                for (x, other) in (0..).zip(others) {
                    match other.result() {
                        Ok(cube) => assert_eq!(cube, tasks::cube(x), "{profile:?}"),
                        // Of calls that it was dealt ahead, a worker can say that it has begun them.
                        Err(error) => {
                            assert_eq!(error.kind(), TaskErrorKind::WorkerDied, "{error}");
                            assert_ne!(profile, Profile::Untrusted, "{error}");
                        }
                    }
                }
            }
            maps(&executor, 100);
        });
    });
}

/// Fills the disk, a byte of it.
#[task]
fn fill_disk(path: PathBuf) -> i32 {
    code(fs::write(path, b"x"))
}

/// Crashes with a core file, if it may have one, or can allow itself one.
#[task]
fn dump(asks: bool) -> i32 {
    if asks {
        // Where that is refused, there is no file.
        let _ = sys::limit(libc::RLIMIT_CORE, 1 << 20);
    }
    process::abort()
}

/// Whether this kernel leaves cores as files where a process runs; says so if not.
fn leaves_cores_here() -> bool {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let is_elsewhere = pattern.is_empty() || pattern.starts_with(['|', '/', '@']);
    let is_here = !is_elsewhere && raw::core_limit() > 0;
    if !is_here {
        skipped(
            "a core file",
            "they are put elsewhere here, or there are none",
        );
    }
    is_here
}

#[test]
fn t22_disks_full_of_cores_and_files() {
    isolated(|| {
        // As where nobody keeps cores off: the guard of tests does.
        sys::limit(libc::RLIMIT_CORE, u64::MAX).unwrap();
        let leaves_cores = leaves_cores_here();
        under_each_profile(|profile, _| {
            let scratch = Scratch::new();
            let folder = scratch.path("folder");
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
            let executor = settings(profile, 1).current_dir(&folder).build().unwrap();
            let cores_after = |asks| {
                let told = executor.submit(dump, asks).result();
                fails_with(told, TaskErrorKind::WorkerDied);
                fs::read_dir(&folder).unwrap().count()
            };
            assert_eq!(cores_after(false), 0, "{profile:?}");
            let is_kept_off = profile == Profile::Untrusted;
            if leaves_cores || is_kept_off {
                assert_eq!(cores_after(true) == 0, is_kept_off, "{profile:?}");
            }
            let filled = executor.submit(fill_disk, folder.join("file")).result();
            let due = if is_kept_off { Refused } else { Succeeded };
            assert_eq!(fate(filled), due, "{profile:?}");
        });
    });
}
