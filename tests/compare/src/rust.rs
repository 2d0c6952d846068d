//! Pools of Rust: what each has to offer, and how it is measured.

use std::hint::black_box;
use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use pool_compare::Failure;

use crate::contest::Contestant;
use crate::job::{Job, Origin};
use crate::work;

/// Has a worker read bytes, or make them, and reads them here: their [`work::sum`].
pub(crate) type Trip<'a> = Box<dyn Fn() -> Result<u64, Failure> + 'a>;

/// A pool of processes or threads.
pub(crate) trait Pool: Sized + Sync {
    const NAME: &'static str;

    fn start(workers: usize) -> Result<Self, Failure>;
    /// `work::double`, called and waited for.
    fn call(&self, x: u64) -> Result<u64, Failure>;
    /// `work::double` of so many numbers, given back in order; their sum.
    fn map(&self, count: u64) -> Result<u64, Failure>;
    /// So many calls of `work::double`, submitted one by one before any result is asked for, or as
    /// many at a time as it can have; their sum.
    fn submit(&self, count: u64) -> Result<u64, Failure>;
    /// `work::burn` of each.
    fn burn(&self, steps: &[u64]) -> Result<(), Failure>;
    /// The bytes, from a worker that was sent them; `None` if none are copied.
    fn echo(&self, bytes: Vec<u8>) -> Result<Option<Vec<u8>>, Failure>;
    /// A trip of bytes in memory that both sides read; `None` if it has no such.
    fn share<'a>(&'a self, bytes: &'a [u8], origin: Origin) -> Result<Option<Trip<'a>>, Failure>;
    /// Calls a task that ends its worker, and waits until that is known. Whether it has such.
    fn exit(&self) -> Result<bool, Failure>;
    /// Its workers, if they are processes.
    fn pids(&self) -> Result<Vec<u32>, Failure>;
    /// What each of so many pending calls costs this process, in bytes, if it can have them.
    fn pending(calls: u64) -> Result<Option<f64>, Failure>;
    /// Waits until it is gone. Whether it can.
    fn end(self) -> bool;
}

/// A pool that takes part. It is started at its first job, and then kept.
pub(crate) struct Rust<P> {
    workers: usize,
    pool: Option<P>,
}

impl<P: Pool> Rust<P> {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            pool: None,
        }
    }
}

impl<P: Pool> Contestant for Rust<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn measure(&mut self, job: &Job) -> Result<Option<Vec<f64>>, Failure> {
        match job {
            Job::Start { times } => return several(*times, start::<P>),
            Job::Shutdown { times } => return several(*times, shutdown::<P>),
            Job::Replace { times, told } => {
                let pool = P::start(1)?;
                return several(*times, || replace(&pool, *told));
            }
            Job::WorkerMemory => return worker_memory::<P>(),
            Job::PendingCalls { calls } => return pending::<P>(*calls),
            _ => {}
        }
        let pool = match self.pool.take() {
            Some(pool) => pool,
            None => P::start(self.workers)?,
        };
        let pool = self.pool.insert(pool);
        match job {
            Job::RoundTrip {
                pause,
                trips,
                seconds,
            } => round_trips(pool, *pause, *trips, *seconds).map(Some),
            Job::Map { seconds, most, .. } => {
                let run = |count| checked(count, pool.map(count)?);
                let (count, taken) = work::at_full_speed(*seconds, *most, run)?;
                Ok(Some(vec![work::per_second(count, taken)]))
            }
            Job::Submit {
                threads,
                seconds,
                most,
            } => {
                let run = |count| submit(pool, *threads, count);
                let (count, taken) = work::at_full_speed(*seconds, *most, run)?;
                Ok(Some(vec![work::per_second(count * *threads as u64, taken)]))
            }
            Job::Tasks { micros, seconds } => {
                let length = work::steps(*micros);
                let lengths = |count| vec![length; usize::try_from(count).unwrap_or(usize::MAX)];
                let run = |count| pool.burn(&lengths(count));
                let (count, _) = work::at_full_speed(*seconds, 1_000_000, run)?;
                share_of_ideal(pool, &lengths(count), self.workers).map(Some)
            }
            Job::Mixed { micros } => {
                let lengths: Vec<_> = micros.iter().map(|micros| work::steps(*micros)).collect();
                share_of_ideal(pool, &lengths, self.workers).map(Some)
            }
            Job::Echo { bytes, seconds } => echo(pool, *bytes, *seconds),
            Job::Shared {
                bytes,
                origin,
                seconds,
            } => shared(pool, *bytes, *origin, *seconds),
            _ => Ok(None),
        }
    }
}

fn share_of_ideal<P: Pool>(pool: &P, lengths: &[u64], workers: usize) -> Result<Vec<f64>, Failure> {
    let before = work::ideal(lengths, workers);
    let start = Instant::now();
    pool.burn(lengths)?;
    let taken = start.elapsed();
    let ideal = before.min(work::ideal(lengths, workers));
    Ok(vec![ideal.as_secs_f64() / taken.as_secs_f64()])
}

/// The times that `work` gives, over and over; `None` if it cannot do it.
fn several(
    times: usize,
    mut work: impl FnMut() -> Result<Option<Duration>, Failure>,
) -> Result<Option<Vec<f64>>, Failure> {
    let seconds = (0..times).map(|_| Ok(work()?.map(|taken| taken.as_secs_f64())));
    seconds.collect()
}

fn checked(count: u64, sum: u64) -> Result<(), Failure> {
    if sum == count * (count - 1) {
        Ok(())
    } else {
        Err(format!("{count} calls gave {sum}").into())
    }
}

fn round_trips<P: Pool>(
    pool: &P,
    pause: f64,
    trips: usize,
    seconds: f64,
) -> Result<Vec<f64>, Failure> {
    for x in 0..8 {
        pool.call(x)?;
    }
    let begin = Instant::now();
    let mut times = Vec::with_capacity(trips);
    while times.len() < trips && begin.elapsed().as_secs_f64() < seconds {
        if pause > 0.0 {
            thread::sleep(Duration::from_secs_f64(pause));
        }
        let start = Instant::now();
        let doubled = pool.call(black_box(21))?;
        times.push(start.elapsed().as_secs_f64());
        assert_eq!(doubled, 42);
    }
    Ok(times)
}

fn submit<P: Pool>(pool: &P, threads: usize, count: u64) -> Result<(), Failure> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| checked(count, pool.submit(count)?)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}

fn echo<P: Pool>(pool: &P, size: usize, seconds: f64) -> Result<Option<Vec<f64>>, Failure> {
    let Some(mut bytes) = pool.echo(vec![1; size])? else {
        return Ok(None);
    };
    let trips = work::repeated(seconds, || {
        let returned = pool.echo(mem::take(&mut bytes))?;
        bytes = returned.ok_or("it returned nothing")?;
        Ok::<_, Failure>(())
    })?;
    assert_eq!(bytes.len(), size);
    Ok(Some(trips))
}

fn shared<P: Pool>(
    pool: &P,
    size: usize,
    origin: Origin,
    seconds: f64,
) -> Result<Option<Vec<f64>>, Failure> {
    let bytes = vec![1; size];
    let expected = work::sum(&bytes);
    let Some(trip) = pool.share(&bytes, origin)? else {
        return Ok(None);
    };
    let checked = || match trip()? {
        sum if sum == expected => Ok(()),
        sum => Err(format!("the bytes' sum is {sum}, not {expected}").into()),
    };
    // The first trip finds memory that nobody has mapped yet.
    checked()?;
    work::repeated(seconds, checked).map(Some)
}

fn start<P: Pool>() -> Result<Option<Duration>, Failure> {
    let start = Instant::now();
    let pool = P::start(2)?;
    pool.call(1)?;
    let taken = start.elapsed();
    pool.end();
    Ok(Some(taken))
}

fn shutdown<P: Pool>() -> Result<Option<Duration>, Failure> {
    let pool = P::start(2)?;
    pool.map(64)?;
    let start = Instant::now();
    Ok(pool.end().then(|| start.elapsed()))
}

fn replace<P: Pool>(pool: &P, told: bool) -> Result<Option<Duration>, Failure> {
    pool.call(1)?;
    let mut start = Instant::now();
    if !pool.exit()? {
        return Ok(None);
    }
    if told {
        start = Instant::now();
    }
    pool.call(1)?;
    Ok(Some(start.elapsed()))
}

/// Of a pool that has done little, as work may leave memory behind.
fn worker_memory<P: Pool>() -> Result<Option<Vec<f64>>, Failure> {
    let pool = P::start(2)?;
    pool.map(64)?;
    let sizes = pool.pids()?.into_iter().map(proportional_set_size);
    let sizes = sizes.collect::<Result<_, _>>()?;
    pool.end();
    Ok(Some(sizes))
}

/// In a process of its own, so that no memory that was used and freed before hides the growth.
fn pending<P: Pool>(calls: u64) -> Result<Option<Vec<f64>>, Failure> {
    let output = std::process::Command::new(std::env::current_exe()?)
        .args(["--pending", P::NAME, &calls.to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.trim() {
        "" if output.status.success() => Ok(None),
        number => Ok(Some(vec![number.parse()?])),
    }
}

/// The part of the memory of `pid` that is its own, and its part of what is shared, in bytes. Without
/// the pages of program files: what falls to one process of these depends on who else has them.
fn proportional_set_size(pid: u32) -> Result<f64, Failure> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib = |name: &str| -> Result<f64, Failure> {
        let number = rollup
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"))
            .ok_or_else(|| format!("no {name} in smaps_rollup"))?;
        Ok(number.parse()?)
    };
    Ok((kib("Pss_Anon:")? + kib("Pss_Shmem:")?) * 1024.0)
}

/// The resident memory of this process, in bytes.
pub(crate) fn resident() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
        .ok_or("no VmRSS in /proc/self/status")?
        .parse()?;
    Ok(kib * 1024.0)
}
