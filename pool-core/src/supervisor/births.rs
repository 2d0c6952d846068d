//! New workers, and the fork server that they come from.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use pool_worker::channel::{ApplicationEnd, Segment};
use pool_worker::protocol::StartMethod;

use super::{REQUEST_WITHIN, RETRY_MOST, Supervisor, Vacancy};
use crate::fork_server::ForkServer;
use crate::gate::Gate;
use crate::member::Member;
use crate::sys;

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
            self.asked.clear();
            let _ = self.server.kill();
        }
    }

    fn server_is_overdue(&self) -> bool {
        self.asked
            .values()
            .any(|since| since.elapsed() > REQUEST_WITHIN)
    }

    /// The fork server is gone, and its workers with it: another one takes its place.
    pub(super) fn server_gone(&mut self) {
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
    pub(super) fn fill_vacancies(&mut self) {
        if self.vacancies.is_empty() {
            return;
        }
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
    pub(super) fn hire(&mut self, slot: usize) -> io::Result<()> {
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
}
