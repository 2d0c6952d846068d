//! The same jobs on this pool, on others, and on bare threads, taking turns in one run.
//!
//! `cargo run --release -p pool-compare`; `BENCHMARKS.md` says what is measured and how.

mod bounds;
mod contest;
mod floors;
mod job;
mod options;
mod others;
mod ours;
mod plot;
mod python;
mod report;
mod rust;
mod sys;
mod work;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use pool_compare::{Failure, Machine, write_between};
use pool_core::Executor;

use contest::{Contestant, Row};
use floors::Floor;
use job::Extent;
use options::Options;
use python::Python;
use rust::{Pool, Rust};

/// The root of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Between these lines of `BENCHMARKS.md` stands what a run has written.
const MARKS: [&str; 2] = ["<!-- results -->", "<!-- end of results -->"];

fn main() -> ExitCode {
    // Workers of procspawn do not return from here.
    procspawn::init();
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    if options.nothing {
        return Ok(());
    }
    if let Some((who, calls)) = &options.pending {
        return tell_pending(who, *calls);
    }
    let machine = Machine::this();
    println!("{}", machine.describe());
    let held = match options.extent {
        Extent::Full => Ok(()),
        // Before anybody else is awake, or in memory.
        Extent::Smoke => bounds::check(),
    };
    let mut contestants = contestants()?;
    let rows = measure(&mut contestants, options);
    let names: Vec<_> = contestants
        .iter()
        .filter(|contestant| !contestant.is_floor())
        .map(|contestant| contestant.name())
        .collect();
    let table = report::table(&rows, &names);
    println!("\n{table}");
    if let Some(path) = &options.json {
        let json = report::json(&rows, &machine);
        fs::write(path, serde_json::to_string_pretty(&json)?)?;
    }
    if let Some(path) = &options.svg {
        fs::write(path, plot::draw(&rows))?;
    }
    if options.write {
        write(
            &format!("{}\n\n{table}", machine.describe()),
            &plot::draw(&rows),
        )?;
    }
    held
}

/// Everybody who can take part here.
fn contestants() -> Result<Vec<Box<dyn Contestant>>, Failure> {
    let workers = thread::available_parallelism()?.get();
    let mut contestants: Vec<Box<dyn Contestant>> = vec![Box::new(Rust::<Executor>::new(workers))];
    for python in [Python::executor(workers), Python::pool(workers)] {
        match python {
            Ok(python) => contestants.push(Box::new(python)),
            Err(error) => eprintln!("{error}"),
        }
    }
    contestants.push(Box::new(Rust::<procspawn::Pool>::new(workers)));
    contestants.push(Box::new(Rust::<rayon::ThreadPool>::new(workers)));
    for floor in Floor::ALL {
        contestants.push(Box::new(floor));
    }
    Ok(contestants)
}

fn measure(contestants: &mut [Box<dyn Contestant>], options: &Options) -> Vec<Row> {
    let rounds = options.extent.pick(5, 1);
    let allowance = options
        .extent
        .pick(Duration::from_secs(3), Duration::from_millis(500));
    let begin = Instant::now();
    let entries = job::entries(options.extent);
    let chosen = entries
        .iter()
        .filter(|entry| entry.name.contains(&options.only));
    chosen
        .flat_map(|entry| {
            let rows = contest::compete(contestants, entry, rounds, allowance);
            eprintln!("{:6.1} s  {}", begin.elapsed().as_secs_f64(), entry.name);
            rows
        })
        .collect()
}

/// What `Rust::measure` asks of a process that has done nothing else.
fn tell_pending(who: &str, calls: u64) -> Result<(), Failure> {
    if who == Executor::NAME
        && let Some(bytes) = <Executor as Pool>::pending(calls)?
    {
        println!("{bytes}");
    }
    Ok(())
}

/// Writes results and plot to where the repository shows them.
fn write(results: &str, plot: &str) -> Result<(), Failure> {
    let root = Path::new(ROOT);
    let [begin, end] = MARKS;
    write_between(&root.join("BENCHMARKS.md"), begin, end, results)?;
    fs::create_dir_all(root.join("docs"))?;
    fs::write(root.join("docs/benchmarks.svg"), plot)?;
    Ok(())
}
