use std::collections::HashSet;
use std::fs;

use crate::support::{example, finish, lines_of};

/// The number in a line such as `Both took 2.0 seconds`.
fn seconds(line: &str) -> f64 {
    let number = line.split(' ').rev().nth(1).expect("a number and a unit");
    number
        .parse()
        .unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn cpu_bound_adds_exactly() {
    let lines = lines_of("cpu_bound");
    assert!(lines[0].starts_with("Number of CPU cores: "), "{lines:?}");
    let results: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("Result: "))
        .collect();
    let sums = [
        "333332833333500000",
        "333333283333335000000",
        "333333328333333350000000",
    ];
    assert_eq!(results, sums.map(|sum| format!("Result: {sum}")).each_ref());
    let times = lines
        .iter()
        .filter(|line| line.starts_with("Task completed in "));
    assert_eq!(
        times
            .map(|line| seconds(line))
            .filter(|time| *time >= 0.0)
            .count(),
        3
    );
}

#[test]
fn square_of_five() {
    assert_eq!(lines_of("square"), ["Result: 25"]);
}

#[test]
fn submit_many_takes_as_long_as_the_longer_call() {
    let lines = lines_of("submit_many");
    assert_eq!(
        lines[..2],
        ["Task completed in 2 seconds", "Task completed in 1 seconds"]
    );
    let took = seconds(&lines[2]);
    assert!((2.0..3.0).contains(&took), "{lines:?}");
}

#[test]
fn cubes_are_in_order() {
    assert_eq!(
        lines_of("cubes"),
        ["[0, 1, 8, 27, 64, 125, 216, 343, 512, 729]"]
    );
}

#[test]
fn exceptions_are_told_apart() {
    let lines = lines_of("exceptions");
    let expected = [
        "Error occurred: Cannot process zero",
        "Result: 1",
        "Result: 0.5",
        "Result: 0.3333333333333333",
        "Result: 0.25",
    ];
    assert_eq!(lines[..5], expected);
    assert!(lines[5].starts_with("Call failed: "), "{lines:?}");
    assert!(lines[5].contains("attempt to divide by zero"), "{lines:?}");
    assert_eq!(lines[6..], ["Result: 25"]);
}

#[test]
fn cancel_and_kill() {
    let lines = lines_of("cancel");
    let expected = [
        "Waiting task cancelled: true",
        "Running task cancelled: false",
        "Running task killed: true",
    ];
    assert_eq!(lines[..3], expected);
    assert!(lines[3].starts_with("Cancelled: "), "{lines:?}");
    assert!(lines[4].starts_with("Killed: "), "{lines:?}");
    assert_eq!(lines[5..], ["Task completed after 1 seconds"]);
}

#[test]
fn scope_leaves_nothing_behind() {
    let lines = lines_of("scope");
    let (calls, end) = lines.split_at(5);
    let pids: HashSet<u32> = calls
        .iter()
        .map(|line| {
            line.strip_prefix("Task executed in process: ")
                .expect("one line a call")
        })
        .map(|pid| pid.parse().expect("a process number"))
        .collect();
    assert!((1..=2).contains(&pids.len()), "{lines:?}");
    assert_eq!(end, ["Executor has been shut down", "Processes left: 0"]);
}

#[test]
fn threads_inside_compute_while_they_wait() {
    let lines = lines_of("threads_inside");
    for (x, sum) in [0, 0, 1, 5].into_iter().enumerate() {
        assert_eq!(lines[x], format!("({sum}, \"I/O task {x} completed\")"));
    }
    let took = seconds(&lines[4]);
    assert!((2.0..4.0).contains(&took), "{lines:?}");
}

#[test]
fn overhead_says_when_the_pool_pays() {
    let lines = lines_of("overhead");
    assert_eq!(lines.len(), 7, "{lines:?}");
    assert!(lines[6].starts_with("The pool "), "{lines:?}");
}

#[test]
fn io_bound_leaves_no_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let finished = finish(example("io_bound").env("TMPDIR", folder.path()));
    assert!(finished.succeeded, "{finished:?}");
    for x in 0..5 {
        let line = format!("I/O task {x} completed");
        assert_eq!(finished.stdout.matches(&line).count(), 2, "{finished:?}");
    }
    assert_eq!(
        fs::read_dir(folder.path())
            .expect("the folder is there")
            .count(),
        0
    );
}

#[test]
fn figures_are_three() {
    let lines = lines_of("figures");
    let begins = [
        "From nothing to ",
        "A call, there and back",
        "Tiny calls by map: ",
    ];
    assert_eq!(lines.len(), begins.len(), "{lines:?}");
    for (line, begin) in lines.iter().zip(begins) {
        assert!(line.starts_with(begin), "{lines:?}");
    }
}
