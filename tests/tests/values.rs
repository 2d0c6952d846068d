//! What crosses, as copies, and the place where it arrives.

use std::{
    collections::HashMap,
    env,
    path::PathBuf,
    process,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use pool_core::task;
use pool_tests::{Isolated, Log, Scratch, executor, isolated, sys, until};
use serde::{Deserialize, Serialize};

/// An argument that tells when it is dropped.
#[derive(Serialize, Deserialize)]
struct Mourned(Log);

impl Drop for Mourned {
    fn drop(&mut self) {
        self.0.add(process::id());
    }
}

#[task]
fn look_at(argument: Mourned) -> usize {
    argument.0.lines().len()
}

#[test]
fn arguments_are_dropped_right_after_the_task() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let argument = Mourned(scratch.log("dropped"));
        let log = argument.0.clone();
        assert_eq!(executor.submit_ref(look_at, &argument).result().unwrap(), 0);
        until("it is dropped in the worker", || {
            log.numbers() == executor.worker_pids()
        });
    });
}

#[task]
fn reversed(mut list: Vec<i64>) -> Vec<i64> {
    list.reverse();
    list
}

/// How often this process has counted.
static COUNT: AtomicU32 = AtomicU32::new(0);

#[task]
fn increment() -> u32 {
    COUNT.fetch_add(1, Ordering::Relaxed) + 1
}

#[test]
fn workers_see_copies() {
    isolated(|| {
        COUNT.store(10, Ordering::Relaxed);
        let executor = executor(1);
        let list = vec![1, 2, 3];
        let future = executor.submit_ref(reversed, &list);
        assert_eq!(future.result().unwrap(), [3, 2, 1]);
        assert_eq!(list, [1, 2, 3]);
        assert_eq!(executor.submit(increment, ()).result().unwrap(), 1);
        assert_eq!(executor.submit(increment, ()).result().unwrap(), 2);
        assert_eq!(COUNT.load(Ordering::Relaxed), 10);
    });
}

#[task]
fn surroundings(name: String) -> (Option<String>, PathBuf) {
    (env::var(name).ok(), env::current_dir().unwrap())
}

/// The permissions that new files of this process lack, and how many it may have open.
#[task]
fn mask_and_limit() -> (String, u32) {
    let value = |file: &str, name: &str| {
        let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap().split_whitespace().next().unwrap().to_owned()
    };
    let limit = value("limits", "Max open files");
    (value("status", "Umask:"), limit.parse().unwrap())
}

/// What was never touched in this process.
static UNTOUCHED: LazyLock<u32> = LazyLock::new(process::id);

#[task]
fn untouched() -> u32 {
    *UNTOUCHED
}

#[test]
fn a_worker_is_a_fresh_image_in_the_applications_place() {
    Isolated::new().env("POOL_TEST_COLOUR", "blue").run(|| {
        let here = *UNTOUCHED;
        let scratch = Scratch::new();
        let place = scratch.path("place");
        std::fs::create_dir(&place).unwrap();
        let home = env::current_dir().unwrap();
        env::set_current_dir(&place).unwrap();
        sys::umask(0o27);
        sys::limit(libc::RLIMIT_NOFILE, 321).unwrap();
        let executor = executor(1);
        env::set_current_dir(home).unwrap();
        sys::umask(0o22);
        sys::limit(libc::RLIMIT_NOFILE, 345).unwrap();
        assert_eq!(mask_and_limit(), ("0022".to_owned(), 345));
        let there = executor.submit(mask_and_limit, ()).result().unwrap();
        assert_eq!(there, ("0027".to_owned(), 321), "those of `build`");
        let future = executor.submit(surroundings, "POOL_TEST_COLOUR".to_owned());
        let (colour, directory) = future.result().unwrap();
        assert_eq!(colour.as_deref(), Some("blue"));
        assert_eq!(directory, place.canonicalize().unwrap(), "that of `build`");
        let there = executor.submit(untouched, ()).result().unwrap();
        assert_ne!(there, here);
        assert_eq!(executor.worker_pids(), [there]);
    });
}

#[task]
fn floats(values: Vec<f64>) -> Vec<f64> {
    values
}

type Nested = (
    Option<Option<u8>>,
    Vec<Option<Vec<()>>>,
    HashMap<String, (i128, char)>,
    Result<String, ()>,
);

#[task]
fn nested(value: Nested) -> Nested {
    value
}

#[test]
fn f47_values_cross_unchanged() {
    isolated(|| {
        let executor = executor(1);
        let sent = [
            f64::NAN,
            -0.0,
            0.0,
            f64::INFINITY,
            f64::MIN_POSITIVE,
            1e-310,
        ];
        let came = executor.submit(floats, sent.to_vec()).result().unwrap();
        assert_eq!(
            came.iter().map(|f| f.to_bits()).collect::<Vec<_>>(),
            sent.map(f64::to_bits)
        );
        for inner in [None, Some(None), Some(Some(7))] {
            let value: Nested = (
                inner,
                vec![None, Some(vec![]), Some(vec![(), ()])],
                HashMap::from([("\u{1F980}\0".to_owned(), (i128::MIN, 'ß'))]),
                if inner.is_none() {
                    Err(())
                } else {
                    Ok(String::new())
                },
            );
            assert_eq!(executor.submit_ref(nested, &value).result().unwrap(), value);
        }
    });
}
