//! What holds however workers come to be, and where they differ.

use std::{
    collections::BTreeSet,
    env,
    fs::read_to_string,
    io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::SystemTime,
};

use pool_core::{Executor, ExecutorBuilder, StartMethod, task};
use pool_tests::{for_each_check, isolated, rounds, suite::pids, tasks::cube};

/// The checks of the suite as tests, for the start methods that work beside other threads.
macro_rules! tests {
    ($($name:ident)*) => {
        mod fork_server {
            $(#[test]
            fn $name() {
                let check = pool_tests::suite::$name;
                super::isolated(|| super::run(super::StartMethod::ForkServer, check));
            })*
        }

        mod spawn {
            $(#[test]
            fn $name() {
                let check = pool_tests::suite::$name;
                super::isolated(|| super::run(super::StartMethod::Spawn, check));
            })*
        }
    };
}

for_each_check!(tests);

/// Runs one check of the suite.
fn run(start_method: StartMethod, check: fn(&ExecutorBuilder)) {
    check(&Executor::builder().start_method(start_method));
}

#[test]
fn the_fork_server_is_the_default() {
    isolated(|| {
        assert_eq!(StartMethod::default(), StartMethod::ForkServer);
        let executor = Executor::builder().workers(2).build().unwrap();
        assert_eq!(addresses(&executor), 1, "forked from one image");
    });
}

#[test]
fn spawned_workers_share_no_image() {
    isolated(|| {
        let builder = Executor::builder()
            .workers(3)
            .start_method(StartMethod::Spawn);
        let executor = builder.build().unwrap();
        assert!(addresses(&executor) > 1, "each executes the program anew");
    });
}

/// Prints, and looks at its environment and at the time: what takes locks of the standard library.
#[task]
fn use_locks(name: String) -> bool {
    print!("");
    let moment = SystemTime::now();
    env::var(name).is_ok() && moment.elapsed().is_ok()
}

#[test]
fn f33_workers_work_that_were_started_beside_threads_in_locks() {
    isolated(|| {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let busy = || {
                while !is_over.load(Ordering::Relaxed) {
                    let _out = io::stdout().lock();
                    let _variables: Vec<_> = env::vars_os().collect();
                }
            };
            let threads = [(); 3].map(|()| scope.spawn(busy));
            for round in 0..4 * rounds() {
                let start_method = [StartMethod::ForkServer, StartMethod::Spawn][round % 2];
                let builder = Executor::builder().workers(2).start_method(start_method);
                let executor = builder.build().unwrap();
                let mut found = executor.map(use_locks, vec!["PATH".to_owned(); 10]);
                assert!(found.all(Result::unwrap));
            }
            is_over.store(true, Ordering::Relaxed);
            for thread in threads {
                thread.join().unwrap();
            }
        });
    });
}

/// How many different places the workers' images are loaded at.
fn addresses(executor: &Executor) -> usize {
    let first_mapping = |worker: &u32| {
        let maps = read_to_string(format!("/proc/{worker}/maps")).unwrap();
        maps.split('-').next().unwrap().to_owned()
    };
    let addresses: BTreeSet<String> = pids(executor).iter().map(first_mapping).collect();
    addresses.len()
}

#[test]
fn under_a_test_harness_fork_is_refused() {
    isolated(|| {
        let builder = Executor::builder()
            .workers(1)
            .start_method(StartMethod::Fork);
        let text = builder.build().unwrap_err().to_string();
        assert!(text.contains("thread"), "{text}");
        assert!(text.contains("ForkServer"), "the remedy: {text}");
        let executor = Executor::new().unwrap();
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    });
}
