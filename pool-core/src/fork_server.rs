//! The application's side of its fork server: how one comes to be, is asked, and ends.

use crate::environment::Variables;
use crate::error::Error;
use crate::sys::{self, Conditions, Detached, DetachedFork, Readiness};
use left_overs::Session;
use pool_worker::Isolation;
use pool_worker::entry::{self, Role};
use pool_worker::fault::{self, Site};
use pool_worker::fork_server::{ServerStart, serve};
use pool_worker::protocol::{self, Report, Request, Setup, StartMethod};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

mod left_overs;
#[cfg(test)]
mod tests;

/// How long a fork server may take to say that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// How long a fork server may take to kill and reap its workers before it is killed itself.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// How long whoever adopted a fork server may take to reap it, and how often that is looked at.
const REAPED_WITHIN: Duration = Duration::from_millis(100);
const REAPED_LOOKED_AT_EVERY: Duration = Duration::from_millis(1);

/// The most bytes of a report.
const MAX_REPORT: usize = 16 * 1024;

/// A fork server of this process. Dropping it ends it, and all its workers.
#[derive(Debug)]
pub(crate) struct ForkServer {
    /// The process that launched it. In a forked copy of that process, this value is a copy too,
    /// and must not end what belongs to the original.
    owner: u32,
    process: Detached,
    session: Session,
    socket: OwnedFd,
    isolation: Isolation,
    ended: bool,
}

impl ForkServer {
    /// Starts a fork server with this environment under these conditions, and waits until it is
    /// ready. One that is a fork of this process has the conditions of this process.
    pub(crate) fn launch(
        setup: &Setup,
        environment: &Variables,
        conditions: &Conditions,
    ) -> Result<Self, Error> {
        let deadline = Instant::now() + READY_WITHIN;
        let (ours, start) =
            prepare(setup).map_err(|error| Error::io("prepare a fork server", error))?;
        if setup.start_method == StartMethod::Fork {
            // What this process has yet to print would be printed by each of its copies. If it
            // cannot be printed now, it is for whoever prints next to see.
            let _ = io::stdout().flush();
        }
        let (process, socket) = match setup.start_method {
            StartMethod::Fork => match sys::fork_detached() {
                Ok(DetachedFork::Server) => {
                    drop(ours);
                    sys::replace_environment(environment);
                    serve(start)
                }
                Ok(DetachedFork::Application(process)) => (process, ours),
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                    return Err(Error::multi_threaded(
                        &sys::thread_names().unwrap_or_default(),
                    ));
                }
                Err(error) => return Err(Error::io("fork a fork server", error)),
            },
            _ => (execute(&start, environment, conditions)?, ours),
        };
        drop(start);
        let mut server = Self {
            owner: std::process::id(),
            session: Session::of(process.pid),
            process,
            socket,
            isolation: Isolation::default(),
            ended: false,
        };
        match server.await_ready(deadline) {
            Ok(isolation) => server.isolation = isolation,
            Err(error) => {
                // What did not become a fork server would not heed the end of the socket either.
                let _ = server.kill();
                return Err(error);
            }
        }
        Ok(server)
    }

    /// What its workers take to be kept from others.
    pub(crate) fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Readable once it is gone.
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.process.pidfd.as_fd()
    }

    /// Readable when there is something to [`receive`](Self::receive).
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Asks for a worker, or `WouldBlock` if it has not taken enough of what it was asked before.
    pub(crate) fn request_fork(
        &self,
        worker: u64,
        rings: BorrowedFd<'_>,
        control: BorrowedFd<'_>,
    ) -> io::Result<()> {
        self.request(Request::Fork { worker }, rings, control)
    }

    /// Asks for a call to be run before the first fork, which comes through these.
    pub(crate) fn request_preload(
        &self,
        rings: BorrowedFd<'_>,
        control: BorrowedFd<'_>,
    ) -> io::Result<()> {
        self.request(Request::Preload, rings, control)
    }

    fn request(
        &self,
        request: Request,
        rings: BorrowedFd<'_>,
        control: BorrowedFd<'_>,
    ) -> io::Result<()> {
        fault::try_at(Site::Asks)?;
        let request = rmp_serde::to_vec(&request).map_err(io::Error::other)?;
        sys::send(self.socket(), &request, &[rings, control])
    }

    /// Takes a report and its descriptor, or nothing if there is none now. `UnexpectedEof` means
    /// that no more will come. A [`Report::Forked`] lacks its pidfd only if this process may not
    /// open any more descriptors.
    pub(crate) fn receive(&self) -> io::Result<Option<(Report, Option<OwnedFd>)>> {
        fault::try_at(Site::TakesReport)?;
        let mut buffer = [0; MAX_REPORT];
        let mut message = match sys::receive(self.socket(), &mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            message => message?,
        };
        if message.length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let report = protocol::decode(&buffer[..message.length])?;
        Ok(Some((report, message.descriptors.pop())))
    }

    /// Has it kill and reap all its workers, with what they have left, and end; by force if it does not
    /// in so much time.
    pub(crate) fn end(&mut self, timeout: Duration) {
        if self.ended {
            return;
        }
        self.ended = true;
        fault::at(Site::Finishes);
        // It fails only if the fork server is gone already.
        let _ = sys::end_of_sending(self.socket());
        if !self.wait_gone(timeout).unwrap_or(false) {
            self.end_by_force(timeout);
        } else if !self.has_told_its_end() {
            self.kill_left_overs();
        }
    }

    /// Whether it ended in good order.
    fn has_told_its_end(&self) -> bool {
        loop {
            match self.receive() {
                Ok(Some((Report::Ended, _))) => return true,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return false,
            }
        }
    }

    /// Waits until it is gone; whether it is.
    pub(crate) fn wait_gone(&self, timeout: Duration) -> io::Result<bool> {
        fault::try_at(Site::AwaitsEnd)?;
        let seen = sys::poll([(self.pidfd(), Readiness::Read)], Some(timeout))?;
        if seen.any(0) {
            // It is a child of this process if this one adopts orphans, as the first process of
            // a container does.
            sys::reap(self.pidfd());
        }
        Ok(seen.any(0))
    }

    /// How it ended, as `waitpid(2)` would tell its parent, where the kernel tells others too. It
    /// is gone already; what is waited for is its being reaped.
    pub(crate) fn status(&self) -> Option<i32> {
        let deadline = Instant::now() + REAPED_WITHIN;
        loop {
            let status = sys::exit_status(self.pidfd());
            if status.is_some() || Instant::now() >= deadline {
                return status;
            }
            std::thread::sleep(REAPED_LOOKED_AT_EVERY);
        }
    }

    /// Kills it. Its workers die with it, but what they had started does not, see
    /// [`kill_left_overs`](Self::kill_left_overs): this is for a fork server that does not
    /// [`end`](Self::end).
    pub(crate) fn kill(&self) -> io::Result<()> {
        sys::kill(self.pidfd())
    }

    /// Kills what a fork server that was killed has left. It is gone already.
    pub(crate) fn kill_left_overs(&self) {
        self.session.kill();
    }

    /// Kills it with all that it leaves, and waits so long for its end.
    pub(crate) fn end_by_force(&self, timeout: Duration) {
        if self.kill().is_ok() && self.wait_gone(timeout).unwrap_or(false) {
            self.kill_left_overs();
        }
    }

    fn await_ready(&self, deadline: Instant) -> Result<Isolation, Error> {
        fault::try_at(Site::LaunchWaits)
            .map_err(|error| Error::io("wait for the fork server", error))?;
        loop {
            match self.receive() {
                Ok(Some((Report::Ready { isolation, .. }, _))) => return Ok(isolation),
                Ok(Some((Report::Refused { reason }, _))) => {
                    return Err(Error::fork_server(reason));
                }
                Ok(None) => {}
                Ok(Some(_)) | Err(_) => return Err(not_ours("ended")),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let text = format!("did not answer within {} s", READY_WITHIN.as_secs());
                return Err(not_ours(&text));
            }
            sys::poll([(self.socket(), Readiness::Read)], Some(left))
                .map_err(|error| Error::io("wait for the fork server", error))?;
        }
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        if self.owner != std::process::id() {
            return;
        }
        self.end(GONE_WITHIN);
    }
}

/// The application's end of a new socket, and what the fork server begins with.
fn prepare(setup: &Setup) -> io::Result<(OwnedFd, ServerStart)> {
    fault::try_at(Site::LaunchPrepares)?;
    let (ours, socket) = sys::socket_pair()?;
    let setup = rmp_serde::to_vec(setup).map_err(io::Error::other)?;
    let start = ServerStart {
        socket: sys::above_stdio(socket)?,
        setup: sys::above_stdio(sys::write_sealed(c"pool-setup", &setup)?)?,
        application: sys::above_stdio(sys::pidfd_of(std::process::id())?)?,
    };
    Ok((sys::above_stdio(ours)?, start))
}

/// Executes this process's own program as a fork server.
fn execute(
    start: &ServerStart,
    environment: &Variables,
    conditions: &Conditions,
) -> Result<Detached, Error> {
    entry::can_exec().map_err(Error::not_startable)?;
    let role = Role::Server {
        socket: start.socket.as_fd(),
        setup: start.setup.as_fd(),
        application: start.application.as_fd(),
    };
    fault::try_at(Site::LaunchExecutes)
        .and_then(|()| role.image(environment.iter().cloned()))
        .and_then(|image| sys::execute_detached(&image, conditions, &|| role.keep()))
        .map_err(|error| Error::io("execute the program as a fork server", error))
}

fn not_ours(what: &str) -> Error {
    Error::fork_server(format!(
        "it is this program executed anew, and {what} before it was ready; if the program's own \
         `main` ran instead, something removed {} from its environment",
        entry::MARKER,
    ))
}
