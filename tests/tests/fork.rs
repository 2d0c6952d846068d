//! Workers forked from the application itself, which must have a single thread then.

use std::{
    process::ExitCode,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::channel,
    },
    thread,
};

use pool_core::{Executor, ExecutorBuilder, StartMethod, task};
use pool_tests::{for_each_check, functions, harness, suite, suite::pids, tasks::cube};

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
                    one_executor_after_another
                    beside_a_thread_it_is_refused
                    beside_another_executor_it_is_refused
                ],
                &[],
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
