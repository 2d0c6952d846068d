//! The supervising thread: the lives of workers.
//!
//! One thread for each executor serves the fork server's reports, the workers' deaths and their
//! bells. It replaces workers that died, and says to a call that died with its worker how that
//! happened. It holds the fork server and ends with it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_worker::channel::{ApplicationEnd, LastWords, Segment};
use pool_worker::protocol::{LastWordsKind, PanicReport, Report, Setup, StartMethod};

use crate::call::Call;
use crate::completion::{Outcome, Place};
use crate::driver::{Locked, Pool};
use crate::fork_server::ForkServer;
use crate::initializer::Initializer;
use crate::member::{Member, Sentence};
use crate::scheduler::{Breakdown, Gate};
use crate::sys::{self, Epoll};
use crate::task_error::{Ending, TaskError, TaskErrorKind};

/// How long a finished fork server may take to be gone before it is killed.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How often to look whether a call should move to an idle worker, while one could.
const BALANCE_EVERY: Duration = Duration::from_millis(1);
/// The pause before a worker is asked for again that could not be had, at first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(10);
const RETRY_MOST: Duration = Duration::from_secs(1);
/// How long a request to the fork server may stay unanswered before it counts as hung.
const REQUEST_WITHIN: Duration = Duration::from_secs(2);

/// Tokens of the event loop. A worker's are its number times two, plus one for its pidfd.
const POKE: u64 = u64::MAX;
const REPORTS: u64 = u64::MAX - 1;
const SERVER_GONE: u64 = u64::MAX - 2;

/// How many deaths outside of any task an executor bears, and in which time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RestartLimit {
    pub(crate) deaths: u32,
    pub(crate) within: Duration,
}

/// A worker that has died, until it is known how.
struct Remains {
    member: Member,
    begun: Vec<Call>,
}

/// A slot that is to get a worker.
struct Vacancy {
    slot: usize,
    not_before: Instant,
}

/// What the supervising thread owns.
pub(crate) struct Supervisor {
    pool: Arc<Pool>,
    setup: Setup,
    server: ForkServer,
    epoll: Epoll,
    initializer: Option<Initializer>,
    restart_limit: RestartLimit,
    restarts: VecDeque<Instant>,
    next_number: u64,
    vacancies: Vec<Vacancy>,
    retry_pause: Duration,
    /// When a worker was asked for that the fork server has not told about.
    asked: HashMap<u64, Instant>,
    remains: HashMap<u64, Remains>,
    /// Workers of an earlier fork server, of whose end nobody will tell.
    orphans: Vec<u64>,
}

impl Supervisor {
    /// Prepares to serve `pool` with workers from `server`, and asks for the first ones.
    pub(crate) fn new(
        pool: Arc<Pool>,
        setup: Setup,
        server: ForkServer,
        initializer: Option<Initializer>,
        restart_limit: RestartLimit,
    ) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(pool.poke_fd().as_fd(), POKE)?;
        let slots = pool.lock().slots();
        let now = Instant::now();
        let mut supervisor = Self {
            pool,
            setup,
            server,
            epoll,
            initializer,
            restart_limit,
            restarts: VecDeque::new(),
            next_number: 0,
            vacancies: (0..slots)
                .map(|slot| Vacancy {
                    slot,
                    not_before: now,
                })
                .collect(),
            retry_pause: RETRY_FIRST,
            asked: HashMap::new(),
            remains: HashMap::new(),
            orphans: Vec::new(),
        };
        supervisor.watch_server()?;
        supervisor.fill_vacancies();
        Ok(supervisor)
    }

    fn watch_server(&self) -> io::Result<()> {
        self.epoll.add(self.server.socket(), REPORTS)?;
        self.epoll.add(self.server.pidfd(), SERVER_GONE)
    }

    /// Serves until the executor is over, and ends all its processes.
    pub(crate) fn run(mut self) {
        let mut events = Vec::new();
        loop {
            let mut locked = self.pool.lock();
            let more = locked.look();
            if locked.is_over() {
                break;
            }
            let timeout = if more {
                Some(Duration::ZERO)
            } else {
                self.timeout(&locked)
            };
            drop(locked);
            if self.epoll.wait(&mut events, timeout).is_err() {
                self.break_down("the event loop of the executor failed".into());
                break;
            }
            for token in events.drain(..) {
                self.handle(token);
            }
            self.check_server();
            self.fill_vacancies();
        }
        self.tear_down();
    }

    /// How long to sleep at most.
    fn timeout(&self, locked: &Locked<'_>) -> Option<Duration> {
        let now = Instant::now();
        let balance = locked.is_unbalanced().then_some(BALANCE_EVERY);
        let vacancy = self
            .vacancies
            .iter()
            .map(|vacancy| vacancy.not_before.saturating_duration_since(now))
            .min();
        let answer = self
            .asked
            .values()
            .min()
            .map(|asked| (*asked + REQUEST_WITHIN).saturating_duration_since(now));
        [balance, vacancy, answer].into_iter().flatten().min()
    }

    fn handle(&mut self, token: u64) {
        match token {
            POKE => {}
            REPORTS => self.take_reports(),
            SERVER_GONE => self.server_gone(),
            worker if worker % 2 == 0 => self.bell(worker / 2),
            worker => self.worker_gone(worker / 2),
        }
    }

    /// A worker rang: what it brought is taken in by the next turn.
    fn bell(&self, number: u64) {
        let mut locked = self.pool.lock();
        if let Some((_, member)) = locked.find(number) {
            if sys::drain_bells(member.control.as_fd()) {
                member.rang();
            } else {
                // Either it is dying, which its pidfd will tell, or it lives on without being able
                // to ring, and is of no use.
                let _ = self.epoll.remove(member.control.as_fd());
                member.kill(Sentence::Violation("it closed its control socket"));
            }
        }
    }

    fn take_reports(&mut self) {
        loop {
            match self.server.receive() {
                Ok(Some((Report::Forked { worker, pid }, pidfd))) => {
                    self.forked(worker, pid, pidfd);
                }
                Ok(Some((Report::Died { worker, status }, _))) => self.died(worker, Some(status)),
                Ok(Some((Report::ForkFailed { worker, errno }, _))) => {
                    self.fork_failed(worker, errno);
                }
                Ok(Some((Report::Ready { .. } | Report::Refused { .. }, _))) => {}
                Ok(None) => return,
                Err(_) => {
                    // No more reports will come; the rest follows from its pidfd.
                    let _ = self.epoll.remove(self.server.socket());
                    let _ = self.server.kill();
                    return;
                }
            }
        }
    }

    fn forked(&mut self, number: u64, pid: u32, pidfd: Option<OwnedFd>) {
        self.asked.remove(&number);
        self.retry_pause = RETRY_FIRST;
        let mut locked = self.pool.lock();
        let Some((_, member)) = locked.find(number) else {
            return;
        };
        let watched = pidfd
            .ok_or_else(|| io::Error::other("no pidfd came"))
            .and_then(|pidfd| {
                self.epoll.add(pidfd.as_fd(), number * 2 + 1)?;
                member.forked(pid, pidfd);
                Ok(())
            });
        locked.announce();
        drop(locked);
        if watched.is_err() {
            // It cannot be watched for want of descriptors, so it is not kept.
            self.give_up_on(number);
        }
    }

    fn fork_failed(&mut self, number: u64, errno: i32) {
        self.asked.remove(&number);
        let error = io::Error::from_raw_os_error(errno);
        self.give_up_on(number);
        self.count_restart(&format!("a worker could not be forked: {error}"));
    }

    /// Lets a worker go that could not be had, and asks for another one after a pause.
    fn give_up_on(&mut self, number: u64) {
        let mut locked = self.pool.lock();
        let Some(slot) = locked.find(number).map(|(slot, _)| slot) else {
            return;
        };
        let buried = locked.bury(slot);
        drop(locked);
        let pause = self.retry_pause;
        self.retry_pause = (pause * 2).min(RETRY_MOST);
        if let Some((member, begun)) = buried {
            let _ = self.epoll.remove(member.control.as_fd());
            self.remains.insert(number, Remains { member, begun });
            self.died(number, None);
        }
        self.vacancies.push(Vacancy {
            slot,
            not_before: Instant::now() + pause,
        });
    }

    /// A worker's pidfd told of its end.
    fn worker_gone(&mut self, number: u64) {
        let mut locked = self.pool.lock();
        let Some(slot) = locked.find(number).map(|(slot, _)| slot) else {
            return;
        };
        let Some((member, begun)) = locked.bury(slot) else {
            return;
        };
        drop(locked);
        let _ = self.epoll.remove(member.control.as_fd());
        if let Some(pidfd) = member.pidfd() {
            let _ = self.epoll.remove(pidfd.as_fd());
        }
        self.vacancies.push(Vacancy {
            slot,
            not_before: Instant::now(),
        });
        self.remains.insert(number, Remains { member, begun });
        if let Some(at) = self.orphans.iter().position(|&orphan| orphan == number) {
            self.orphans.swap_remove(at);
            self.died(number, None);
        }
    }

    /// It is known how a worker ended, or that nobody will ever know.
    fn died(&mut self, number: u64, status: Option<i32>) {
        self.worker_gone(number);
        let Some(Remains { member, begun }) = self.remains.remove(&number) else {
            return;
        };
        let words = member.last_words();
        let in_a_task = begun.iter().any(|call| !call.pinned);
        let mut locked = self.pool.lock();
        for call in &begun {
            let error = death(call, &member, status, words.as_ref());
            locked.fill(call, Outcome::Failed(error));
        }
        drop(locked);
        // Where the status is not known, what is to blame is counted instead: the fork server's
        // death, or a fork that failed. For want of descriptors nobody is to blame.
        if let Some(status) = status
            && !in_a_task
            && member.sentence != Sentence::OnRequest
        {
            let how = Ending(status);
            self.count_restart(&format!("a worker that ran no task {how}"));
        }
    }

    /// Counts a death outside of any task, and breaks the executor if there were too many.
    fn count_restart(&mut self, what: &str) {
        let now = Instant::now();
        let RestartLimit { deaths, within } = self.restart_limit;
        self.restarts
            .retain(|death| now.duration_since(*death) < within);
        self.restarts.push_back(now);
        if self.restarts.len() > deaths as usize {
            self.break_down(format!(
                "workers died outside of any task more than {deaths} times in {within:?}; of the last one: {what}"
            ));
        }
    }

    fn break_down(&self, reason: String) {
        self.pool.lock().break_down(Arc::new(Breakdown(reason)));
    }

    /// Kills a fork server that does not answer.
    fn check_server(&mut self) {
        let now = Instant::now();
        if self
            .asked
            .values()
            .any(|asked| now.duration_since(*asked) > REQUEST_WITHIN)
        {
            self.asked.clear();
            let _ = self.server.kill();
        }
    }

    /// The fork server is gone, and its workers with it: another one takes its place.
    fn server_gone(&mut self) {
        self.take_reports();
        let _ = self.epoll.remove(self.server.socket());
        let _ = self.epoll.remove(self.server.pidfd());
        let _ = self.server.wait_gone(Duration::ZERO);
        for number in self.remains.keys().copied().collect::<Vec<_>>() {
            self.died(number, None);
        }
        self.asked.clear();
        let unborn: Vec<u64> = {
            let locked = self.pool.lock();
            self.orphans = locked
                .members()
                .filter(|member| member.pid.is_some())
                .map(|member| member.number)
                .collect();
            locked
                .members()
                .filter(|member| member.pid.is_none())
                .map(|member| member.number)
                .collect()
        };
        for number in unborn {
            self.give_up_on(number);
        }
        self.count_restart(&format!(
            "the fork server, process {}, died",
            self.server.pid()
        ));
        if self.setup.start_method == StartMethod::Fork {
            return self.break_down(
                "the fork server died, and a copy of the application cannot be made again; \
                 use StartMethod::ForkServer where that matters"
                    .into(),
            );
        }
        match ForkServer::launch(&self.setup) {
            Ok(server) => {
                self.server = server;
                if let Err(error) = self.watch_server() {
                    self.break_down(format!("a new fork server cannot be watched: {error}"));
                }
            }
            Err(error) => self.break_down(format!(
                "the fork server died, and no other could be started: {error}"
            )),
        }
    }

    /// Asks for workers for the slots that have none.
    fn fill_vacancies(&mut self) {
        if !matches!(self.pool.lock().gate(), Gate::Open | Gate::Closed) {
            return;
        }
        let now = Instant::now();
        let due = self
            .vacancies
            .extract_if(.., |vacancy| vacancy.not_before <= now)
            .collect::<Vec<_>>();
        for Vacancy { slot, .. } in due {
            if let Err(error) = self.hire(slot) {
                let pause = self.retry_pause;
                self.retry_pause = (pause * 2).min(RETRY_MOST);
                self.vacancies.push(Vacancy {
                    slot,
                    not_before: now + pause,
                });
                if error.kind() != io::ErrorKind::WouldBlock
                    && self.pool.lock().members().next().is_none()
                {
                    self.count_restart(&format!("a worker could not be asked for: {error}"));
                }
            }
        }
    }

    /// Makes a channel and asks the fork server for a worker at its other end.
    fn hire(&mut self, slot: usize) -> io::Result<()> {
        let (segment, rings) = Segment::create()?;
        let (control, theirs) = sys::socket_pair()?;
        let number = self.next_number;
        self.epoll.add(control.as_fd(), number * 2)?;
        if let Err(error) = self
            .server
            .request_fork(number, rings.as_fd(), theirs.as_fd())
        {
            self.epoll.remove(control.as_fd())?;
            return Err(error);
        }
        self.next_number += 1;
        self.asked.insert(number, Instant::now());
        let mut member = Member::new(
            number,
            ApplicationEnd::new(segment),
            control,
            self.initializer.is_none(),
        );
        let mut locked = self.pool.lock();
        if let Some(initializer) = &self.initializer {
            initializer.place(&self.pool, &mut locked, slot, &mut member);
        }
        locked.admit(slot, member);
        locked.turn();
        Ok(())
    }

    /// Ends all processes of the executor.
    fn tear_down(self) {
        let members = self.pool.lock().dismiss();
        // Closing the control sockets ends the workers, and the fork server reaps them.
        drop(members);
        self.server.finish();
        if !self.server.wait_gone(GONE_WITHIN).unwrap_or(false) {
            let _ = self.server.kill();
            let _ = self.server.wait_gone(GONE_WITHIN);
        }
        let mut locked = self.pool.lock();
        for Remains { member, begun } in self.remains.values() {
            for call in begun {
                locked.fill(call, Outcome::Failed(death(call, member, None, None)));
            }
        }
        drop(locked);
        let pool = Arc::clone(&self.pool);
        drop(self);
        pool.lock().end();
    }
}

/// What is to be said of a call that died with its worker.
fn death(
    call: &Call,
    member: &Member,
    status: Option<i32>,
    words: Option<&LastWords>,
) -> TaskError {
    let new = |kind| {
        let error = TaskError::new(kind, call.task_name());
        let error = member.pid.map_or(error.clone(), |pid| error.worker(pid));
        status.map_or(error.clone(), |status| error.status(status))
    };
    let killed = status.is_none_or(|status| libc::WTERMSIG(status) == libc::SIGKILL);
    match member.sentence {
        Sentence::OnRequest => return new(TaskErrorKind::Killed),
        Sentence::Violation(how) if killed => {
            return new(TaskErrorKind::WorkerDied)
                .detail(format!("the worker was stopped, as {how}"));
        }
        Sentence::Violation(_) | Sentence::None => {}
    }
    let is_about_it = |words: &&LastWords| matches!(call.completion.place(), Place::Worker { seq, .. } if seq == words.seq);
    let Some(words) = words.filter(is_about_it) else {
        return new(TaskErrorKind::WorkerDied);
    };
    let report = || rmp_serde::from_slice::<PanicReport>(&words.bytes).unwrap_or_default();
    match words.kind {
        LastWordsKind::PANICKED_AND_ABORTED => new(TaskErrorKind::Panicked).panicked(report()),
        // The words outlive a panic that the task caught, so they tell of an abort only.
        LastWordsKind::PANICKING
            if new(TaskErrorKind::WorkerDied).signal() == Some(libc::SIGABRT) =>
        {
            new(TaskErrorKind::WorkerDied).panicked(report())
        }
        LastWordsKind::STACK_OVERFLOW => {
            new(TaskErrorKind::WorkerDied).detail("the task overflowed its stack")
        }
        _ => new(TaskErrorKind::WorkerDied),
    }
}
