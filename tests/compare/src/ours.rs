//! `pool-core`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pool_core::{Executor, Shared, TaskFuture, task};

use crate::job::Origin;
use crate::rust::{self, Pool, Trip};
use crate::work;
use pool_compare::Failure;

#[task]
fn double(x: u64) -> u64 {
    work::double(x)
}

#[task]
fn burn(steps: u64) -> u64 {
    work::burn(steps)
}

#[task]
fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// The sum of the bytes, and what was read.
#[task]
fn read(bytes: Shared<[u8]>) -> (u64, Shared<[u8]>) {
    (work::sum(&bytes), bytes)
}

/// So many bytes, of which the worker has had its own for long.
#[task]
fn make(size: usize) -> Shared<[u8]> {
    static BYTES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    let mut bytes = BYTES.lock().unwrap_or_else(PoisonError::into_inner);
    bytes.resize(size, 1);
    Shared::from_slice(&bytes)
}

#[task]
fn exit() {
    std::process::exit(1)
}

#[task]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}

impl Pool for Executor {
    const NAME: &'static str = "pool-core";

    fn start(workers: usize) -> Result<Self, Failure> {
        Ok(Executor::builder().workers(workers).build()?)
    }

    fn call(&self, x: u64) -> Result<u64, Failure> {
        Ok(Executor::submit(self, double, x).result()?)
    }

    fn map(&self, count: u64) -> Result<u64, Failure> {
        let doubled: Vec<u64> = Executor::map(self, double, 0..count).collect::<Result<_, _>>()?;
        Ok(doubled.iter().sum())
    }

    fn submit(&self, count: u64) -> Result<u64, Failure> {
        let futures: Vec<_> = (0..count)
            .map(|x| Executor::submit(self, double, x))
            .collect();
        let results: Result<Vec<_>, _> = futures.into_iter().map(TaskFuture::result).collect();
        Ok(results?.iter().sum())
    }

    fn burn(&self, steps: &[u64]) -> Result<(), Failure> {
        for result in self.map_ref(burn, steps) {
            result?;
        }
        Ok(())
    }

    fn echo(&self, bytes: Vec<u8>) -> Result<Option<Vec<u8>>, Failure> {
        Ok(Some(Executor::submit(self, echo, bytes).result()?))
    }

    fn share<'a>(&'a self, bytes: &'a [u8], origin: Origin) -> Result<Option<Trip<'a>>, Failure> {
        let read_by_both = |shared: Shared<[u8]>| {
            let (there, back) = Executor::submit(self, read, shared).result()?;
            let here = work::sum(&back);
            assert_eq!(here, there, "both read the same");
            Ok(here)
        };
        let trip: Trip<'a> = match origin {
            Origin::Before => {
                let shared = self.share_slice(bytes)?;
                Box::new(move || read_by_both(shared.clone()))
            }
            Origin::Anew => Box::new(move || read_by_both(self.share_slice(bytes)?)),
            Origin::Task => Box::new(move || {
                let made = Executor::submit(self, make, bytes.len()).result()?;
                Ok(work::sum(&made))
            }),
        };
        Ok(Some(trip))
    }

    fn exit(&self) -> Result<bool, Failure> {
        match Executor::submit(self, exit, ()).result() {
            Ok(()) => Err("the worker did not exit".into()),
            Err(error) => Ok(error.exit_code() == Some(1)),
        }
    }

    fn pids(&self) -> Result<Vec<u32>, Failure> {
        Ok(self.worker_pids())
    }

    fn pending(calls: u64) -> Result<Option<f64>, Failure> {
        let executor = Executor::builder().workers(1).build()?;
        Pool::map(&executor, 1000)?;
        let _busy = Executor::submit(&executor, sleep, Duration::from_mins(1));
        let before = rust::resident()?;
        let futures: Vec<_> = (0..calls)
            .map(|x| Executor::submit(&executor, double, x))
            .collect();
        let grown = rust::resident()? - before;
        executor.kill();
        #[expect(
            clippy::cast_precision_loss,
            reason = "counts of calls are far smaller"
        )]
        let each = grown / futures.len() as f64;
        Ok(Some(each))
    }

    fn end(self) -> bool {
        drop(self);
        true
    }
}
