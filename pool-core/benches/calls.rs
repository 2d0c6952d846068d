//! What calls cost: `cargo bench -p pool-core`. `BENCHMARKS.md` compares with others.

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use pool_core::{Executor, TaskFuture, task};

/// Shared by all, as executors that are used up are another matter.
static EXECUTOR: LazyLock<Executor> = LazyLock::new(new);

const TINY: u64 = 200_000;
const LONG: usize = 1_000;

#[task]
fn double(x: u64) -> u64 {
    x.wrapping_mul(2)
}

#[task]
fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[task]
fn compute(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        black_box(());
    }
}

fn new() -> Executor {
    let executor = Executor::new().expect("an executor");
    assert_eq!(call(&executor, 21), 42);
    executor
}

fn call(executor: &Executor, x: u64) -> u64 {
    executor.submit(double, x).result().expect("a number")
}

#[divan::bench]
fn round_trip(bencher: Bencher) {
    bencher.bench(|| call(&EXECUTOR, black_box(21)));
}

/// After a pause that lets both sides fall asleep.
#[divan::bench(sample_size = 1, sample_count = 100)]
fn round_trip_parked(bencher: Bencher) {
    bencher
        .with_inputs(|| std::thread::sleep(Duration::from_millis(3)))
        .bench_values(|()| call(&EXECUTOR, black_box(21)));
}

#[divan::bench(sample_size = 1, sample_count = 20)]
fn map_tiny(bencher: Bencher) {
    bencher.counter(ItemsCount::new(TINY)).bench(|| {
        let results = EXECUTOR.map(double, 0..TINY);
        results.collect::<Result<Vec<_>, _>>().expect("numbers")
    });
}

#[divan::bench(sample_size = 1, sample_count = 20)]
fn submit_tiny(bencher: Bencher) {
    bencher.counter(ItemsCount::new(TINY)).bench(|| {
        let futures: Vec<_> = (0..TINY).map(|x| EXECUTOR.submit(double, x)).collect();
        let results = futures.into_iter().map(TaskFuture::result);
        results.collect::<Result<Vec<_>, _>>().expect("numbers")
    });
}

/// Ideal are 100 us for each worker's share of the items.
#[divan::bench(sample_size = 1, sample_count = 20)]
fn map_of_100_us(bencher: Bencher) {
    let times = [Duration::from_micros(100); LONG];
    bencher.counter(ItemsCount::new(LONG)).bench(|| {
        for result in EXECUTOR.map_ref(compute, &times) {
            result.expect("an end");
        }
    });
}

/// The bytes that come back are sent again.
#[divan::bench(args = [1, 1 << 10, 1 << 16, 1 << 20, 1 << 24], sample_count = 1000, max_time = 1)]
fn payload(bencher: Bencher, size: usize) {
    let mut bytes = vec![1; size];
    bencher.counter(BytesCount::new(2 * size)).bench_local(|| {
        let sent = std::mem::take(&mut bytes);
        bytes = EXECUTOR.submit(echo, sent).result().expect("the bytes");
    });
}

/// From nothing to the first result; the end is not counted.
#[divan::bench(sample_size = 1, sample_count = 50)]
fn start(bencher: Bencher) {
    bencher.bench(new);
}

fn main() {
    divan::main();
}
