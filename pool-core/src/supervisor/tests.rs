//! A supervising thread that the tests move by hand, with a fork server of its own.

use std::sync::Weak;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use pool_worker::channel::{ApplicationEnd, LastWords, Segment, WorkerEnd};
use pool_worker::protocol::{LastWordsKind, PanicReport, Status, Surroundings};
use pool_worker::registry::registry;

use super::*;
use crate::gate::Gate;
use crate::member::fixture;
use crate::scheduler::{QueueLimit, Scheduler, Size};
use crate::task_error::{DeathCause, TaskErrorKind};
use crate::terms::Terms;
use pool_worker::{Profile, Sandbox};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(10);

/// The supervisor of an executor without workers.
fn supervisor(hooks: Hooks) -> (Arc<Pool>, Supervisor) {
    supervisor_of(Sandbox::default(), StartMethod::ForkServer, hooks)
}

/// The same, of workers that come to be in this way.
fn supervisor_of(
    sandbox: Sandbox,
    start_method: StartMethod,
    hooks: Hooks,
) -> (Arc<Pool>, Supervisor) {
    let setup = Setup {
        tasks: registry().names().iter().map(ToString::to_string).collect(),
        start_method,
        surroundings: Surroundings::default(),
        sandbox,
        open_files: None,
    };
    let environment: Variables = std::env::vars_os().collect();
    let conditions = Conditions::now();
    let server = ForkServer::launch(&setup, &environment, &conditions).unwrap();
    let pool = Pool::new(Size::fixed(0), None, QueueLimit::default()).unwrap();
    let pool = Arc::new(pool.isolated(server.isolation().clone()));
    let plan = Plan {
        setup,
        environment,
        conditions,
        hooks,
        restart_limit: None,
        recycling: Recycling {
            tasks: u64::MAX,
            age: None,
            memory: None,
            processor: None,
        },
    };
    let supervisor = Supervisor::new(Arc::clone(&pool), server, plan).unwrap();
    (pool, supervisor)
}

/// Whether nothing holds the executor's heart any more, or soon does not.
fn is_dropped(pool: &Weak<Pool>) -> bool {
    let start = Instant::now();
    while pool.strong_count() > 0 && start.elapsed() < LONG {
        thread::sleep(Duration::from_millis(1));
    }
    pool.strong_count() == 0
}

#[test]
fn last_calls_that_nobody_makes_hold_nothing() {
    let (pool, mut supervisor) = supervisor(Hooks::default());
    let mut locked = pool.lock();
    let hook = fixture::hook("on_worker_exit");
    let call = farewell::last_call(&hook, &pool, &mut locked, |_| {}).unwrap();
    // As of a worker that has no room for it yet.
    supervisor.retiring.unsaid.push((1, call));
    locked.kill_all();
    drop(locked);
    supervisor.tear_down();
    pool.notifier().finish(None);
    let heart = Arc::downgrade(&pool);
    drop(pool);
    assert!(is_dropped(&heart), "a call that nobody makes holds it");
}

#[test]
fn a_preload_is_answered_once() {
    let hooks = Hooks {
        preload: Some(fixture::hook("preload")),
        ..Hooks::default()
    };
    let (pool, mut supervisor) = supervisor(hooks);
    // As if it could write to the ring of answers itself.
    let (segment, memfd) = Segment::create().unwrap();
    let theirs = Arc::new(Segment::open(memfd.as_fd()).unwrap());
    let (_control, bells) = sys::socket_pair().unwrap();
    let mut hostile = WorkerEnd::new(theirs, bells);
    supervisor.preloading.as_mut().unwrap().link = ApplicationEnd::new(segment);
    let nothing = rmp_serde::to_vec(&()).unwrap();
    // The honest answer may have come first.
    for _ in 0..2 {
        hostile.answer(0, Status::Returned, &nothing);
        supervisor.preload_rang();
    }
    assert!(matches!(pool.lock().gate(), Gate::Broken(_)));
    let locked = pool.lock();
    let text = locked.refusal(|| "task").unwrap();
    let reason = std::error::Error::source(&text).unwrap().to_string();
    assert!(reason.contains("answered twice"), "{reason}");
    drop(locked);
    supervisor.tear_down();
    pool.notifier().finish(None);
}

#[test]
fn the_end_of_a_preload_is_seen_although_its_wake_up_was_spent() {
    let hooks = Hooks {
        preload: Some(fixture::hook("preload")),
        ..Hooks::default()
    };
    let (pool, mut supervisor) = supervisor(hooks);
    let returned = Arc::clone(&supervisor.preloading.as_ref().unwrap().returned);
    while !returned.load(SeqCst) {
        supervisor.preload_rang();
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(supervisor.preload_time_left(Instant::now()), None);
    supervisor.preloaded(0);
    // As after a look at it that came too early.
    let mut locked = pool.lock();
    let _ = locked.look();
    assert_eq!(supervisor.timeout(&locked), Duration::ZERO);
    drop(locked);
    supervisor.check_preload();
    assert!(supervisor.asks_for_workers());
    supervisor.tear_down();
    pool.notifier().finish(None);
}

#[test]
fn a_fork_server_that_tells_of_no_death_is_killed() {
    let (pool, mut supervisor) = supervisor(Hooks::default());
    // One that it does not know of.
    let (member, _worker) = fixture::worker(7, true);
    supervisor.remains.insert(7, Remains::new(member, vec![]));
    supervisor.request_within = Duration::from_millis(1);
    let left = supervisor.timeout(&pool.lock());
    assert!(left <= supervisor.request_within);
    while !supervisor
        .server
        .wait_gone(Duration::from_millis(2))
        .unwrap()
    {
        supervisor.check_server();
    }
    supervisor.server_gone();
    assert!(supervisor.remains.is_empty());
    supervisor.tear_down();
    pool.notifier().finish(None);
}

#[test]
fn a_call_whose_workers_die_before_they_begin_it_is_told_as_poisoned() {
    let mut scheduler = Scheduler::new(Size::fixed(1), 0);
    let call = scheduler.submit(fixture::task(), fixture::arguments(1), &Terms::default());
    let mut deaths = 0;
    while !scheduler.call(call).is_done() {
        let (member, _worker) = fixture::worker(deaths, true);
        scheduler.admit(0, member);
        let _ = scheduler.turn();
        let (member, begun) = scheduler.bury(0).unwrap();
        deaths += 1;
        for id in begun {
            let error = deaths::death(&scheduler, id, &member, Some(libc::SIGSEGV), None);
            assert_eq!(error.kind(), TaskErrorKind::Poisoned);
            assert!(!error.started());
            scheduler.died(id, error);
        }
    }
    assert_eq!(deaths, 9);
    let failure = scheduler.call(call).failure();
    assert_eq!(failure, Some(TaskErrorKind::Poisoned));
}

#[test]
fn last_words_tell_what_a_worker_died_of() {
    let mut scheduler = Scheduler::new(Size::fixed(1), 0);
    let call = scheduler.submit(fixture::task(), fixture::arguments(1), &Terms::default());
    let (member, mut worker) = fixture::worker(0, true);
    scheduler.admit(0, member);
    let _ = scheduler.turn();
    worker.claim().unwrap();
    let (member, begun) = scheduler.bury(0).unwrap();
    assert_eq!(begun, [call]);
    let report = PanicReport {
        message: "no luck".into(),
        ..PanicReport::default()
    };
    let words = |kind, seq| LastWords {
        seq,
        kind,
        bytes: rmp_serde::to_vec(&report).unwrap(),
    };
    let told = |status, words: LastWords| {
        deaths::death(&scheduler, call, &member, Some(status), Some(&words))
    };
    for (kind, status, tells) in [
        (
            LastWordsKind::PANICKED_AND_ABORTED,
            libc::SIGABRT,
            (TaskErrorKind::Panicked, true, None),
        ),
        (
            LastWordsKind::PANICKING,
            libc::SIGABRT,
            (TaskErrorKind::WorkerDied, true, None),
        ),
        (
            LastWordsKind::PANICKING,
            libc::SIGKILL,
            (TaskErrorKind::WorkerDied, false, None),
        ),
        (
            LastWordsKind::STACK_OVERFLOW,
            libc::SIGSEGV,
            (
                TaskErrorKind::WorkerDied,
                false,
                Some(DeathCause::StackOverflow),
            ),
        ),
        (
            LastWordsKind::OUT_OF_MEMORY,
            libc::SIGABRT,
            (
                TaskErrorKind::WorkerDied,
                false,
                Some(DeathCause::OutOfMemory),
            ),
        ),
        (99, libc::SIGABRT, (TaskErrorKind::WorkerDied, false, None)),
    ] {
        let error = told(status, words(kind, 0));
        let has_message = error.panic_message() == Some("no luck");
        assert_eq!(
            (error.kind(), has_message, error.death_cause()),
            tells,
            "{kind}"
        );
        assert_eq!(error.signal(), Some(status));
        // Those about another call tell nothing of this one.
        let error = told(status, words(kind, 1));
        let kinds = (error.kind(), error.death_cause());
        assert_eq!(kinds, (TaskErrorKind::WorkerDied, None), "{kind}");
    }
}

#[test]
fn a_worker_that_cannot_be_kept_is_forgotten() {
    let (pool, mut supervisor) = supervisor(Hooks::default());
    supervisor.recycling.age = Some(LONG);
    pool.lock().resize(1);
    supervisor.seek(&mut pool.lock());
    supervisor.fill_vacancies();
    assert_eq!(pool.lock().present(), 1);
    // As if this process may not open one more descriptor.
    supervisor.forked(0, 1, None);
    assert_eq!(pool.lock().present(), 0);
    assert_eq!(supervisor.retiring_time_left(Instant::now()), None);
    assert_eq!(supervisor.vacancies.len(), 1, "another one is asked for");
    supervisor.tear_down();
    pool.notifier().finish(None);
}

#[test]
fn workers_of_a_dead_fork_server_make_no_last_calls() {
    let hooks = Hooks {
        on_worker_exit: Some(fixture::hook("on_worker_exit")),
        ..Hooks::default()
    };
    let (pool, mut supervisor) = supervisor(hooks);
    let mut locked = pool.lock();
    // As one of whose fork nobody could tell any more.
    let (member, _worker) = fixture::worker(7, true);
    locked.admit(0, member);
    locked.close();
    supervisor.is_finished(&mut locked);
    drop(locked);
    assert!(supervisor.farewell.is_some());
    supervisor.server.kill().unwrap();
    assert!(supervisor.server.wait_gone(LONG).unwrap());
    supervisor.server_gone();
    assert_eq!(pool.lock().present(), 0);
    supervisor.tear_down();
    pool.notifier().finish(None);
}

#[test]
fn an_initializer_that_was_answered_is_not_out_of_time() {
    let hooks = Hooks {
        initializer: Some(fixture::hook("initializer")),
        ..Hooks::default()
    };
    let (pool, mut supervisor) = supervisor(hooks);
    for answers in [true, false] {
        let mut locked = pool.lock();
        let (member, mut worker) = fixture::worker(7, false);
        locked.admit(0, member);
        let call = locked.note_own(fixture::task(), fixture::arguments(1));
        assert!(locked.place_own(0, call));
        locked.turn();
        drop(locked);
        worker.claim().unwrap();
        if answers {
            worker.answer();
        }
        supervisor.initializing.push_back((7, Instant::now()));
        supervisor.check_initializers();
        let is_broken = matches!(pool.lock().gate(), Gate::Broken(_));
        assert_eq!(is_broken, !answers);
        drop(pool.lock().dismiss());
    }
    supervisor.tear_down();
    pool.notifier().finish(None);
}

#[test]
fn another_fork_server_may_isolate_better_but_not_worse() {
    let reason = |first, second| {
        let sandbox = Sandbox::from(Profile::Untrusted);
        let (pool, mut supervisor) = supervisor_of(sandbox, first, Hooks::default());
        // As if the machine had changed: where workers are forked, their memory has one layout.
        supervisor.setup.start_method = second;
        supervisor.server.kill().unwrap();
        assert!(supervisor.server.wait_gone(LONG).unwrap());
        supervisor.server_gone();
        let reason = match pool.lock().gate() {
            Gate::Broken(breakdown) => Some(breakdown.to_string()),
            _ => None,
        };
        supervisor.tear_down();
        pool.notifier().finish(None);
        reason
    };
    let (forked, executed) = (StartMethod::ForkServer, StartMethod::Spawn);
    assert_eq!(reason(forked, executed), None);
    let lost = reason(executed, forked).unwrap();
    for told in [
        "'a memory layout of its own' cannot be had (workers are forked)",
        "what has changed",
        "best_effort()",
    ] {
        assert!(lost.contains(told), "{lost}");
    }
}

#[test]
fn where_the_thread_panics_no_call_is_left_wherever_it_was() {
    let (pool, supervisor) = supervisor(Hooks::default());
    let (member, _worker) = fixture::worker(7, true);
    let mut locked = pool.lock();
    locked.admit(0, member);
    let id = locked.note_own(fixture::task(), fixture::arguments(1));
    assert!(locked.place_own(0, id));
    // Its worker has died, and nobody has told yet how.
    let (_, begun) = locked.bury(0).unwrap();
    assert_eq!(begun, [id]);
    drop(locked);
    let end = End(Arc::clone(&pool));
    let thread = thread::spawn(|| {
        let _end = end;
        panic!("as a bug would");
    });
    assert!(thread.join().is_err());
    assert_eq!(
        pool.lock().call(id).failure(),
        Some(TaskErrorKind::PoolBroken)
    );
    supervisor.tear_down();
}

#[test]
fn deaths_are_forgotten_once_a_worker_has_come_to_life() {
    let mut restarts = Restarts::default();
    let start = Instant::now();
    let within = Duration::from_secs(1);
    let later = |seconds| start + Duration::from_secs(seconds);
    for (seconds, count) in [(0, 1), (2, 2), (4, 3)] {
        assert_eq!(restarts.count(later(seconds), within), count);
    }
    restarts.note_birth(later(5));
    assert_eq!(restarts.count(later(6), within), 1);
    assert_eq!(restarts.count(later(8), within), 2);
}
