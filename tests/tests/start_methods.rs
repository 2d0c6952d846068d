//! What holds however workers come to be, and where they differ.

use std::{collections::BTreeSet, fs::read_to_string};

use pool_core::{Executor, ExecutorBuilder, StartMethod};
use pool_tests::{for_each_check, isolated, suite::pids, tasks::cube};

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
