//! The fork server: a process with a single thread that forks workers when asked, and reaps them.
//!
//! It waits for three things: the socket to the application, the application's death, the death
//! of children. What it may own is bounded: it takes no further request before its reports have
//! gone, so at most one report for each living worker, and two more, are ever kept back.
//!
//! It is a subreaper, and so is each worker. What a worker started is thus reparented to that
//! worker while it lives, and to the fork server when it has died. Hence a child of the fork
//! server that is no worker of its own is what a dead worker left behind: it is killed. Its death
//! may bring up its own children, and is looked at in the same way, until none is left.
//!
//! Before the first fork it may be asked to run a call, the *preload*; where forks take long after
//! that, it keeps a *spare*: one worker more than it was asked for, which waits.
//!
//! It ends when the application closes the socket or dies, with all that it has forked.

mod end;
mod fitness;
mod new_worker;
mod preload;
mod spare;
mod surroundings;

use crate::confinement::Confinement;
use crate::fault::{self, Process, Site};
use crate::protocol::{self, Report, Request, Setup, StartMethod};
use crate::registry::registry;
use crate::sys::{self, Fork, Message, Readiness, Reaped};
use crate::worker::Resolved;
use fitness::{clipped, obstacle};
pub(crate) use new_worker::prepare_worker;
use new_worker::{NewWorker, Post};
use spare::Spare;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// The most bytes of a request.
const MAX_REQUEST: usize = 256;
/// How long until what dead workers have left is looked for again, where it could not be.
const SWEPT_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// What a fork server begins with.
#[derive(Debug)]
pub struct ServerStart {
    /// Its end of the socket between application and fork server.
    pub socket: OwnedFd,
    /// The sealed [`Setup`].
    pub setup: OwnedFd,
    /// The application's pidfd.
    pub application: OwnedFd,
}

/// Serves as the fork server that this process is, or as one of its workers; never returns.
pub fn serve(start: ServerStart) -> ! {
    fault::enter(Process::ForkServer);
    match Server::new(start).map(Server::run) {
        Ok(Fate::Ended) => sys::exit(0),
        Ok(Fate::Worker(worker)) => worker.start(),
        Err(_) => sys::exit(protocol::UNABLE),
    }
}

/// Reads what the application wrote for its fork server.
pub(crate) fn read_setup(setup: &OwnedFd) -> io::Result<Setup> {
    let file = File::from(setup.try_clone()?);
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    // The position of the file is shared with every other reader; it is left alone.
    file.read_exact_at(&mut bytes, 0)?;
    protocol::decode(&bytes)
}

/// Finds this program's tasks by the application's names. All constructors must have run.
pub(crate) fn resolve_all(names: Vec<String>) -> Vec<Resolved> {
    let known = registry();
    let resolve = |name: String| Resolved {
        entry: known.by_name(&name),
        name,
    };
    names.into_iter().map(resolve).collect()
}

/// How [`Server::run`] ended.
enum Fate {
    /// Nothing is left to do for the fork server.
    Ended,
    /// This process is a worker that was just forked.
    Worker(NewWorker),
}

struct Server {
    pid: u32,
    socket: OwnedFd,
    setup: OwnedFd,
    application: OwnedFd,
    /// Readable when a child has died.
    deaths: OwnedFd,
    start_method: StartMethod,
    tasks: Vec<Resolved>,
    confinement: Confinement,
    /// The application's number of each living worker, by pid. A pid stays theirs until they are
    /// reaped, and only this process, with its one thread, reaps them.
    workers: HashMap<u32, u64>,
    /// Whether forks take so long that a spare is kept.
    keeps_spare: bool,
    /// Whether a spare is to be forked as soon as there is nothing else to do.
    spare_is_due: bool,
    /// What dead workers have left could not be looked for.
    sweep_is_due: bool,
    spare: Option<Spare>,
    /// Reports that the socket had no room for.
    outbox: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
}

/// Where [`Server`]'s three sources are in the answer of a poll.
const SOCKET: usize = 0;
const APPLICATION: usize = 1;
const DEATHS: usize = 2;

impl Server {
    fn new(start: ServerStart) -> io::Result<Self> {
        sys::name_process(c"pool-server")?;
        sys::subreaper()?;
        fault::try_at(Site::ServerSetup)?;
        let setup = read_setup(&start.setup)?;
        let mut server = Self {
            pid: std::process::id(),
            socket: start.socket,
            setup: start.setup,
            application: start.application,
            deaths: sys::child_signals()?,
            start_method: setup.start_method,
            tasks: resolve_all(setup.tasks.clone()),
            confinement: Confinement::default(),
            workers: HashMap::new(),
            keeps_spare: false,
            spare_is_due: false,
            sweep_is_due: false,
            spare: None,
            outbox: VecDeque::new(),
        };
        let prepared = server.prepare(&setup);
        let isolation = match prepared {
            Ok(isolation) => isolation,
            Err(reason) => {
                let reason = clipped(&reason);
                server.report(&Report::Refused { reason }, None)?;
                return Err(ErrorKind::ResourceBusy.into());
            }
        };
        if server.start_method == StartMethod::Fork {
            server.keeps_spare = spare::is_worth_it(sys::anonymous_memory("self")?);
        }
        let pid = server.pid;
        fault::at(Site::ServerReady);
        server.report(&Report::Ready { pid, isolation }, None)?;
        Ok(server)
    }

    fn run(mut self) -> Fate {
        loop {
            match self.turn() {
                Ok(Turn::Next) => {}
                Ok(Turn::Forked(post)) => {
                    return Fate::Worker(NewWorker {
                        parent: self.pid,
                        post,
                        setup: self.setup,
                        start_method: self.start_method,
                        tasks: self.tasks,
                        confinement: self.confinement,
                    });
                }
                // An error is one of the socket, or of the system: there is nobody to tell.
                Ok(Turn::End) | Err(_) => {
                    self.end();
                    return Fate::Ended;
                }
            }
        }
    }

    fn turn(&mut self) -> io::Result<Turn> {
        fault::try_at(Site::ServerWaits)?;
        let is_behind = !self.outbox.is_empty();
        let readiness = if is_behind {
            Readiness::Write
        } else {
            Readiness::Read
        };
        let seen = sys::poll(
            [
                (self.socket.as_fd(), readiness),
                (self.application.as_fd(), Readiness::Read),
                (self.deaths.as_fd(), Readiness::Read),
            ],
            self.time_left(is_behind),
        )?;
        if seen.any(APPLICATION) || seen.ended(SOCKET) {
            return Ok(Turn::End);
        }
        if seen.any(DEATHS) || self.sweep_is_due {
            // Before the children are looked at: a death in between is told of again.
            sys::drain(self.deaths.as_fd());
            self.reap()?;
        }
        if !self.outbox.is_empty() {
            self.flush()?;
        } else if seen.any(SOCKET) {
            return self.serve_request();
        } else if self.spare_is_due {
            return Ok(self.fork_spare());
        }
        Ok(Turn::Next)
    }

    /// How long until there is something to do that nobody tells of.
    fn time_left(&self, is_behind: bool) -> Option<Duration> {
        if self.spare_is_due && !is_behind {
            Some(Duration::ZERO)
        } else {
            self.sweep_is_due.then_some(SWEPT_AGAIN_AFTER)
        }
    }

    fn serve_request(&mut self) -> io::Result<Turn> {
        let mut buffer = [0; MAX_REQUEST];
        fault::try_at(Site::ServerRequest)?;
        let message = match sys::receive(self.socket.as_fd(), &mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::Next),
            message => message?,
        };
        if message.length == 0 {
            return Ok(Turn::End);
        }
        match protocol::decode(&buffer[..message.length])? {
            Request::Preload => self.preload(message),
            Request::Fork { worker } => rings_and_control(message)
                .and_then(|(rings, control)| self.hire(worker, rings, control))
                .or_else(|error| {
                    let errno = error.raw_os_error().unwrap_or(libc::EPROTO);
                    self.report(&Report::ForkFailed { worker, errno }, None)?;
                    Ok(Turn::Next)
                }),
        }
    }

    /// Runs the call that is to run before the first fork.
    fn preload(&mut self, message: Message) -> io::Result<Turn> {
        let (rings, control) = rings_and_control(message)?;
        if !self.run_preload(rings, control)? {
            return Ok(Turn::End);
        }
        if let Some(reason) = obstacle("have it end the threads that it starts")? {
            self.report(&Report::Refused { reason }, None)?;
            return Ok(Turn::End);
        }
        let memory = sys::anonymous_memory("self")?;
        self.keeps_spare = spare::is_worth_it(memory);
        self.report(&Report::Preloaded { memory }, None)?;
        // What it has left behind is no worker's.
        self.reap()?;
        Ok(Turn::Next)
    }

    /// Makes the spare a worker, or forks one.
    fn hire(&mut self, worker: u64, rings: OwnedFd, control: OwnedFd) -> io::Result<Turn> {
        self.spare_is_due = self.keeps_spare;
        if let Some(spare) = self.spare.take() {
            if spare.employ(&rings, &control).is_ok() {
                self.hired(worker, spare.pid)?;
                return Ok(Turn::Next);
            }
            sys::kill_child(spare.pid)?;
        }
        fault::try_at(Site::ServerForks)?;
        match sys::fork()? {
            Fork::Child => return Ok(Turn::Forked(Post::Known { rings, control })),
            Fork::Parent(pid) => self.hired(worker, pid)?,
        }
        Ok(Turn::Next)
    }

    /// Tells of the worker that a child has become.
    fn hired(&mut self, worker: u64, pid: u32) -> io::Result<()> {
        match fault::try_at(Site::ServerForked).and_then(|()| sys::pidfd_of(pid)) {
            Ok(pidfd) => {
                self.workers.insert(pid, worker);
                self.report(&Report::Forked { worker, pid }, Some(pidfd))
            }
            Err(error) => {
                sys::kill_child(pid)?;
                Err(error)
            }
        }
    }

    fn fork_spare(&mut self) -> Turn {
        self.spare_is_due = false;
        // Where it cannot be had, workers are forked when they are asked for.
        let Ok((ours, theirs)) = fault::try_at(Site::ServerSpare).and_then(|()| sys::socket_pair())
        else {
            return Turn::Next;
        };
        match sys::fork() {
            Ok(Fork::Child) => return Turn::Forked(Post::Awaited(theirs)),
            Ok(Fork::Parent(pid)) => self.spare = Some(Spare::new(pid, ours)),
            Err(_) => {}
        }
        Turn::Next
    }

    /// Reports each worker that has died, and kills what it left behind.
    fn reap(&mut self) -> io::Result<()> {
        fault::try_at(Site::ServerReaps)?;
        while let Reaped::Child { pid, status } = sys::reap_any(false)? {
            if let Some(worker) = self.workers.remove(&pid) {
                self.report(&Report::Died { worker, status }, None)?;
            }
            self.spare.take_if(|spare| spare.pid == pid);
        }
        // For want of descriptors, as it can be, workers are not to die.
        self.sweep_is_due = self.kill_left_overs().is_err();
        Ok(())
    }

    fn report(&mut self, report: &Report, pidfd: Option<OwnedFd>) -> io::Result<()> {
        let bytes = rmp_serde::to_vec(report).map_err(io::Error::other)?;
        self.outbox.push_back((bytes, pidfd));
        self.flush()
    }

    /// Sends what the socket takes; never waits for the application.
    fn flush(&mut self) -> io::Result<()> {
        while let Some((bytes, pidfd)) = self.outbox.front() {
            let pidfd = pidfd.as_ref().map(|pidfd| pidfd.as_fd());
            fault::try_at(Site::ServerReport)?;
            match sys::send(self.socket.as_fd(), bytes, pidfd.as_slice()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                sent => sent?,
            }
            self.outbox.pop_front();
        }
        Ok(())
    }
}

/// What follows a look at the sources.
enum Turn {
    /// Another look.
    Next,
    /// This process is a worker now.
    Forked(Post),
    /// The end.
    End,
}

fn rings_and_control(message: Message) -> io::Result<(OwnedFd, OwnedFd)> {
    if message.lost_descriptors {
        return Err(io::Error::from_raw_os_error(libc::EMFILE));
    }
    let descriptors = <[OwnedFd; 2]>::try_from(message.descriptors);
    let [rings, control] = descriptors.map_err(|_| ErrorKind::InvalidData)?;
    Ok((rings, control))
}
