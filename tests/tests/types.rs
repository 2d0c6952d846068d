//! The names and types that programs are compiled against. What compiles holds.

use std::{
    fmt::{Debug, Display},
    future::Future,
    hash::Hash,
    iter::FusedIterator,
    ops::{Deref, Range, RangeFrom},
    panic::UnwindSafe,
    slice,
    time::Duration,
};

use futures_core::FusedStream;
use pool_core::{
    AnyError, AsCompleted, CallOptions, Current, DeathCause, Error, ErrorKind, Executor,
    ExecutorBuilder, Isolation, Map, MapStream, Measure, Profile, Rejected, Sandbox, Shared,
    StartMethod, Stats, Task, TaskError, TaskErrorKind, TaskFuture, TaskHandle, TaskRef, Timeout,
    Unordered, WaitFor, Waited, as_completed, current, task, task_ref, wait,
};
use pool_tests::{
    isolated,
    tasks::{add, cube, nothing},
};
use serde::{Serialize, de::DeserializeOwned};

/// The promise of a future, for every result, be it neither `Send` nor `Sync`.
const fn future<T>()
where
    T: Send + Sync + Unpin + UnwindSafe + Debug + 'static,
{
}

const fn shared<T: Send + Sync + 'static>() {}

const fn error<T: std::error::Error + Clone + Send + Sync + 'static>() {}

const fn kind<T: Copy + Eq + Hash + Debug>() {}

const fn fused<T: FusedIterator<Item = R>, R>() {}

/// What holds for a value that many calls refer to.
const fn handle<T: Clone + Send + Sync + Deref<Target = V> + 'static, V: ?Sized>() {}

const fn crosses<T: Clone + Debug + Serialize + DeserializeOwned>() {}

#[task]
fn fallible(number: u8) -> Result<(), String> {
    u8::checked_add(number, 1).map_or(Err(String::new()), |_| Ok(()))
}

/// What holds for maps as streams, which are no iterators, whatever their inputs are.
const fn stream<T>()
where
    T: FusedStream<Item = Result<i64, TaskError>> + Unpin + Send + Debug + 'static,
{
}

const fn exact<T: ExactSizeIterator>() {}

const fn copied<T: Copy + Send + Sync + 'static>() {}

const fn awaited<T: Future<Output = Result<R, TaskError>>, R>() {}

/// What holds for the futures of every result.
const fn every_future<R: 'static>() {
    future::<TaskFuture<R>>();
    awaited::<TaskFuture<R>, R>();
}

const _: () = {
    every_future::<*const ()>();
    every_future::<std::rc::Rc<std::cell::Cell<u8>>>();
    shared::<Executor>();
    shared::<ExecutorBuilder>();
    shared::<TaskHandle>();
    copied::<TaskRef<i64, i64>>();
    copied::<TaskRef<(String, Vec<u8>), String>>();
    error::<TaskError>();
    kind::<TaskErrorKind>();
    fused::<Map<i64, Range<i64>>, Result<i64, TaskError>>();
    fused::<Map<i64, RangeFrom<i64>>, Result<i64, TaskError>>();
    exact::<Map<i64, Range<i32>>>();
    fused::<Unordered<i64, Range<i64>>, (usize, Result<i64, TaskError>)>();
    exact::<Unordered<i64, Range<i32>>>();
    exact::<AsCompleted<i64>>();
    handle::<Numbers, [f64]>();
    handle::<Shared<String>, String>();
    handle::<Shared<str>, str>();
    crosses::<AnyError>();
    crosses::<Shared<String>>();
    stream::<MapStream<i64, Range<i64>>>();
    assert!(size_of::<TaskError>() == size_of::<usize>());
    assert!(size_of::<Option<TaskError>>() == size_of::<usize>());
};

/// Every method of an executor.
fn executor() {
    let _: fn(&Executor) -> Isolation = Executor::isolation;
    let _: fn(&Isolation, Measure) -> bool = Isolation::holds;
    let _: fn() -> Result<Executor, Error> = Executor::new;
    let _: fn() -> ExecutorBuilder = Executor::builder;
    let _: fn(&Executor, i64) -> TaskFuture<i64> = |e, x| e.submit(cube, x);
    let _: fn(&Executor, &(i64, i64)) -> TaskFuture<i64> = |e, pair| e.submit_ref(add, pair);
    let _: for<'a> fn(&'a Executor) -> CallOptions<'a> = Executor::options;
    let _: fn(&Executor, Range<i64>) -> Map<i64, Range<i64>> = |e, inputs| e.map(cube, inputs);
    let _: fn(&Executor) = |e| drop(e.map_ref(cube, &[1, 2]).map(|r: Result<i64, TaskError>| r));
    let _: fn(&Executor, i64) -> Tried<i64> = |e, x| e.try_submit(cube, x);
    let _: fn(Rejected<i64>) -> i64 = Rejected::into_args;
    let _: fn(&Rejected<i64>) -> &TaskError = Rejected::error;
    let _: fn(&Rejected<i64>) -> TaskErrorKind = Rejected::kind;
    let _: fn(Rejected<i64>) -> Box<dyn std::error::Error + Send + Sync> = Into::into;
    let _: fn(&Executor, i64) -> Vec<TaskFuture<i64>> = |e, x| e.broadcast(cube, x);
    let _: fn(&Executor) = Executor::close;
    let _: fn(&Executor) = Executor::close_now;
    let _: fn(&Executor) -> bool = Executor::is_closed;
    let _: fn(&Executor) = Executor::shutdown;
    let _: fn(&Executor) = Executor::shutdown_now;
    let _: fn(&Executor) = Executor::kill;
    let _: fn(&Executor, Duration) -> bool = Executor::shutdown_timeout;
    let _: fn(&Executor) -> usize = Executor::workers;
    let _: fn(&Executor, usize) -> Result<(), Error> = Executor::resize;
    let _: fn(&Executor) -> Vec<u32> = Executor::worker_pids;
    let _: fn(&Executor, String) -> Outcome<Shared<String>> = Executor::share;
    let _: fn(&Executor, &[f64]) -> Outcome<Numbers> = Executor::share_slice;
    let _: fn(&Executor, &str) -> Outcome<Shared<str>> = Executor::share_str;
    let _: fn(&Executor) -> Stats = Executor::stats;
    let _: fn(&Stats, TaskErrorKind) -> u64 = Stats::failed_with;
}

/// Every method of the options of calls.
fn options() {
    const fn copy<T: Copy + Send + Sync + Debug>() {}
    const { copy::<CallOptions<'_>>() };
    let _: fn(CallOptions<'static>, Duration) -> CallOptions<'static> = CallOptions::timeout;
    let _: fn(CallOptions<'static>, u32) -> CallOptions<'static> = CallOptions::retries;
    let _: fn(CallOptions<'static>, i32) -> CallOptions<'static> = CallOptions::priority;
    let _: fn(CallOptions<'static>, bool) -> CallOptions<'static> = CallOptions::kill_on_drop;
    let _: fn(&CallOptions<'_>, i64) -> Tried<i64> = |o, x| o.try_submit(cube, x);
    let _: fn(&CallOptions<'_>, i64) -> Vec<TaskFuture<i64>> = |o, x| o.broadcast(cube, x);
    let _: fn(&CallOptions<'_>, i64) -> TaskFuture<i64> = |o, x| o.submit(cube, x);
    let _: fn(&CallOptions<'_>, &i64) -> TaskFuture<i64> = |o, x| o.submit_ref(cube, x);
    let _: fn(&CallOptions<'_>, Range<i64>) -> Map<i64, Range<i64>> = |o, xs| o.map(cube, xs);
    let _: fn(&CallOptions<'_>) = |o| drop(o.map_ref(add, &[(1, 2)]).map(Outcome::<i64>::ok));
    let _: fn() -> Option<Current> = current;
}

/// Every setter of a builder.
fn builder() {
    let _: fn(&ExecutorBuilder) -> ExecutorBuilder = Clone::clone;
    let _: [fn(ExecutorBuilder, usize) -> ExecutorBuilder; 2] =
        [ExecutorBuilder::workers, ExecutorBuilder::min_workers];
    let _: fn(ExecutorBuilder, Duration) -> ExecutorBuilder = ExecutorBuilder::idle_timeout;
    let _: fn(ExecutorBuilder, StartMethod) -> ExecutorBuilder = ExecutorBuilder::start_method;
    let _: [fn(ExecutorBuilder) -> ExecutorBuilder; 3] = [
        |b| b.initializer(nothing, ()),
        |b| b.preload(fallible, 1),
        |b| b.on_worker_exit(fallible, 1),
    ];
    let _: [fn(ExecutorBuilder, Duration) -> ExecutorBuilder; 4] = [
        ExecutorBuilder::initializer_timeout,
        ExecutorBuilder::preload_timeout,
        ExecutorBuilder::exit_timeout,
        ExecutorBuilder::max_worker_age,
    ];
    let _: fn(ExecutorBuilder, u32, Duration) -> ExecutorBuilder = ExecutorBuilder::restart_limit;
    let _: fn(ExecutorBuilder, Profile) -> ExecutorBuilder = ExecutorBuilder::profile;
    let _: fn(ExecutorBuilder, Sandbox) -> ExecutorBuilder = ExecutorBuilder::profile;
    let _: fn(ExecutorBuilder) -> ExecutorBuilder = ExecutorBuilder::best_effort;
    let _: fn(ExecutorBuilder, u64) -> ExecutorBuilder = ExecutorBuilder::open_files;
    let _: fn(ExecutorBuilder, Duration) -> ExecutorBuilder = ExecutorBuilder::cpu_limit;
    let _: fn(Profile, &'static str) -> Sandbox = Profile::read;
    let _: [fn(ExecutorBuilder, Duration) -> ExecutorBuilder; 2] =
        [ExecutorBuilder::task_timeout, ExecutorBuilder::grace];
    let _: fn(ExecutorBuilder, u32) -> ExecutorBuilder = ExecutorBuilder::retries;
    let _: [fn(ExecutorBuilder, u64) -> ExecutorBuilder; 3] = [
        ExecutorBuilder::max_tasks_per_worker,
        ExecutorBuilder::memory_limit,
        ExecutorBuilder::max_result,
    ];
    let _: [fn(ExecutorBuilder, &'static str) -> ExecutorBuilder; 3] = [
        |b, text| b.env(text, text),
        |b, text| b.env_remove(text).env_clear(),
        |b, text| b.current_dir(text),
    ];
    let _: fn(ExecutorBuilder, i32) -> ExecutorBuilder = ExecutorBuilder::nice;
    let _: fn(ExecutorBuilder, Range<usize>) -> ExecutorBuilder = |b, cpus| b.cpu_affinity(cpus);
    let _: [fn(ExecutorBuilder, usize) -> ExecutorBuilder; 5] = [
        ExecutorBuilder::queue_limit,
        ExecutorBuilder::queue_bytes,
        ExecutorBuilder::max_args,
        ExecutorBuilder::max_result_elements,
        ExecutorBuilder::max_result_memory,
    ];
    let _: fn(ExecutorBuilder, u32) -> ExecutorBuilder = ExecutorBuilder::max_result_depth;
    let _: fn(ExecutorBuilder) -> Result<Executor, Error> = ExecutorBuilder::build;
    let _ = [
        StartMethod::ForkServer,
        StartMethod::Fork,
        StartMethod::Spawn,
    ];
}

/// What a call comes to.
type Outcome<R> = Result<R, TaskError>;

/// Numbers that many calls refer to.
type Numbers = Shared<[f64]>;

/// What comes of a call that may be refused.
type Tried<R> = Result<TaskFuture<R>, Rejected<R>>;

/// What a wait with a limit to its time gives, in `Option` where there may be nothing more.
type Within<T> = Result<Option<T>, Timeout>;

/// Every method of a future, whatever its result.
fn task_future<R: 'static>() {
    type Callback<R> = Box<dyn FnOnce(Outcome<R>) + Send>;
    type Completed<R> = (usize, Outcome<R>);
    type Later<R> = Result<Outcome<R>, TaskFuture<R>>;
    let _: fn(TaskFuture<R>) -> Outcome<R> = TaskFuture::result;
    let _: fn(TaskFuture<R>, Duration) -> Later<R> = TaskFuture::result_timeout;
    let _: fn(TaskFuture<R>) -> Later<R> = TaskFuture::try_result;
    let _: fn(&TaskFuture<R>) = TaskFuture::wait;
    let _: fn(&TaskFuture<R>, Duration) -> bool = TaskFuture::wait_timeout;
    let _: [fn(&TaskFuture<R>) -> bool; 5] = [
        TaskFuture::is_done,
        TaskFuture::is_running,
        TaskFuture::is_cancelled,
        TaskFuture::cancel,
        TaskFuture::kill,
    ];
    let _: fn(&TaskFuture<R>) -> TaskHandle = TaskFuture::handle;
    let _: fn(TaskFuture<R>, Callback<R>) = TaskFuture::on_done;
    let _: [fn(&TaskHandle) -> bool; 3] =
        [TaskHandle::cancel, TaskHandle::kill, TaskHandle::is_done];
    let _: fn(&TaskHandle) -> TaskHandle = Clone::clone;
    let _ = |futures: &[TaskFuture<R>], wait_for: WaitFor, limit: Option<Duration>| -> Waited {
        wait(futures, wait_for, limit)
    };
    let _ = [WaitFor::All, WaitFor::FirstCompleted, WaitFor::FirstError];
    let _: fn(Waited) -> (Vec<usize>, Vec<usize>) = |waited| (waited.done, waited.pending);
    let _: fn(Vec<TaskFuture<R>>) -> AsCompleted<R> = |f| as_completed(f);
    let _: fn(&mut AsCompleted<R>) -> Option<Completed<R>> = Iterator::next;
    let _: fn(&mut AsCompleted<R>, TaskFuture<R>) -> usize = AsCompleted::push;
    let _: fn(&mut AsCompleted<R>, Duration) -> Within<Completed<R>> = AsCompleted::next_timeout;
}

/// Every method of a map.
fn map() {
    type Mapped = Map<i64, Range<i64>>;
    type Loose = Unordered<i64, Range<i64>>;
    type Indexed = (usize, Outcome<i64>);
    let _: fn(&mut Mapped) -> Option<Outcome<i64>> = Iterator::next;
    let _: fn(Mapped) -> Mapped = Map::start;
    let _: fn(Mapped, usize) -> Mapped = Map::window;
    let _: fn(Mapped, Duration) -> Mapped = Map::deadline;
    let _: fn(&mut Mapped, Duration) -> Within<Outcome<i64>> = Map::next_timeout;
    let _: fn(&mut Mapped) = Map::cancel;
    let _: fn(&mut Loose) = Unordered::cancel;
    let _: fn(&mut MapStream<i64, Range<i64>>) = MapStream::cancel;
    let _: fn(Mapped) -> Loose = Map::unordered;
    let _: fn(Mapped) -> MapStream<i64, Range<i64>> = Map::into_stream;
    let _: fn(&mut Loose) -> Option<Indexed> = Iterator::next;
    let _: fn(&mut Loose, Duration) -> Within<Indexed> = Unordered::next_timeout;
}

/// Every method of the errors.
fn errors() {
    let _: fn(&TaskError) -> TaskErrorKind = TaskError::kind;
    let _: fn(&TaskError) -> &str = TaskError::task;
    let _: fn(&TaskError) -> Option<u32> = TaskError::worker_pid;
    let _: fn(&TaskError) -> u32 = TaskError::attempts;
    let _: fn(&TaskError) -> bool = TaskError::started;
    let _: fn(&TaskError) -> Option<DeathCause> = TaskError::death_cause;
    let _: [fn(&TaskError) -> Option<u64>; 2] = [TaskError::size, TaskError::size_limit];
    let _: fn(&TaskError) -> Option<i32> = TaskError::signal;
    let _: fn(&TaskError) -> Option<i32> = TaskError::exit_code;
    let _: [fn(&TaskError) -> Option<&str>; 3] = [
        TaskError::panic_message,
        TaskError::panic_location,
        TaskError::backtrace,
    ];
    let _: fn(&Error) -> ErrorKind = Error::kind;
    let _: fn(Error) -> Box<dyn std::error::Error + Send + Sync> = Into::into;
    let _: fn(TaskError) -> Box<dyn std::error::Error + Send + Sync> = Into::into;
    let _: fn(AnyError) -> Box<dyn std::error::Error + Send + Sync> = Into::into;
    let _: fn(std::io::Error) -> AnyError = From::from;
    let _: [&dyn Display; 1] = [&AnyError::from(std::fmt::Error)];
    let _: fn(&[f64]) -> Numbers = Shared::from_slice;
    let _ = [
        TaskErrorKind::Panicked,
        TaskErrorKind::WorkerDied,
        TaskErrorKind::TimedOut,
        TaskErrorKind::MemoryLimit,
        TaskErrorKind::CpuLimit,
        TaskErrorKind::SandboxViolation,
        TaskErrorKind::Cancelled,
        TaskErrorKind::Killed,
        TaskErrorKind::Encode,
        TaskErrorKind::Decode,
        TaskErrorKind::UnknownTask,
        TaskErrorKind::QueueFull,
        TaskErrorKind::ShutDown,
        TaskErrorKind::PoolBroken,
        TaskErrorKind::TooLarge,
        TaskErrorKind::Poisoned,
    ];
    let _ = [
        DeathCause::StackOverflow,
        DeathCause::OutOfMemory,
        DeathCause::OomKiller,
    ];
}

/// A function over any task, as applications write it.
fn run<F: Task<S>, S>(executor: &Executor, task: F, args: F::Args) -> TaskFuture<F::Output> {
    executor.submit(task, args)
}

/// A task as a value.
fn references() {
    let _: TaskRef<i64, i64> = task_ref(cube);
    let _: TaskRef<(i64, i64), i64> = task_ref(add);
    let _: TaskRef<(), ()> = task_ref(nothing);
    let _: fn(&Executor, TaskRef<i64, i64>) -> TaskFuture<i64> = |e, task| run(e, task, 1);
    let _: fn(&Executor, slice::Iter<'_, i64>) = |e, inputs| drop(e.map_ref(cube, inputs));
}

#[test]
fn every_name_is_there() {
    executor();
    options();
    builder();
    task_future::<*const ()>();
    map();
    errors();
    references();
}

#[test]
fn tasks_of_any_kind_through_one_function() {
    isolated(|| {
        let executor = Executor::builder().workers(1).build().unwrap();
        assert_eq!(run(&executor, cube, 3).result().unwrap(), 27);
        assert_eq!(run(&executor, add, (1, 2)).result().unwrap(), 3);
        run(&executor, nothing, ()).result().unwrap();
        assert_eq!(run(&executor, task_ref(add), (3, 4)).result().unwrap(), 7);
    });
}

#[test]
fn the_executor_tells_how_it_is() {
    isolated(|| {
        let executor = Executor::builder().workers(2).build().unwrap();
        executor.submit(cube, 3).result().unwrap();
        let told = format!("{executor:?}");
        assert!(told.starts_with("Executor"), "{told}");
        assert_eq!(told.matches("Worker {").count(), 2, "{told}");
        assert!(told.contains("gate: Open"), "{told}");
        executor.close();
        assert!(format!("{executor:?}").contains("gate: Closed"));
        executor.shutdown();
        let told = format!("{executor:?}");
        assert!(told.contains("gate: Closed, workers: []"), "{told}");

        let broken = Executor::builder().initializer(fallible, u8::MAX);
        let broken = broken.build().unwrap();
        assert!(broken.submit(cube, 3).result().is_err());
        let told = format!("{broken:?}");
        assert!(
            told.contains("gate: Broken") && told.contains("initializer"),
            "{told}"
        );
    });
}
