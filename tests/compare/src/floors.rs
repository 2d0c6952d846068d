//! Floors: what the machine itself takes for the least that a pool has to do.

use std::hint;
use std::io::{self, Read, Write};
use std::mem;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use pool_compare::Failure;

use crate::contest::Contestant;
use crate::job::{Job, Origin};
use crate::sys::{Forked, Mapping, SharedWord};
use crate::work;

/// Something that the machine does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Floor {
    /// Two processes that wake each other by futexes.
    Futex,
    /// Two processes that look at a word without end, each on a core of its own.
    Spin,
    /// The task called in a loop, in this process.
    Loop,
    /// The bytes copied once for each way that they take, into memory that was used before.
    Memcpy,
    /// The bytes written into a pipe to another process, and back through another pipe.
    Pipe,
    /// The bytes read where they lie, once for each side that reads them.
    Read,
    /// As much new memory as a trip there and back must have, each page touched.
    Pages,
    /// A process forked, and its end waited for.
    Fork,
    /// This program started, and its end waited for.
    Exec,
}

impl Floor {
    pub(crate) const ALL: [Self; 9] = [
        Self::Futex,
        Self::Spin,
        Self::Loop,
        Self::Memcpy,
        Self::Pipe,
        Self::Read,
        Self::Pages,
        Self::Fork,
        Self::Exec,
    ];
}

impl Contestant for Floor {
    fn name(&self) -> &'static str {
        match self {
            Self::Futex => "futex",
            Self::Spin => "spin",
            Self::Loop => "loop",
            Self::Memcpy => "memcpy",
            Self::Pipe => "pipe",
            Self::Read => "read",
            Self::Pages => "pages",
            Self::Fork => "fork",
            Self::Exec => "exec",
        }
    }

    fn is_floor(&self) -> bool {
        true
    }

    fn measure(&mut self, job: &Job) -> Result<Option<Vec<f64>>, Failure> {
        let numbers = match (self, job) {
            (Self::Futex, Job::RoundTrip { pause, trips, .. }) => ping_pong(
                *pause,
                *trips,
                SharedWord::wait_while,
                SharedWord::set_and_wake,
            )?,
            (
                Self::Spin,
                Job::RoundTrip {
                    pause: 0.0, trips, ..
                },
            ) => {
                if thread::available_parallelism()?.get() < 2 {
                    return Ok(None);
                }
                ping_pong(0.0, *trips, spin_while, set)?
            }
            (Self::Loop, Job::Map { tuned: false, .. } | Job::Submit { threads: 1, .. }) => {
                vec![plain_loop()]
            }
            (Self::Memcpy, Job::Echo { bytes, seconds }) => copies(2, *bytes, *seconds),
            (Self::Pipe, Job::Echo { bytes, seconds }) => through_pipes(*bytes, *seconds)?,
            (Self::Memcpy, Job::Shared { bytes, seconds, .. }) => copies(1, *bytes, *seconds),
            (
                Self::Read,
                Job::Shared {
                    bytes,
                    origin: Origin::Before,
                    seconds,
                },
            ) => reads(2, *bytes, *seconds),
            (Self::Pages, Job::Echo { bytes, seconds }) if *bytes >= 1 << 20 => {
                pages(*bytes, *seconds)?
            }
            (Self::Fork, Job::Replace { times, .. }) => processes(*times, fork)?,
            (Self::Exec, Job::Start { times }) => processes(*times, exec)?,
            _ => return Ok(None),
        };
        Ok(Some(numbers))
    }
}

/// How many trips may find the child not yet there.
const FIRST: usize = 8;

/// The times in which a word goes to another process and comes back.
fn ping_pong(
    pause: f64,
    trips: usize,
    wait_while: fn(&SharedWord, u32),
    set: fn(&SharedWord, u32),
) -> io::Result<Vec<f64>> {
    let word = SharedWord::new()?;
    let _child = Forked::new(|| {
        for turn in (0..).step_by(2) {
            wait_while(&word, turn);
            set(&word, turn + 2);
        }
    })?;
    let mut times = Vec::with_capacity(FIRST + trips);
    for turn in (0..).step_by(2).take(FIRST + trips) {
        if pause > 0.0 && times.len() >= FIRST {
            thread::sleep(Duration::from_secs_f64(pause));
        }
        let taken = work::time(|| {
            set(&word, turn + 1);
            wait_while(&word, turn + 1);
        });
        times.push(taken.as_secs_f64());
    }
    Ok(times.split_off(FIRST))
}

fn spin_while(word: &SharedWord, value: u32) {
    while word.get().load(Ordering::Acquire) == value {
        hint::spin_loop();
    }
}

fn set(word: &SharedWord, value: u32) {
    word.get().store(value, Ordering::Release);
}

/// Calls per second of a loop whose calls are kept apart.
fn plain_loop() -> f64 {
    const COUNT: u64 = 10_000_000;
    let taken = work::time(|| {
        for x in 0..COUNT {
            hint::black_box(work::double(hint::black_box(x)));
        }
    });
    work::per_second(COUNT, taken)
}

fn copies(count: usize, size: usize, seconds: f64) -> Vec<f64> {
    let mut here = vec![1; size];
    let mut there = vec![2; size];
    let Ok(times) = work::repeated(seconds, || {
        for _ in 0..count {
            hint::black_box(&mut there).copy_from_slice(hint::black_box(&here));
            mem::swap(&mut here, &mut there);
        }
        Ok::<_, std::convert::Infallible>(())
    });
    times
}

/// The times of bytes to another process, which takes them all before it sends them back.
fn through_pipes(size: usize, seconds: f64) -> io::Result<Vec<f64>> {
    let (mut incoming, mut request) = io::pipe()?;
    let (mut response, mut outgoing) = io::pipe()?;
    let mut bytes = vec![1; size];
    let mut copy = bytes.clone();
    // It takes its ends with it: if it dies, both sides are told.
    let _child = Forked::new(move || {
        while incoming.read_exact(&mut copy).is_ok() && outgoing.write_all(&copy).is_ok() {}
    })?;
    work::repeated(seconds, || {
        request.write_all(&bytes)?;
        response.read_exact(&mut bytes)
    })
}

fn reads(count: usize, size: usize, seconds: f64) -> Vec<f64> {
    let here = vec![1; size];
    let Ok(times) = work::repeated(seconds, || {
        for _ in 0..count {
            hint::black_box(work::sum(hint::black_box(&here)));
        }
        Ok::<_, std::convert::Infallible>(())
    });
    times
}

fn pages(size: usize, seconds: f64) -> io::Result<Vec<f64>> {
    work::repeated(seconds, || {
        for _ in 0..2 {
            Mapping::fresh(size)?.touch();
        }
        Ok(())
    })
}

/// The times of so many processes.
fn processes(times: usize, process: fn() -> io::Result<()>) -> io::Result<Vec<f64>> {
    (0..times)
        .map(|_| {
            let start = Instant::now();
            process()?;
            Ok(start.elapsed().as_secs_f64())
        })
        .collect()
}

fn fork() -> io::Result<()> {
    Forked::new(|| ())?.wait();
    Ok(())
}

fn exec() -> io::Result<()> {
    Command::new("/proc/self/exe").arg("--nothing").status()?;
    Ok(())
}
