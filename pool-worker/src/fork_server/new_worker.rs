//! What a process that was just forked does to become a worker.

use super::spare;
use crate::confinement::Confinement;
use crate::entry::Role;
use crate::fault::{self, Process, Site};
use crate::isolation::Measures;
use crate::protocol::{StartMethod, UNABLE};
use crate::sys;
use crate::worker::{self, Resolved, WorkerStart};
use std::convert::identity;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Makes this process a worker of the fork server `parent`.
pub(crate) fn prepare_worker(parent: u32) -> io::Result<()> {
    fault::try_at(Site::WorkerPrepares)?;
    sys::die_with_parent(parent)?;
    sys::subreaper()?;
    sys::name_process(c"pool-worker")?;
    sys::leave_core_dumps()?;
    sys::reset_signals();
    sys::ignore_broken_pipes();
    Ok(())
}

/// What a forked process needs to become a worker; nothing else of the fork server is left in it.
pub(super) struct NewWorker {
    pub(super) parent: u32,
    pub(super) post: Post,
    pub(super) setup: OwnedFd,
    pub(super) start_method: StartMethod,
    pub(super) tasks: Vec<Resolved>,
    pub(super) confinement: Confinement,
}

/// Where a new worker is to serve.
pub(super) enum Post {
    /// With these rings and this control socket.
    Known { rings: OwnedFd, control: OwnedFd },
    /// As a spare: what will come through this socket.
    Awaited(OwnedFd),
}

impl NewWorker {
    pub(super) fn start(self) -> ! {
        fault::enter(Process::Worker);
        fault::at(Site::WorkerForked);
        let start = || {
            prepare_worker(self.parent)?;
            match self.post {
                Post::Known { rings, control } => Ok((rings, control)),
                Post::Awaited(socket) => spare::await_employment(socket.as_fd()),
            }
        };
        let Ok((rings, control)) = start() else {
            sys::exit(UNABLE);
        };
        if self.start_method == StartMethod::Spawn {
            let measures = self.confinement.measures();
            execute(self.parent, measures, &rings, &control, &self.setup);
        }
        drop(self.setup);
        worker::run(WorkerStart {
            rings,
            control,
            tasks: self.tasks,
            confinement: self.confinement,
        })
    }
}

/// Goes on in a fresh image of the program, which the entry hook makes a worker again.
fn execute(
    parent: u32,
    measures: Measures,
    rings: &OwnedFd,
    control: &OwnedFd,
    setup: &OwnedFd,
) -> ! {
    let role = Role::Worker {
        control: control.as_fd(),
        rings: rings.as_fd(),
        setup: setup.as_fd(),
        parent,
        measures,
    };
    let image = role.keep().and_then(|()| role.image(std::env::vars_os()));
    let why = image.map_or_else(identity, |image| image.execute());
    worker::fail(rings.as_fd(), &why)
}
