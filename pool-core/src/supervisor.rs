//! The supervising thread: the lives of workers.
//!
//! One thread for each executor serves the fork server's reports, workers' deaths and their bells. It
//! replaces workers that died, tells their calls how, holds the fork server and ends with it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_worker::protocol::{Report, Setup, StartMethod};

use crate::driver::{Locked, Pool};
use crate::environment::Variables;
use crate::fork_server::ForkServer;
use crate::gate::Gate;
use crate::hook::Hooks;
use crate::member::Sentence;
use crate::oom::OomKills;
use crate::sys::{self, Conditions, Epoll};

/// How long a finished fork server may take to be gone before it is killed.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How often to look whether a call should move to an idle worker, while one could and for some time after
/// that, and whether a full control socket has room again.
const BALANCE_EVERY: Duration = Duration::from_millis(1);
/// How long to sleep at most. Where other code of the application has closed what this thread sleeps on,
/// nothing wakes it any more, and only the next sleep fails.
const SLEEPS_AT_MOST: Duration = Duration::from_secs(5);
/// How long after its control socket a process that dies may take to be dead.
const DYING_WITHIN: Duration = Duration::from_millis(100);
/// The pause before a worker is asked for again that could not be had, at first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(10);
const RETRY_MOST: Duration = Duration::from_secs(1);

mod births;
mod deaths;
mod end;
mod farewell;
mod metering;
mod minding;
mod preloading;
mod retiring;
#[cfg(test)]
mod tests;
mod weighing;

use births::request_within;
pub(crate) use deaths::RestartLimit;
use deaths::{Remains, Restarts};
use end::End;
pub(crate) use end::abandon;
use farewell::Farewell;
use metering::Metering;
use minding::Minding;
use preloading::Preloading;
pub(crate) use retiring::Recycling;
use retiring::Retiring;
use weighing::Weighing;

/// Tokens of the event loop. A worker's are its number times two, plus one for its pidfd.
const POKE: u64 = u64::MAX;
const REPORTS: u64 = u64::MAX - 1;
const SERVER_GONE: u64 = u64::MAX - 2;
const PRELOAD: u64 = u64::MAX - 3;

/// What an executor's processes are to be.
pub(crate) struct Plan {
    /// What each fork server is told.
    pub(crate) setup: Setup,
    /// What each fork server finds as its environment.
    pub(crate) environment: Variables,
    /// Under which umask and limits each is executed.
    pub(crate) conditions: Conditions,
    pub(crate) hooks: Hooks,
    /// If it is not the default one.
    pub(crate) restart_limit: Option<RestartLimit>,
    pub(crate) recycling: Recycling,
}

/// What the supervising thread owns.
pub(crate) struct Supervisor {
    pool: Arc<Pool>,
    setup: Setup,
    environment: Variables,
    conditions: Conditions,
    hooks: Hooks,
    restart_limit: Option<RestartLimit>,
    recycling: Recycling,
    retiring: Retiring,
    weighing: Weighing,
    minding: Minding,
    metering: Metering,
    server: ForkServer,
    epoll: Epoll,
    /// While the fork server runs the preload, no workers are asked for.
    preloading: Option<Preloading>,
    /// At the end.
    farewell: Option<Farewell>,
    restarts: Restarts,
    next_number: u64,
    /// Workers that are sought: when each may be asked for.
    vacancies: Vec<Instant>,
    retry_pause: Duration,
    /// How long the fork server may tell nothing of workers that were asked for, or have died.
    request_within: Duration,
    /// Workers that were asked for and not told about: since when nothing was told.
    asked: HashMap<u64, Instant>,
    /// Workers whose initializer has a limit to its time, in the order in which they come to it.
    initializing: VecDeque<(u64, Instant)>,
    /// Workers that closed their control socket, and when: as a rule they are dying.
    silent: Vec<(u64, Instant)>,
    remains: HashMap<u64, Remains>,
    /// Workers of an earlier fork server, of whose end nobody will tell.
    orphans: Vec<u64>,
    oom_kills: OomKills,
}

impl Supervisor {
    /// Prepares to serve `pool` with workers from `server`, and asks for the first ones.
    pub(crate) fn new(pool: Arc<Pool>, server: ForkServer, plan: Plan) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(pool.poke_fd().as_fd(), POKE)?;
        let memory = match plan.setup.start_method {
            StartMethod::Fork => sys::anonymous_memory("self")?,
            _ => 0,
        };
        let mut supervisor = Self {
            pool,
            setup: plan.setup,
            environment: plan.environment,
            conditions: plan.conditions,
            hooks: plan.hooks,
            restart_limit: plan.restart_limit,
            recycling: plan.recycling,
            retiring: Retiring::default(),
            weighing: Weighing::default(),
            minding: Minding::default(),
            metering: Metering::default(),
            server,
            epoll,
            preloading: None,
            farewell: None,
            restarts: Restarts::default(),
            next_number: 0,
            vacancies: Vec::new(),
            retry_pause: RETRY_FIRST,
            request_within: request_within(memory),
            asked: HashMap::new(),
            initializing: VecDeque::new(),
            silent: Vec::new(),
            remains: HashMap::new(),
            orphans: Vec::new(),
            oom_kills: OomKills::default(),
        };
        supervisor.watch_server()?;
        supervisor.begin_preload()?;
        let pool = Arc::clone(&supervisor.pool);
        supervisor.seek(&mut pool.lock());
        supervisor.fill_vacancies();
        Ok(supervisor)
    }

    fn watch_server(&self) -> io::Result<()> {
        self.epoll.add(self.server.socket(), REPORTS)?;
        self.epoll.add(self.server.pidfd(), SERVER_GONE)
    }

    /// Serves until the executor is over, and ends all its processes.
    pub(crate) fn run(mut self) {
        let _end = End(Arc::clone(&self.pool));
        self.oom_kills.begin();
        let mut events = Vec::new();
        let mut rung = Vec::new();
        let pool = Arc::clone(&self.pool);
        loop {
            // As much as can be is done under one lock: other threads want it meanwhile.
            let mut locked = pool.lock();
            for number in rung.drain(..) {
                if !heard(&mut locked, number, &self.epoll) {
                    self.silent.push((number, Instant::now()));
                }
            }
            self.retire_old(&mut locked);
            locked.retire_idle();
            let more = locked.look();
            self.mind(&mut locked);
            self.see_off(&mut locked);
            self.seek(&mut locked);
            if locked.is_over() && self.is_finished(&mut locked) {
                break;
            }
            locked.arm_alarms();
            let timeout = if more {
                Duration::ZERO
            } else {
                self.timeout(&locked)
            };
            drop(locked);
            self.end_stuck();
            if let Err(error) = self.epoll.wait(&mut events, timeout) {
                self.break_down(format!(
                    "its event loop failed: {error}; if nothing else explains that, other code of this \
                     process has closed a descriptor that is not its own"
                ));
                break;
            }
            for token in events.drain(..) {
                match token {
                    POKE => {}
                    REPORTS => self.take_reports(),
                    SERVER_GONE => self.server_gone(),
                    PRELOAD => self.preload_rang(),
                    worker if worker % 2 == 0 => rung.push(worker / 2),
                    worker => self.worker_gone(worker / 2),
                }
            }
            self.end_silent();
            self.check_server();
            self.check_preload();
            self.check_initializers();
            self.fill_vacancies();
            self.weigh();
            self.meter();
        }
        self.tell_breakdown();
        self.tear_down();
    }

    /// How long to sleep at most.
    fn timeout(&self, locked: &Locked<'_>) -> Duration {
        let now = Instant::now();
        let behind = locked.retry_errands();
        let balance = (behind || locked.is_balancing()).then_some(BALANCE_EVERY);
        let vacancy = self
            .vacancies
            .iter()
            .map(|not_before| not_before.saturating_duration_since(now))
            .min();
        let answer = self
            .unanswered()
            .min()
            .map(|since| (since + self.request_within).saturating_duration_since(now));
        let silent = self
            .silent
            .first()
            .map(|(_, since)| (*since + DYING_WITHIN).saturating_duration_since(now));
        let initializer = self
            .initializing
            .front()
            .map(|(_, deadline)| deadline.saturating_duration_since(now));
        let preload = self.preload_time_left(now);
        let farewell = self.farewell_time_left(now);
        let retiring = self.retiring_time_left(now);
        let idle = locked
            .idle_alarm()
            .map(|alarm| alarm.saturating_duration_since(now));
        let weighing = self.weighing_time_left(locked, now);
        let alarm = locked
            .alarm()
            .map(|alarm| alarm.saturating_sub(sys::monotonic()));
        // Nobody is asked for meanwhile.
        let vacancy = vacancy.filter(|_| self.asks_for_workers());
        [
            balance,
            vacancy,
            answer,
            silent,
            initializer,
            preload,
            farewell,
            retiring,
            idle,
            weighing,
            self.minding_time_left(now),
            self.metering_time_left(now),
            alarm,
        ]
        .into_iter()
        .flatten()
        .fold(SLEEPS_AT_MOST, Duration::min)
    }

    /// Kills workers that closed their control socket and did not die of themselves: they cannot
    /// ring any more, and are of no use.
    fn end_silent(&mut self) {
        let now = Instant::now();
        let overdue = |since: Instant| now.duration_since(since) >= DYING_WITHIN;
        for (number, _) in self.silent.extract_if(.., |(_, since)| overdue(*since)) {
            let mut locked = self.pool.lock();
            if let Some((_, member)) = locked.find(number) {
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
                Ok(Some((Report::Preloaded { memory }, _))) => self.preloaded(memory),
                Ok(Some((Report::Refused { reason }, _))) => self.fail_preload(&reason),
                Ok(Some((Report::Ready { .. } | Report::Ended, _))) => {}
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
        self.answered(number);
        self.born(number);
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
        if watched.is_ok() {
            locked.count_started();
        }
        locked.announce();
        drop(locked);
        if watched.is_err() {
            // It cannot be watched for want of descriptors, so it is not kept.
            self.give_up_on(number);
        }
    }

    /// Says on standard error if the executor is broken: nobody may ask for a result for a long time.
    fn tell_breakdown(&self) {
        let reason = match self.pool.lock().gate() {
            Gate::Broken(reason) => Arc::clone(reason),
            Gate::Open | Gate::Closed => return,
        };
        sys::tell(&format!("an executor is broken: {reason}"));
    }

    /// Ends all processes of the executor.
    fn tear_down(mut self) {
        self.drop_preload();
        self.drop_last_calls();
        let members = self.pool.lock().dismiss();
        // Closing the control sockets ends the workers, and the fork server reaps them.
        drop(members);
        self.server.end(GONE_WITHIN);
        let mut locked = self.pool.lock();
        for Remains { member, begun, .. } in self.remains.values() {
            for &id in begun {
                let error = deaths::death(&locked, id, member, None, None);
                locked.fail(id, error);
            }
        }
    }
}

/// Takes note that a worker rang: what it brought is taken in by the next turn. `false` if it has
/// closed its end of the control socket, which then is not looked at any more.
fn heard(locked: &mut Locked<'_>, number: u64, epoll: &Epoll) -> bool {
    let Some((_, member)) = locked.find(number) else {
        return true;
    };
    let open = sys::take_bell(member.control.as_fd());
    if open {
        member.rang();
    } else {
        let _ = epoll.remove(member.control.as_fd());
    }
    open
}
