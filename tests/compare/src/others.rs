//! Other pools of Rust: `procspawn`, of processes, and `rayon`, of threads.

use std::collections::{BTreeSet, VecDeque};
use std::hint;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::job::Origin;
use crate::rust::{Pool, Trip};
use crate::work;
use pool_compare::Failure;

/// Calls of procspawn that may wait at a time. Each takes three descriptors, of which a process
/// commonly has 1024.
const IN_FLIGHT: usize = 128;

/// Calls `task` with each input on `pool`, and hands on the results in order.
fn windowed<R>(
    pool: &procspawn::Pool,
    inputs: impl Iterator<Item = u64>,
    task: fn(u64) -> R,
    mut take: impl FnMut(R),
) -> Result<(), Failure>
where
    R: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
{
    let mut handles = VecDeque::new();
    for input in inputs {
        if handles.len() == IN_FLIGHT {
            take(next(&mut handles)?);
        }
        handles.push_back(pool.spawn(input, task));
    }
    while !handles.is_empty() {
        take(next(&mut handles)?);
    }
    Ok(())
}

fn next<R>(handles: &mut VecDeque<procspawn::JoinHandle<R>>) -> Result<R, Failure>
where
    R: serde::Serialize + serde::de::DeserializeOwned,
{
    let handle = handles.pop_front().ok_or("no call is in flight")?;
    Ok(handle.join()?)
}

impl Pool for procspawn::Pool {
    const NAME: &'static str = "procspawn";

    fn start(workers: usize) -> Result<Self, Failure> {
        Ok(procspawn::Pool::new(workers)?)
    }

    fn call(&self, x: u64) -> Result<u64, Failure> {
        Ok(self.spawn(x, work::double).join()?)
    }

    fn map(&self, count: u64) -> Result<u64, Failure> {
        let mut doubled = Vec::new();
        windowed(self, 0..count, work::double, |x| doubled.push(x))?;
        Ok(doubled.iter().sum())
    }

    fn submit(&self, count: u64) -> Result<u64, Failure> {
        Pool::map(self, count)
    }

    fn burn(&self, steps: &[u64]) -> Result<(), Failure> {
        windowed(self, steps.iter().copied(), work::burn, drop)
    }

    fn echo(&self, bytes: Vec<u8>) -> Result<Option<Vec<u8>>, Failure> {
        Ok(Some(self.spawn(bytes, |bytes: Vec<u8>| bytes).join()?))
    }

    fn share<'a>(&'a self, _: &'a [u8], _: Origin) -> Result<Option<Trip<'a>>, Failure> {
        Ok(None)
    }

    fn exit(&self) -> Result<bool, Failure> {
        let exits: fn(()) = |()| std::process::exit(1);
        Ok(self.spawn((), exits).join().is_err())
    }

    fn pids(&self) -> Result<Vec<u32>, Failure> {
        let mut pids = BTreeSet::new();
        let tell = |_| {
            std::thread::sleep(Duration::from_millis(5));
            std::process::id()
        };
        // Which of them gets which call is theirs to choose.
        windowed(self, 0..16, tell, |pid| _ = pids.insert(pid))?;
        Ok(pids.into_iter().collect())
    }

    fn pending(_: u64) -> Result<Option<f64>, Failure> {
        Ok(None)
    }

    fn end(self) -> bool {
        self.shutdown();
        true
    }
}

impl Pool for rayon::ThreadPool {
    const NAME: &'static str = "rayon (threads)";

    fn start(workers: usize) -> Result<Self, Failure> {
        Ok(rayon::ThreadPoolBuilder::new()
            .num_threads(workers)
            .build()?)
    }

    fn call(&self, x: u64) -> Result<u64, Failure> {
        Ok(self.install(|| work::double(x)))
    }

    fn map(&self, count: u64) -> Result<u64, Failure> {
        let doubled: Vec<u64> =
            self.install(|| (0..count).into_par_iter().map(work::double).collect());
        Ok(doubled.iter().sum())
    }

    fn submit(&self, count: u64) -> Result<u64, Failure> {
        let results: Vec<_> = (0..count).map(|_| AtomicU64::new(0)).collect();
        self.in_place_scope(|scope| {
            for (x, result) in (0..).zip(&results) {
                scope.spawn(move |_| result.store(work::double(x), Ordering::Relaxed));
            }
        });
        Ok(results.iter().map(|x| x.load(Ordering::Relaxed)).sum())
    }

    fn burn(&self, steps: &[u64]) -> Result<(), Failure> {
        self.install(|| {
            let burnt = steps
                .into_par_iter()
                .with_max_len(1)
                .map(|steps| work::burn(*steps));
            burnt.for_each(|state| _ = hint::black_box(state));
        });
        Ok(())
    }

    fn echo(&self, _: Vec<u8>) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }

    fn share<'a>(&'a self, bytes: &'a [u8], origin: Origin) -> Result<Option<Trip<'a>>, Failure> {
        // All memory is shared: there is nothing to be done for it.
        if origin != Origin::Before {
            return Ok(None);
        }
        Ok(Some(Box::new(move || {
            let there = self.install(|| work::sum(hint::black_box(bytes)));
            let here = work::sum(hint::black_box(bytes));
            assert_eq!(here, there, "both read the same");
            Ok(here)
        })))
    }

    fn exit(&self) -> Result<bool, Failure> {
        Ok(false)
    }

    fn pids(&self) -> Result<Vec<u32>, Failure> {
        Ok(Vec::new())
    }

    fn pending(_: u64) -> Result<Option<f64>, Failure> {
        Ok(None)
    }

    fn end(self) -> bool {
        // Its threads end some time later.
        false
    }
}
