//! New workers, and the fork server that they come from.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_worker::Measure;
use pool_worker::channel::{ApplicationEnd, Segment};
use pool_worker::fault::{self, Site};
use pool_worker::protocol::StartMethod;
use pool_worker::shared::Postbox;

use super::{RETRY_FIRST, RETRY_MOST, Supervisor};
use crate::calls::CallId;
use crate::driver::{Locked, Pool};
use crate::error::list_lacks;
use crate::fork_server::ForkServer;
use crate::hook::Hook;
use crate::member::{Member, Tenure};
use crate::sys;

/// How long a fork server that was asked for workers may tell of none, or of none's end, before it counts
/// as hung, and how much longer for each GiB of its memory, as to fork takes longer then, of a spare as well.
const REQUEST_WITHIN: Duration = Duration::from_secs(2);
const REQUEST_WITHIN_PER_GIB: Duration = Duration::from_secs(1);

impl Supervisor {
    /// The fork server told of a worker that it was asked for: it goes on to the next.
    pub(super) fn answered(&mut self, number: u64) {
        let now = Instant::now();
        self.asked.remove(&number);
        self.asked.values_mut().for_each(|since| *since = now);
    }

    /// Kills a fork server that does not answer.
    pub(super) fn check_server(&mut self) {
        if self.server_is_overdue() {
            // This thread may itself have been kept from looking.
            self.take_reports();
        }
        if self.server_is_overdue() {
            // What there is to say of them follows from its death.
            self.asked.clear();
            let now = Instant::now();
            self.remains.values_mut().for_each(|it| it.since = now);
            let _ = self.server.kill();
        }
    }

    /// Since when the fork server should tell of workers that were asked for, or have died.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = Instant> {
        let dead = self.remains.values().map(|remains| remains.since);
        self.asked.values().copied().chain(dead)
    }

    fn server_is_overdue(&self) -> bool {
        self.unanswered()
            .any(|since| since.elapsed() > self.request_within)
    }

    /// The fork server is gone, and its workers with it: another one takes its place.
    pub(super) fn server_gone(&mut self) {
        fault::at(Site::ServerGone);
        self.take_reports();
        let _ = self.epoll.remove(self.server.socket());
        let _ = self.epoll.remove(self.server.pidfd());
        let _ = self.server.wait_gone(Duration::ZERO);
        self.server.kill_left_overs();
        for number in self.remains.keys().copied().collect::<Vec<_>>() {
            self.died(number, None);
        }
        self.asked.clear();
        if self.farewell.is_none() && self.died_in_preload() {
            return;
        }
        let unborn: Vec<u64> = {
            let locked = self.pool.lock();
            let born = || locked.members().filter(|member| member.pid.is_some());
            // They die with it, unless they were stopped before they could ask for that.
            born().for_each(Member::end_orphan);
            self.orphans = born().map(|member| member.number).collect();
            locked
                .members()
                .filter(|member| member.pid.is_none())
                .map(|member| member.number)
                .collect()
        };
        for number in unborn {
            self.give_up_on(number);
        }
        if self.farewell.is_some() {
            return;
        }
        self.count_restart(&format!(
            "the fork server, process {}, died",
            self.server.pid()
        ));
        if self.pool.lock().is_over() {
            return;
        }
        if self.setup.start_method == StartMethod::Fork {
            return self.break_down(
                "the fork server died, and a copy of the application cannot be made again; \
                 use StartMethod::ForkServer where that matters"
                    .into(),
            );
        }
        match ForkServer::launch(&self.setup, &self.environment, &self.conditions) {
            Ok(server) => {
                // What it has more is welcome, and what it says of the rest does not matter.
                let told = |lack: &(Measure, &str)| self.pool.isolation().holds(lack.0);
                let lost: Vec<_> = server.isolation().missing().filter(told).collect();
                if !lost.is_empty() {
                    return self.break_down(format!(
                        "the fork server died, and workers of another would not be isolated as \
                         Executor::isolation() says: {}; find out what has changed on this machine since, \
                         or build another executor (where its profile is Untrusted, by best_effort())",
                        list_lacks(&lost)
                    ));
                }
                self.server = server;
                if let Err(error) = self.watch_server().and_then(|()| self.begin_preload()) {
                    self.break_down(format!("a new fork server cannot be watched: {error}"));
                }
            }
            Err(error) => self.break_down(format!(
                "the fork server died, and no other could be started: {error}"
            )),
        }
    }

    /// Whether now is a time to ask for workers.
    pub(super) fn asks_for_workers(&self) -> bool {
        self.preloading.is_none() && self.farewell.is_none()
    }

    /// Seeks as many workers as are missing, and no more than that.
    pub(super) fn seek(&mut self, locked: &mut Locked<'_>) {
        let openings = locked.openings();
        if openings != self.vacancies.len() {
            self.vacancies.resize(openings, Instant::now());
            locked.announce();
        }
        locked.seek(openings);
    }

    /// Asks for the workers that are sought.
    pub(super) fn fill_vacancies(&mut self) {
        if self.vacancies.is_empty() || !self.asks_for_workers() {
            return;
        }
        let pool = Arc::clone(&self.pool);
        let mut locked = pool.lock();
        if locked.is_over() {
            return;
        }
        // They may be wanted no more.
        self.seek(&mut locked);
        drop(locked);
        let now = Instant::now();
        let is_due = |not_before: &mut Instant| *not_before <= now;
        let due = self.vacancies.extract_if(.., is_due).count();
        for _ in 0..due {
            if let Err(error) = self.hire() {
                let pause = self.retry_pause;
                self.retry_pause = (pause * 2).min(RETRY_MOST);
                self.vacancies.push(now + pause);
                // While another one is asked for, the fork server will tell, or be found to hang.
                if self.asked.is_empty() && !self.has_workers() {
                    self.count_restart(&format!("a worker could not be asked for: {error}"));
                }
            }
        }
    }

    /// Makes a channel and asks the fork server for a worker at its other end.
    fn hire(&mut self) -> io::Result<()> {
        let slot = self.pool.lock().vacant_slot();
        fault::try_at(Site::Hires)?;
        let (segment, rings) = Segment::create()?;
        self.allow_memory(&segment);
        let mut link = ApplicationEnd::new(segment);
        link.limit_outputs(self.pool.bounds().result);
        let (control, theirs) = sys::socket_pair()?;
        // Where the kernel cannot, they are dropped as bells are taken.
        let _ = sys::refuse_descriptors(control.as_fd());
        let control = Arc::new(Postbox::new(control, self.pool.alarm()));
        if let Some(initializer) = &self.hooks.initializer
            && !initializer.announce(&control)
        {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let number = self.next_number;
        self.epoll.add(control.as_fd(), number * 2)?;
        if let Err(error) = self
            .server
            .request_fork(number, rings.as_fd(), theirs.as_fd())
        {
            self.epoll.remove(control.as_fd())?;
            return Err(error);
        }
        fault::at(Site::Asked);
        self.next_number += 1;
        self.asked.insert(number, Instant::now());
        link.set_place(u32::try_from(slot).unwrap_or(u32::MAX));
        let member = Member::new(
            number,
            link,
            control,
            self.hooks.initializer.is_none(),
            Tenure::of(self.recycling.tasks),
        );
        let mut locked = self.pool.lock();
        locked.admit(slot, member);
        if let Some(initializer) = &self.hooks.initializer
            && let Some(call) = initializer_call(initializer, &self.pool, &mut locked, number)
        {
            // The ring of a new worker is empty: there is room for a call, or for the start of one.
            let _ = locked.place_own(slot, call);
        }
        fault::at(Site::Admitted);
        locked.turn();
        Ok(())
    }

    /// A worker came to be.
    pub(super) fn born(&mut self, number: u64) {
        self.retry_pause = RETRY_FIRST;
        self.restarts.note_birth(Instant::now());
        self.begin_initializer_time(number);
        self.begin_age(number);
    }

    /// The time of a new worker's initializer begins, if it has a limit.
    fn begin_initializer_time(&mut self, number: u64) {
        if let Some(allowed) = self.hooks.initializer_timeout
            && self.hooks.initializer.is_some()
            && let Some(deadline) = Instant::now().checked_add(allowed)
        {
            self.initializing.push_back((number, deadline));
        }
    }

    /// Breaks the executor if an initializer has taken too long.
    pub(super) fn check_initializers(&mut self) {
        let now = Instant::now();
        while let Some((number, _)) = self.initializing.pop_front_if(|(_, end)| *end <= now) {
            let mut locked = self.pool.lock();
            let Some((slot, _)) = locked.find(number) else {
                continue;
            };
            locked.collect(slot);
            // One that was answered is only yet to be told of.
            let is_stuck = |member: &mut Member| !member.ready && !member.is_idle();
            let is_stuck = locked.member(slot).is_some_and(is_stuck);
            if is_stuck && let Some(initializer) = &self.hooks.initializer {
                initializer.overdue(&mut locked, self.hooks.initializer_timeout);
            }
        }
    }
}

/// How long a fork server with so many bytes of its own may tell of no worker.
pub(super) fn request_within(memory: u64) -> Duration {
    let gibibytes = u32::try_from(memory >> 30).unwrap_or(u32::MAX);
    REQUEST_WITHIN + REQUEST_WITHIN_PER_GIB.saturating_mul(gibibytes)
}

/// The first call of the worker `number`, which is ready once it has returned.
fn initializer_call(
    initializer: &Hook,
    pool: &Arc<Pool>,
    locked: &mut Locked<'_>,
    number: u64,
) -> Option<CallId> {
    let failed = initializer.clone();
    initializer.call(pool, locked, move |pool, result| {
        let mut locked = pool.lock();
        match result {
            Ok(()) => {
                if let Some((_, member)) = locked.find(number) {
                    member.ready = true;
                }
                locked.turn();
            }
            Err(text) => failed.break_down(&mut locked, &text),
        }
    })
}
