use std::collections::HashSet;
use std::{fs, thread};

use crate::support::{example, finish, lines_of};

/// The sums of the squares below 10^6, 10^7 and 10^8.
const SUMS: [&str; 3] = [
    "333332833333500000",
    "333333283333335000000",
    "333333328333333350000000",
];

/// The number in a line such as `Both took 2.0 seconds`.
fn seconds(line: &str) -> f64 {
    let number = line.split(' ').rev().nth(1).expect("a number and a unit");
    number
        .parse()
        .unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// The numbers in a line of a table.
fn numbers(line: &str) -> Vec<f64> {
    line.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

#[test]
fn cpu_bound_adds_exactly() {
    let lines = lines_of("cpu_bound");
    let cores = thread::available_parallelism().expect("a number of cores");
    assert_eq!(lines[0], format!("Number of CPU cores: {cores}"));
    let (results, times): (Vec<_>, Vec<_>) = lines[1..]
        .iter()
        .partition(|line| line.starts_with("Result: "));
    assert_eq!(results, SUMS.map(|sum| format!("Result: {sum}")).each_ref());
    assert_eq!(times.len(), 3 + 2 * cores.get(), "{lines:?}");
    for line in &times {
        assert!(line.starts_with("Task completed in "), "{lines:?}");
    }
    // A hundred times the work: never as quick, however busy the machine is.
    assert!(seconds(times[2]) > seconds(times[0]), "{lines:?}");
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
    // One after the other they would take three seconds.
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
    for told in [
        "careless_function",
        "exceptions.rs:",
        "attempt to divide by zero",
    ] {
        assert!(lines[5].contains(told), "{lines:?}");
    }
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
    let finished = finish(&mut example("scope"));
    assert!(finished.succeeded, "{finished:?}");
    let lines: Vec<_> = finished.stdout.lines().collect();
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
    assert!(!pids.contains(&finished.pid), "{finished:?}");
    assert_eq!(end, ["Executor has been shut down", "Processes left: 0"]);
}

#[test]
fn threads_inside_give_both_results() {
    let lines = lines_of("threads_inside");
    for (x, sum) in [0, 0, 1, 5].into_iter().enumerate() {
        assert_eq!(lines[x], format!("({sum}, \"I/O task {x} completed\")"));
    }
    let took = seconds(&lines[4]);
    // Four calls of a second on two workers; on one they would take four seconds.
    assert!((2.0..4.0).contains(&took), "{lines:?}");
}

#[test]
fn overhead_says_when_the_pool_pays() {
    let lines = lines_of("overhead");
    let (table, verdicts) = lines.split_at(lines.len() - 2);
    let rows: Vec<Vec<f64>> = table[1..].iter().map(|line| numbers(line)).collect();
    let (first, last) = (&rows[0], &rows[rows.len() - 1]);
    assert!(first[0] < 5.0 && last[0] >= 50.0, "{lines:?}");
    for row in &rows {
        assert!(row[2..].iter().all(|time| *time > 0.0), "{lines:?}");
        // A thousand calls of so many microseconds take as many milliseconds.
        assert!((row[0] - row[1]).abs() <= 0.02, "{lines:?}");
    }
    for (column, pool) in [(2, "A new pool"), (3, "A running pool")] {
        let verdict = &verdicts[column - 2];
        let pays = verdict.starts_with(&format!("{pool} pays from "));
        let pays_not = verdict.starts_with(&format!("{pool} does not pay "));
        assert!(pays && last[column] <= last[1] || pays_not && last[column] >= last[1]);
    }
}

#[test]
fn io_bound_leaves_no_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let finished = finish(example("io_bound").env("TMPDIR", folder.path()));
    assert!(finished.succeeded, "{finished:?}");
    let lines: Vec<_> = finished.stdout.lines().collect();
    let texts = [0, 1, 2, 3, 4].map(|x| format!("I/O task {x} completed"));
    let texts = format!("I/O-bound results: {texts:?}");
    assert_eq!(
        lines[0],
        format!("CPU-bound results: [{}]", SUMS.join(", "))
    );
    assert_eq!([lines[1], lines[3]], [&texts, &texts]);
    assert!(lines[2].starts_with("On processes: "), "{finished:?}");
    assert!(lines[4].starts_with("On threads: "), "{finished:?}");
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
