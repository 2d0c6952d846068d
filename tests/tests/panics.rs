//! Panics of users' code wherever the pool runs it: each costs one call at most, and nothing hangs.

use std::{
    fmt,
    mem::{self, ManuallyDrop},
    panic::{self, AssertUnwindSafe, catch_unwind, panic_any},
    pin::Pin,
    process, ptr,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::channel,
    },
    task::{Context, RawWaker, RawWakerVTable, Waker},
    thread,
    time::Duration,
};

use pool_core::{Executor, Shared, TaskErrorKind, current, task};
use pool_tests::{
    Fragile, Gate, Log, Misdeed, Outcome, PATIENCE, Scratch, Stage, builder, cubes, executor,
    fails_with, isolated, maps,
    suite::{held, pids, why_broken},
    sys,
    tasks::{cube, pass},
    until, values,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol::stream::StreamExt;

/// What panics on purpose say.
const MESSAGE: &str = "on purpose";

/// Checks that calls return, whatever waits for them.
#[track_caller]
fn works(executor: &Executor) {
    assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    assert_eq!(pollster::block_on(executor.submit(cube, 3)).unwrap(), 27);
    let (sender, told) = channel();
    let tell = move |result: Result<i64, _>| sender.send(result.unwrap()).unwrap();
    executor.submit(cube, 4).on_done(tell);
    assert_eq!(told.recv_timeout(PATIENCE), Ok(64));
    maps(executor, 50);
}

/// Checks that this panics, in this very thread.
#[track_caller]
fn panics<T>(what: impl FnOnce() -> T) {
    let result = catch_unwind(AssertUnwindSafe(what)).map(mem::forget);
    // To drop what was thrown may be to panic again.
    mem::forget(result.expect_err("it panics"));
}

/// A payload of panics that panics when it is dropped.
struct Sore;

impl Drop for Sore {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic_any(Self);
        }
    }
}

/// Where a value panics as it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Side {
    Application,
    Worker,
}

impl Side {
    fn here() -> Self {
        current().map_or(Self::Application, |_| Self::Worker)
    }
}

/// A value that panics as it is dropped on its side.
#[derive(Debug, Serialize, Deserialize)]
struct Bomb(Side);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(self.0 != Side::here() || thread::panicking(), "{MESSAGE}");
    }
}

#[task]
fn hand_back(bomb: Bomb) -> Bomb {
    bomb
}

#[task]
fn take(bomb: Bomb) {
    drop(bomb);
}

#[task]
fn take_and_fail(bomb: Bomb, fragile: Fragile) {
    drop((bomb, fragile));
}

#[task]
fn hand_back_and_fail(bomb: Bomb) -> (Bomb, Outcome) {
    (bomb, Outcome(Stage::DecodeResult, Misdeed::Fail))
}

#[test]
fn arguments_and_results_that_are_dropped_in_the_worker() {
    isolated(|| {
        let executor = executor(1);
        let workers = pids(&executor);
        let bomb = || Bomb(Side::Worker);
        for error in [
            executor.submit(take, bomb()).result().unwrap_err(),
            executor.submit(hand_back, bomb()).result().unwrap_err(),
        ] {
            assert_eq!(error.kind(), TaskErrorKind::Panicked);
            assert_eq!(error.panic_message(), Some(MESSAGE));
        }
        // Dropped because the next argument cannot be decoded.
        let fragile = Fragile(Stage::DecodeArguments, Misdeed::Fail);
        let half = executor.submit(take_and_fail, (bomb(), fragile));
        assert!(half.result().unwrap_err().to_string().contains(MESSAGE));
        works(&executor);
        assert_eq!(pids(&executor), workers, "no worker was lost");
    });
}

#[test]
fn arguments_that_are_dropped_in_the_application() {
    isolated(|| {
        let executor = builder(2).queue_limit(1).build().unwrap();
        let bomb = || Bomb(Side::Application);
        let given_away = executor.submit(take, bomb()).result();
        let error = fails_with(given_away, TaskErrorKind::Encode);
        assert!(error.to_string().contains(MESSAGE), "{error}");
        let kept = bomb();
        executor.submit_ref(take, &kept).result().unwrap();
        panics(|| drop(kept));
        let inputs = (0..20).map(|x| Bomb([Side::Application, Side::Worker][x % 2]));
        for (x, result) in executor.map(take, inputs).enumerate() {
            let kinds = [TaskErrorKind::Encode, TaskErrorKind::Panicked];
            fails_with(result, kinds[x % 2]);
        }
        for result in executor.broadcast(take, bomb()) {
            fails_with(result.result(), TaskErrorKind::Encode);
        }
        // What is no task takes no arguments, and no room in the queue.
        for _ in 0..2 {
            let unmarked = executor.try_submit(|bomb: Bomb| drop(bomb), bomb());
            fails_with(unmarked.unwrap().result(), TaskErrorKind::UnknownTask);
        }
        works(&executor);
    });
}

#[test]
fn results_that_are_dropped_in_the_application() {
    isolated(|| {
        let executor = executor(1);
        let workers = pids(&executor);
        let bomb = ManuallyDrop::new(Bomb(Side::Application));
        let call = || executor.submit_ref(hand_back, &bomb);
        panics(|| drop(call().result()));
        panics(|| drop(pollster::block_on(call())));
        panics(|| executor.map_ref(hand_back, [&*bomb; 3]).count());
        call().on_done(drop);
        drop(call());
        // Dropped because what stands behind it cannot be decoded.
        let half = executor.submit_ref(hand_back_and_fail, &bomb).result();
        let error = fails_with(half.map(mem::forget), TaskErrorKind::Decode);
        assert!(error.to_string().contains(MESSAGE), "{error}");
        works(&executor);
        assert_eq!(pids(&executor), workers, "no worker was lost");
    });
}

/// A value that logs in the worker that it is dropped there, and panics with what panics in its turn.
#[derive(Serialize, Deserialize)]
struct Mine {
    application: u32,
    log: Log,
}

impl Drop for Mine {
    fn drop(&mut self) {
        if process::id() != self.application {
            self.log.add(process::id());
            panic_any(Sore);
        }
    }
}

#[task]
fn look_at(mines: Vec<Shared<Mine>>) -> usize {
    mines.len()
}

#[test]
fn shared_values_that_are_dropped_in_the_worker() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let (worker, dropped) = (executor.worker_pids()[0], scratch.log("dropped"));
        let application = process::id();
        let mines: Vec<_> = (0..4)
            .map(|_| Mine {
                application,
                log: dropped.clone(),
            })
            .map(|mine| executor.share(mine).unwrap())
            .collect();
        assert_eq!(executor.submit_ref(look_at, &mines).result().unwrap(), 4);
        let (running, gate) = held(&executor, &scratch);
        // So that the worker hears of all at once.
        sys::kill(worker, libc::SIGSTOP).unwrap();
        drop(mines);
        sys::kill(worker, libc::SIGCONT).unwrap();
        dropped.reaches(4);
        gate.open();
        assert_eq!(running.result().unwrap(), worker);
        works(&executor);
        assert_eq!(executor.worker_pids(), [worker]);
    });
}

/// The parts of a waker that may panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Part {
    None,
    Clone,
    Wake,
    Drop,
}

/// The part of [`WAKER`] that panics.
static PANICKING: AtomicU32 = AtomicU32::new(Part::None as u32);

/// How often it was woken.
static WOKEN: AtomicU32 = AtomicU32::new(0);

fn panic_in(part: Part) {
    assert_ne!(PANICKING.load(Ordering::SeqCst), part as u32, "{MESSAGE}");
}

fn wake(_: *const ()) {
    WOKEN.fetch_add(1, Ordering::SeqCst);
    panic_in(Part::Wake);
}

static WAKER: RawWakerVTable = RawWakerVTable::new(
    |data| {
        panic_in(Part::Clone);
        RawWaker::new(data, &WAKER)
    },
    wake,
    wake,
    |_| panic_in(Part::Drop),
);

/// A waker that panics where it is told to.
fn waker() -> ManuallyDrop<Waker> {
    // SAFETY: the functions touch no data, and may be called by any thread at any time.
    ManuallyDrop::new(unsafe { Waker::new(ptr::null(), &WAKER) })
}

#[test]
fn wakers() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        for part in [Part::None, Part::Clone, Part::Wake, Part::Drop] {
            let gate = scratch.gate(&format!("{part:?}"));
            let mut future = executor.submit(pass, (gate.clone(), 1));
            let inputs = [(gate.clone(), 2), (gate.clone(), 3)];
            let mut stream = executor.map(pass, inputs).into_stream();
            let waker = waker();
            let mut context = Context::from_waker(&waker);
            let woken = WOKEN.load(Ordering::SeqCst);
            PANICKING.store(part as u32, Ordering::SeqCst);
            let mut poll = || {
                catch_unwind(AssertUnwindSafe(|| {
                    assert!(Pin::new(&mut future).poll(&mut context).is_pending());
                    assert!(stream.poll_next(&mut context).is_pending());
                }))
            };
            assert_eq!(poll().is_ok(), part != Part::Clone);
            // A second one takes the place of the first, which is dropped.
            assert_eq!(poll().is_ok(), !matches!(part, Part::Clone | Part::Drop));
            gate.open();
            if part != Part::Clone {
                until("it is woken", || WOKEN.load(Ordering::SeqCst) > woken);
            }
            // Whoever comes after it is woken as ever, and nobody waits for the panicking one.
            works(&executor);
            PANICKING.store(Part::None as u32, Ordering::SeqCst);
            assert_eq!(pollster::block_on(&mut future).unwrap(), 1);
            let rest = pollster::block_on(stream.collect::<Vec<_>>());
            assert!(rest.into_iter().map(Result::unwrap).eq([2, 3]));
        }
    });
}

#[test]
fn callbacks() {
    isolated(|| {
        let executor = executor(1);
        for _ in 0..10 {
            let bomb = Bomb(Side::Application);
            executor.submit(cube, 1).on_done(move |_| drop(bomb));
            executor.submit(cube, 1).on_done(|_| panic_any(Sore));
            works(&executor);
        }
    });
}

/// The numbers below ten. A panic comes before the fifth, and when they are dropped.
struct Inputs {
    next: i64,
    has_panicked: bool,
}

impl Iterator for Inputs {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        assert!(
            self.next != 5 || mem::replace(&mut self.has_panicked, true),
            "{MESSAGE}"
        );
        self.next += 1;
        (self.next <= 10).then_some(self.next - 1)
    }
}

impl Drop for Inputs {
    fn drop(&mut self) {
        assert!(thread::panicking(), "{MESSAGE}");
    }
}

#[test]
fn inputs() {
    isolated(|| {
        let executor = executor(2);
        let inputs = || Inputs {
            next: 0,
            has_panicked: false,
        };
        let map = || executor.map(cube, inputs()).window(3);
        panics(|| map().count());
        panics(|| map().unordered().count());
        panics(|| pollster::block_on(map().into_stream().count()));
        // These are dropped with calls in flight.
        panics(|| drop(map().start()));
        panics(|| drop(map().start().unordered()));
        panics(|| drop(map().start().into_stream()));
        works(&executor);
        // A panic loses no input, and no result.
        let mut map = ManuallyDrop::new(map());
        let mut values = Vec::new();
        panics(|| values.extend(map.by_ref().map(Result::unwrap)));
        values.extend(map.by_ref().map(Result::unwrap));
        assert_eq!(values, cubes(10));
        let mut map = ManuallyDrop::into_inner(map);
        assert!(map.next().is_none());
        panics(|| drop(map));
        works(&executor);
    });
}

/// A value that throws, where serde meets it at its stage, what panics in its turn.
#[derive(Debug, Clone, Copy)]
struct Throwing(Stage);

impl Throwing {
    fn pass(self, application: Stage, worker: Stage) {
        let stage = match Side::here() {
            Side::Application => application,
            Side::Worker => worker,
        };
        if self.0 == stage {
            panic_any(Sore);
        }
    }
}

impl Serialize for Throwing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.pass(Stage::EncodeArguments, Stage::EncodeResult);
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Throwing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Self(Stage::deserialize(deserializer)?);
        value.pass(Stage::DecodeResult, Stage::DecodeArguments);
        Ok(value)
    }
}

#[task]
fn throw(value: Throwing) -> Throwing {
    if value.0 == Stage::Run {
        panic_any(Sore);
    }
    value
}

#[task]
fn stage_of(value: Shared<Throwing>) -> Stage {
    value.0
}

#[test]
fn what_is_thrown_may_panic_when_it_is_dropped() {
    isolated(|| {
        let executor = executor(1);
        let workers = pids(&executor);
        let stages = [
            (Stage::EncodeArguments, TaskErrorKind::Encode),
            (Stage::DecodeArguments, TaskErrorKind::Panicked),
            (Stage::Run, TaskErrorKind::Panicked),
            (Stage::EncodeResult, TaskErrorKind::Panicked),
            (Stage::DecodeResult, TaskErrorKind::Decode),
        ];
        for (stage, kind) in stages {
            fails_with(executor.submit(throw, Throwing(stage)).result(), kind);
            for result in executor.map(throw, [Throwing(stage); 3]) {
                fails_with(result, kind);
            }
            works(&executor);
        }
        let unshared = executor.share(Throwing(Stage::EncodeArguments));
        fails_with(unshared, TaskErrorKind::Encode);
        let shared = executor.share(Throwing(Stage::DecodeArguments)).unwrap();
        for _ in 0..2 {
            let call = executor.submit(stage_of, shared.clone());
            fails_with(call.result(), TaskErrorKind::Panicked);
        }
        works(&executor);
        assert_eq!(pids(&executor), workers, "no worker was lost");
    });
}

/// An error whose text throws what panics in its turn.
#[derive(Serialize, Deserialize)]
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic_any(Sore)
    }
}

#[task]
fn refuse() -> Result<(), Unspeakable> {
    Err(Unspeakable)
}

#[test]
fn errors_of_what_the_executor_runs_for_itself() {
    isolated(|| {
        for builder in [
            builder(2).initializer(refuse, ()),
            builder(2).preload(refuse, ()),
        ] {
            let text = why_broken(&builder.build().unwrap());
            assert!(text.contains("panicked"), "{text}");
        }
        works(&builder(2).on_worker_exit(refuse, ()).build().unwrap());
    });
}

/// A value that panics as it is dropped, whatever happens.
struct Ruthless;

impl Drop for Ruthless {
    fn drop(&mut self) {
        panic!("{MESSAGE}, once more");
    }
}

thread_local!(static AT_THE_END: Ruthless = const { Ruthless });

extern "C" fn foreign() {
    panic!("{MESSAGE}");
}

/// The ways to panic that end the worker.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Fatal {
    /// A panic while another one unwinds.
    Twice,
    /// A panic in a function that must not unwind.
    Foreign,
    /// A panic in the hook that is told of panics.
    Hook,
    /// A panic in the destructor of a variable of a thread.
    ThreadLocal,
}

#[task]
fn end_in_a_panic(how: Fatal) {
    match how {
        Fatal::Twice => {
            let _value = Ruthless;
            panic!("{MESSAGE}");
        }
        Fatal::Foreign => foreign(),
        Fatal::Hook => {
            panic::set_hook(Box::new(|_| panic!("of the hook")));
            panic!("{MESSAGE}");
        }
        Fatal::ThreadLocal => {
            let thread = thread::spawn(|| AT_THE_END.with(|_| ()));
            thread.join().unwrap();
        }
    }
}

#[test]
fn f02_those_that_end_the_worker_cost_one_call() {
    isolated(|| {
        let executor = executor(1);
        for how in [
            Fatal::Twice,
            Fatal::Foreign,
            Fatal::Hook,
            Fatal::ThreadLocal,
        ] {
            let fatal = executor.submit(end_in_a_panic, how);
            let behind: Vec<_> = (0..20).map(|x| executor.submit(cube, x)).collect();
            let error = fails_with(fatal.result(), TaskErrorKind::WorkerDied);
            assert_eq!(error.signal(), Some(libc::SIGABRT), "{error}");
            if let Fatal::Twice | Fatal::Foreign = how {
                let message = error.panic_message().unwrap_or_default();
                assert!(message.starts_with(MESSAGE), "{error}");
            }
            assert_eq!(values(behind), cubes(20), "{how:?}");
            works(&executor);
        }
    });
}

/// Leaves a variable of its thread behind that panics at the thread's end.
#[task]
fn leave_a_variable() {
    AT_THE_END.with(|_| ());
}

#[test]
fn variables_of_the_tasks_thread() {
    isolated(|| {
        let builder = builder(1).max_tasks_per_worker(1);
        let executor = builder.restart_limit(0, Duration::MAX).build().unwrap();
        for _ in 0..5 {
            executor.submit(leave_a_variable, ()).result().unwrap();
        }
        works(&executor);
    });
}

/// Panics while a thread of its own goes on, which logs itself once the gate is open.
#[task]
fn panic_beside_a_thread(log: Log, gate: Gate) {
    thread::spawn(move || {
        gate.pass();
        log.add(process::id());
    });
    panic!("{MESSAGE}");
}

/// Whether a thread of its own has panicked.
#[task]
fn thread_panics() -> bool {
    thread::spawn(|| panic!("{MESSAGE}")).join().is_err()
}

#[task]
fn panic_without_hook() {
    drop(panic::take_hook());
    panic!("{MESSAGE}");
}

#[test]
fn those_that_unwind_cost_no_worker() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let worker = executor.worker_pids()[0];
        let (log, gate) = (scratch.log("thread"), scratch.gate("gate"));
        let beside = executor.submit(panic_beside_a_thread, (log.clone(), gate.clone()));
        let error = fails_with(beside.result(), TaskErrorKind::Panicked);
        assert_eq!(error.panic_message(), Some(MESSAGE));
        works(&executor);
        gate.open();
        log.reaches(1);
        assert_eq!(log.numbers(), [worker], "its thread runs on");
        assert!(executor.submit(thread_panics, ()).result().unwrap());
        let untold = executor.submit(panic_without_hook, ()).result();
        let error = fails_with(untold, TaskErrorKind::Panicked);
        assert_eq!(error.panic_message(), Some(MESSAGE));
        works(&executor);
        assert_eq!(executor.worker_pids(), [worker]);
    });
}
