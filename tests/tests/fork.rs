//! Workers forked from the application itself, which must have a single thread then.

use std::{
    env,
    process::ExitCode,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::channel,
    },
    thread,
};

use pool_core::{Executor, ExecutorBuilder, StartMethod, task};
use pool_tests::{
    Misdeed, for_each_check, functions, harness, program, suite,
    suite::pids,
    tasks::{cube, misbehave, variable},
};

/// One test for each check of the suite, and the list of all tests.
macro_rules! forked {
    ($($name:ident)*) => {
        $(fn $name() {
            suite::$name(&builder());
        })*

        fn main() -> ExitCode {
            harness(
                functions![
                    $($name)*
                    state_is_inherited
                    a_preload_adds_to_it
                    the_environment_is_changed_in_the_copy
                    what_is_yet_to_be_printed_is_printed_once
                    one_executor_after_another
                    beside_a_thread_it_is_refused
                    beside_another_executor_it_is_refused
                ],
                functions![printing],
            )
        }
    };
}

for_each_check!(forked);

fn builder() -> ExecutorBuilder {
    Executor::builder()
        .workers(2)
        .start_method(StartMethod::Fork)
}

/// What `main` has set up.
static STATE: AtomicU32 = AtomicU32::new(0);

#[task]
fn state() -> u32 {
    STATE.load(Ordering::Relaxed)
}

fn state_is_inherited() {
    STATE.store(7, Ordering::Relaxed);
    let executor = builder().build().unwrap();
    STATE.store(8, Ordering::Relaxed);
    assert_eq!(
        executor.submit(state, ()).result().unwrap(),
        7,
        "as it was at `build`"
    );
}

#[task]
fn raise_state(by: u32) {
    STATE.fetch_add(by, Ordering::Relaxed);
}

fn a_preload_adds_to_it() {
    STATE.store(7, Ordering::Relaxed);
    let executor = builder().preload(raise_state, 10).build().unwrap();
    for _ in 0..4 {
        assert_eq!(executor.submit(state, ()).result().unwrap(), 17, "once");
        let killed = executor.submit(misbehave, Misdeed::Kill);
        Misdeed::Kill.is_told_by(&killed.result().unwrap_err());
    }
    assert_eq!(STATE.load(Ordering::Relaxed), 7, "not here");
}

fn the_environment_is_changed_in_the_copy() {
    let path = env::var("PATH").unwrap();
    let builder = builder().env("POOL_TEST_COLOUR", "blue").env_remove("PATH");
    let executor = builder.current_dir("/").build().unwrap();
    let found = |name: &str| executor.submit(variable, name.to_owned()).result().unwrap();
    assert_eq!(found("POOL_TEST_COLOUR").as_deref(), Some("blue"));
    assert_eq!(found("PATH"), None);
    assert_eq!(env::var("PATH").unwrap(), path);
    assert!(env::var("POOL_TEST_COLOUR").is_err());
}

/// A program that prints half a line before it forks workers, which print too.
fn printing() {
    print!("half a line, ");
    let executor = builder().build().unwrap();
    assert_eq!(pids(&executor).len(), 2);
    assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
}

fn what_is_yet_to_be_printed_is_printed_once() {
    let output = program("printing").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.matches("half a line").count(), 1, "{text}");
}

fn one_executor_after_another() {
    for round in 1..=10 {
        STATE.store(round, Ordering::Relaxed);
        let executor = builder().build().unwrap();
        assert_eq!(executor.submit(state, ()).result().unwrap(), round);
        assert_eq!(pids(&executor).len(), 2);
    }
}

fn beside_a_thread_it_is_refused() {
    let (release, wait) = channel::<()>();
    let thread = thread::Builder::new().name("the-other-one".to_owned());
    let thread = thread.spawn(move || wait.recv().is_ok()).unwrap();
    let text = builder().build().unwrap_err().to_string();
    assert!(text.contains("thread"), "{text}");
    assert!(text.contains("ForkServer"), "the remedy: {text}");
    let executor = builder()
        .start_method(StartMethod::ForkServer)
        .build()
        .unwrap();
    assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    drop(release);
    thread.join().unwrap();
}

fn beside_another_executor_it_is_refused() {
    let first = builder().build().unwrap();
    let text = builder().build().unwrap_err().to_string();
    assert!(
        text.contains("executor") || text.contains("thread"),
        "{text}"
    );
    assert_eq!(first.submit(cube, 2).result().unwrap(), 8);
}
