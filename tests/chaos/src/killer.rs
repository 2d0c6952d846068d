//! Who kills: signals to workers and to the fork server, at any moment.

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pool_core::Executor;
use pool_tests::Random;

use crate::ledger::Ledger;
use crate::processes::{of_this_program, parent};
use crate::setting::Weapons;
use crate::sys::Process;

/// How long a process is stopped, at most.
const STOPPED_FOR: Duration = Duration::from_millis(400);

/// How many signals were sent, to workers and to fork servers.
#[derive(Debug, Default)]
pub(crate) struct Shots {
    pub(crate) workers: AtomicU64,
    pub(crate) servers: AtomicU64,
}

/// Sends signals to the processes of an executor until told that it is over.
pub(crate) struct Killer<'a> {
    pub(crate) executor: Weak<Executor>,
    pub(crate) ledger: &'a Ledger,
    pub(crate) shots: &'a Shots,
    pub(crate) random: Random,
    /// Processes that are stopped, and until when.
    stopped: Vec<(Process, Instant)>,
    /// The workers that were seen last.
    workers: Vec<u32>,
}

impl<'a> Killer<'a> {
    pub(crate) fn new(
        executor: Weak<Executor>,
        ledger: &'a Ledger,
        shots: &'a Shots,
        random: Random,
    ) -> Self {
        Self {
            executor,
            ledger,
            shots,
            random,
            stopped: Vec::new(),
            workers: Vec::new(),
        }
    }

    pub(crate) fn run(mut self, is_over: &AtomicBool) {
        let weapons = self.ledger.setting().weapons;
        let Some(pause) = weapons.pause else {
            return;
        };
        let pause = usize::try_from(pause.as_micros()).unwrap_or(usize::MAX);
        while !is_over.load(Ordering::SeqCst) {
            let pause = self.random.within(0..pause) as u64;
            self.continue_due(Instant::now());
            thread::sleep(Duration::from_micros(pause));
            self.strike(weapons);
        }
        self.continue_due(Instant::now() + STOPPED_FOR);
    }

    /// Hurts one process.
    fn strike(&mut self, weapons: Weapons) {
        if let Some(executor) = self.executor.upgrade() {
            self.workers = executor.worker_pids();
        }
        if self.workers.is_empty() {
            return;
        }
        let worker = self.random.pick(&self.workers);
        let on_server = weapons.on_server && self.random.one_in(12);
        // Killed while it ends what tasks have started, it cannot, and nobody follows it.
        if on_server && self.ledger.setting().abandons && self.ledger.is_ending() {
            return;
        }
        let target = if on_server {
            parent(worker)
        } else {
            Some(worker)
        };
        let Some(process) = target.and_then(of_this_program) else {
            return;
        };
        let signals = [
            libc::SIGKILL,
            libc::SIGKILL,
            libc::SIGTERM,
            libc::SIGSEGV,
            libc::SIGSTOP,
        ];
        let signals = &signals[..signals.len() - usize::from(!weapons.stops)];
        let signal = self.random.pick(signals);
        if on_server {
            self.ledger.hit_server();
            self.shots.servers.fetch_add(1, Ordering::Relaxed);
        } else {
            self.ledger.hit(process.pid, signal);
            self.shots.workers.fetch_add(1, Ordering::Relaxed);
        }
        // It may have ended by now.
        let _ = process.signal(signal);
        if signal == libc::SIGSTOP {
            let longest = usize::try_from(STOPPED_FOR.as_millis()).unwrap_or(1);
            let until = Instant::now() + self.random.millis(0..longest);
            self.stopped.push((process, until));
        }
    }

    /// Lets processes go on that were stopped until `now`.
    fn continue_due(&mut self, now: Instant) {
        for (process, _) in self.stopped.extract_if(.., |(_, until)| *until <= now) {
            // It may have been killed meanwhile.
            let _ = process.signal(libc::SIGCONT);
        }
    }
}
