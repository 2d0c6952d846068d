//! A supervising thread that the tests move by hand, with a fork server of its own.

use std::sync::Weak;

use pool_worker::channel::{ApplicationEnd, Segment, WorkerEnd};
use pool_worker::protocol::{Status, Surroundings};
use pool_worker::registry::registry;

use super::*;
use crate::gate::Gate;
use crate::member::fixture;
use crate::scheduler::{QueueLimit, Size};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(10);

/// The supervisor of an executor without workers.
fn supervisor(hooks: Hooks) -> (Arc<Pool>, Supervisor) {
    let setup = Setup {
        tasks: registry().names().iter().map(ToString::to_string).collect(),
        start_method: StartMethod::ForkServer,
        surroundings: Surroundings::default(),
    };
    let environment: Variables = std::env::vars_os().collect();
    let server = ForkServer::launch(&setup, &environment).unwrap();
    let pool = Arc::new(Pool::new(Size::fixed(0), None, QueueLimit::default()).unwrap());
    let plan = Plan {
        setup,
        environment,
        hooks,
        restart_limit: None,
        recycling: Recycling {
            tasks: u64::MAX,
            age: None,
            memory: None,
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
    pool.notifier().finish();
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
    let text = locked.refusal("task").unwrap();
    let reason = std::error::Error::source(&text).unwrap().to_string();
    assert!(reason.contains("answered twice"), "{reason}");
    drop(locked);
    supervisor.tear_down();
    pool.notifier().finish();
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
    pool.notifier().finish();
}
