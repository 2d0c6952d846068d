//! What happens in a process before its `main`.
//!
//! A fork server is the application's own program, executed anew. It must never reach `main`, and
//! `main` must need no cooperation. So the loader calls `before_main` in every process that
//! this crate is linked into; nearly always it finds nothing to do. A *marker* in the environment
//! tells it that the process is to be a fork server, or a worker: it names the role and the
//! descriptors left open for it. It is heeded only if
//!
//! - its name ends with this crate's version, so both ends speak the same protocol,
//! - the first descriptor is a Unix socket that keeps datagrams, the others are open too,
//! - this code is part of the program itself, not of a library that the program loads,
//! - the program has no rights that its caller lacks.
//!
//! It is taken out of the environment in any case, so that nothing below inherits it. A process
//! that found one and did not heed it runs its `main`, but builds no executor: else each process
//! might start another of its kind, without end.
//!
//! Other constructors may come after the hook, those that register tasks among them. So they are
//! run from within the hook first.

use crate::confinement::Confinement;
use crate::fault::{self, Process, Site};
use crate::fork_server::{self, ServerStart};
use crate::isolation::Measures;
use crate::protocol::UNABLE;
use crate::sys::{self, Image, Remaining};
use crate::worker::{self, WorkerStart};
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// The variable that carries the marker.
pub const MARKER: &str = concat!("POOL_WORKER_", env!("CARGO_PKG_VERSION"));

/// The exit code of a fork server or worker in which something panicked outside any task.
const PANICKED: i32 = 101;

/// What the hook did in this process, as one of the constants below.
static HOOK: AtomicU8 = AtomicU8::new(NOT_RUN);
const NOT_RUN: u8 = 0;
const RAN: u8 = 1;
const REFUSED: u8 = 2;

/// What a process is to be instead of running its `main`; this is the marker's content.
#[derive(Debug)]
pub enum Role<Fd> {
    /// A fork server.
    Server {
        /// Its end of the socket between application and fork server.
        socket: Fd,
        /// The sealed [`Setup`](crate::protocol::Setup).
        setup: Fd,
        /// The application's pidfd.
        application: Fd,
    },
    /// A worker of a fork server that has each worker execute the program.
    Worker {
        /// Its end of the control socket.
        control: Fd,
        /// The memory of its rings.
        rings: Fd,
        /// The sealed [`Setup`](crate::protocol::Setup).
        setup: Fd,
        /// The pid of the fork server.
        parent: u32,
        /// What it takes to be kept from others.
        measures: Measures,
    },
}

impl Role<BorrowedFd<'_>> {
    /// The program of this very process, to be executed in this role: the same file even if
    /// another has taken its place on disk, with the given environment. The caller has the
    /// descriptors [kept open](Self::keep).
    pub fn image(
        &self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> io::Result<Image> {
        let own = |variable: &(OsString, OsString)| variable.0 != MARKER;
        let mut environment = environment
            .into_iter()
            .filter(own)
            .map(|(name, value)| assignment(&name, &value))
            .collect::<io::Result<Vec<_>>>()?;
        environment.push(assignment(OsStr::new(MARKER), OsStr::new(&self.marker()))?);
        let arguments = vec![own_name()?];
        Ok(Image::new(c"/proc/self/exe".into(), arguments, environment))
    }

    /// Lets the role's descriptors live on across `execve`. Async-signal-safe.
    pub fn keep(&self) -> io::Result<()> {
        self.descriptors()
            .into_iter()
            .try_for_each(sys::keep_on_exec)
    }

    fn descriptors(&self) -> [BorrowedFd<'_>; 3] {
        match *self {
            Self::Server {
                socket,
                setup,
                application,
            } => [socket, setup, application],
            Self::Worker {
                control,
                rings,
                setup,
                ..
            } => [control, rings, setup],
        }
    }

    fn marker(&self) -> String {
        let [a, b, c] = self.descriptors().map(|fd| fd.as_raw_fd());
        match self {
            Self::Server { .. } => format!("server {a} {b} {c}"),
            Self::Worker {
                parent, measures, ..
            } => format!("worker {a} {b} {c} {parent} {}", measures.bits()),
        }
    }
}

impl Role<OwnedFd> {
    /// The role that a marker names, if it may be heeded.
    ///
    /// # Errors
    ///
    /// If that cannot be told, for want of memory or descriptors.
    fn from_marker(marker: &str) -> io::Result<Option<Self>> {
        let mut words = marker.split(' ');
        let role = words.next();
        let numbers: Vec<u32> = words.map_while(|word| word.parse().ok()).collect();
        let &[a, b, c, ..] = numbers.as_slice() else {
            return Ok(None);
        };
        let [a, b, c] = [a, b, c].map(|number| RawFd::try_from(number).unwrap_or(-1));
        // One descriptor named twice would be owned twice.
        let distinct = a != b && b != c && a != c;
        if !distinct || !sys::is_seqpacket(a)? {
            return Ok(None);
        }
        fault::try_at(Site::Fits)?;
        if unfit()?.is_some() {
            return Ok(None);
        }
        let [a, b, c] = [a, b, c].map(sys::inherited);
        let (Some(a), Some(b), Some(c)) = (a?, b?, c?) else {
            return Ok(None);
        };
        Ok(match (role, &numbers[3..]) {
            (Some("server"), []) => Some(Self::Server {
                socket: a,
                setup: b,
                application: c,
            }),
            (Some("worker"), &[parent, measures]) => Some(Self::Worker {
                control: a,
                rings: b,
                setup: c,
                parent,
                measures: Measures::from_bits(measures),
            }),
            _ => None,
        })
    }

    fn process(&self) -> Process {
        match self {
            Self::Server { .. } => Process::ForkServer,
            Self::Worker { .. } => Process::Worker,
        }
    }

    fn play(self) -> ! {
        match self {
            Self::Server {
                socket,
                setup,
                application,
            } => fork_server::serve(ServerStart {
                socket,
                setup,
                application,
            }),
            Self::Worker {
                control,
                rings,
                setup,
                parent,
                measures,
            } => {
                let prepared = fork_server::prepare_worker(parent);
                let read = prepared.and_then(|()| fork_server::read_setup(&setup));
                drop(setup);
                let confined = read
                    .and_then(|setup| Ok((Confinement::prepare(&setup, measures)?, setup.tasks)));
                match confined {
                    Ok((confinement, tasks)) => worker::run(WorkerStart {
                        rings,
                        control,
                        tasks: fork_server::resolve_all(tasks),
                        confinement,
                    }),
                    Err(why) => worker::fail(rings.as_fd(), &why),
                }
            }
        }
    }
}

/// Called by the loader before `main`; returns only if the process is to run its `main`.
pub(crate) fn before_main(remaining: &Remaining) {
    HOOK.store(RAN, Ordering::Relaxed);
    let Some(marker) = std::env::var_os(MARKER) else {
        return;
    };
    sys::unset_variable(OsStr::new(MARKER));
    fault::enter(Process::ForkServer);
    match marker.to_str().map(Role::from_marker) {
        None | Some(Ok(None)) => {
            fault::enter(Process::Application);
            HOOK.store(REFUSED, Ordering::Relaxed);
        }
        // It may name a socket of ours, and then this is no process that is to run its `main`.
        Some(Err(_)) => sys::exit(UNABLE),
        Some(Ok(Some(role))) => {
            // The loader is not Rust: no panic may reach it.
            let play = || {
                fault::enter(role.process());
                fault::at(Site::Marked);
                remaining.run();
                fault::at(Site::Constructed);
                role.play()
            };
            if panic::catch_unwind(AssertUnwindSafe(play)).is_err() {
                sys::exit(PANICKED);
            }
        }
    }
}

/// Whether this process may execute its own program as a fork server, else why not and what to do.
///
/// # Errors
///
/// Fails where the hook would not run, or not be heeded, in the new process, whose own `main`
/// would then run instead.
pub fn can_exec() -> Result<(), String> {
    match HOOK.load(Ordering::Relaxed) {
        NOT_RUN => Err(
            "nothing ran pool-worker's constructor before `main`, so a fork server would run the \
             program's `main` instead: link the program with the C runtime's start-up code, which \
             runs `.init_array`"
                .into(),
        ),
        REFUSED => Err(format!(
            "this process was itself told to be a fork server, by {MARKER} in its environment, \
             and could not: take the variable out of the environment"
        )),
        _ => {
            static UNFIT: OnceLock<Option<String>> = OnceLock::new();
            if UNFIT.get().is_none() {
                let unfit = unfit().map_err(|error| {
                    format!(
                        "cannot tell from /proc/self which program this is ({error}): mount /proc"
                    )
                })?;
                // Another thread has found the same.
                let _ = UNFIT.set(unfit);
            }
            UNFIT.get().cloned().flatten().map_or(Ok(()), Err)
        }
    }
}

/// Why this program cannot be executed as a fork server, if so.
fn unfit() -> io::Result<Option<String>> {
    if sys::is_privileged() {
        return Ok(Some(
            "the program is set-user-ID, set-group-ID or has file capabilities, and takes no \
             orders from its environment: give the rights to the one who starts it instead"
                .into(),
        ));
    }
    let program = fs::read_link("/proc/self/exe")?.into_os_string();
    let file = own_file()?;
    if file.as_bytes() == as_in_maps(&program) {
        return Ok(None);
    }
    Ok(Some(format!(
        "pool-worker is in {}, yet the program is {}, which knows nothing of it: start a program \
         that contains your tasks itself, not as a plugin, as an extension of an interpreter, or by \
         naming it to the dynamic loader",
        file.display(),
        program.display(),
    )))
}

/// The file that this code was mapped from, as `/proc/self/maps` writes it.
fn own_file() -> io::Result<OsString> {
    let own = sys::hook_address();
    fs::read("/proc/self/maps")?
        .split(|&byte| byte == b'\n')
        .find_map(|line| file_at(line, own))
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The file in one line of `/proc/self/maps`, if the line is about `address`.
fn file_at(line: &[u8], address: usize) -> Option<OsString> {
    // start-end permissions offset device inode file
    let mut fields = line.splitn(6, |&byte| byte == b' ');
    let (start, end) = str::from_utf8(fields.next()?).ok()?.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    let file = fields.nth(4)?.trim_ascii_start();
    (start..end)
        .contains(&address)
        .then(|| OsStr::from_bytes(file).to_owned())
}

/// A path as `/proc/self/maps` writes it: with its newlines escaped.
fn as_in_maps(path: &OsStr) -> Vec<u8> {
    path.as_bytes()
        .iter()
        .flat_map(|byte| match byte {
            b'\n' => b"\\012".as_slice(),
            byte => std::slice::from_ref(byte),
        })
        .copied()
        .collect()
}

fn assignment(name: &OsStr, value: &OsStr) -> io::Result<CString> {
    let text = [name.as_bytes(), b"=", value.as_bytes()].concat();
    CString::new(text).map_err(io::Error::other)
}

/// The name under which this process was started. `std::env::args` does not know it before
/// `main` with every C library.
fn own_name() -> io::Result<CString> {
    let line = fs::read("/proc/self/cmdline")?;
    let name = line.split(|&byte| byte == 0).next().unwrap_or_default();
    CString::new(name).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps_are_read_with_their_spaces() {
        let line = b"5581a000-5581b000 r-xp 00001000 fd:01 77      /a b/c (deleted)";
        assert_eq!(file_at(line, 0x5581_a000), Some("/a b/c (deleted)".into()));
        assert_eq!(file_at(line, 0x5581_b000), None);
        assert_eq!(
            file_at(b"7f00-7f01 rw-p 0 00:00 0 ", 0x7f00),
            Some("".into())
        );
        assert_eq!(file_at(b"", 0), None);
        assert_eq!(as_in_maps(OsStr::new("/a\nb")), b"/a\\012b");
    }

    #[test]
    fn this_program_can_be_executed() {
        assert_eq!(can_exec(), Ok(()));
    }

    #[test]
    fn markers_of_other_sockets_and_shapes_are_refused() {
        let memory = sys::memfd(c"test", 0).unwrap();
        let (socket, _peer) = sys::socket_pair().unwrap();
        let [memory, socket] = [&memory, &socket].map(AsRawFd::as_raw_fd);
        for marker in [
            String::new(),
            "server".into(),
            "server 1 2 3".into(),
            "server x y z".into(),
            format!("server {memory} {socket} 0"),
            format!("server {socket} {socket} {memory}"),
        ] {
            assert!(Role::from_marker(&marker).unwrap().is_none(), "{marker}");
        }
    }
}
