//! What a worker process does.
//!
//! Tasks run on a thread of their own, with a stack of a known size. The main thread takes in what
//! the application shares, and waits for it to close the control socket; then it ends the process at
//! once, even in the middle of a task. A third waits for the task thread: nothing should end it but the
//! end of the process, and if a task ends it all the same, the process aborts instead of lingering with
//! nobody to serve calls.

mod current;
mod panics;
mod scales;
mod service;
#[cfg(test)]
mod tests;

use crate::TaskEntry;
use crate::channel::{Segment, WorkerEnd};
use crate::confinement::Confinement;
use crate::fault::{self, Site};
use crate::protocol::{LastWordsKind, UNABLE};
use crate::shared::{self, Table};
use crate::sys;
pub use current::{Current, current};
use scales::Scales;
use service::Service;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

/// Bytes of stack for tasks: what a main thread commonly has.
const TASK_STACK: usize = 8 << 20;
/// Bytes of stack for the thread that only waits.
const WAITING_STACK: usize = 64 * 1024;

/// A task by the name that calls refer to, and what this program has under it.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The name from the application.
    pub name: String,
    /// The task, unless this program knows none of that name.
    pub entry: Option<&'static TaskEntry>,
}

/// What a worker begins with.
#[derive(Debug)]
pub struct WorkerStart {
    /// The memory of its rings.
    pub rings: OwnedFd,
    /// Its end of the control socket.
    pub control: OwnedFd,
    /// `tasks[i]` is the task that calls name by the number `i`.
    pub tasks: Vec<Resolved>,
    /// What it gives up before it runs any.
    pub confinement: Confinement,
}

/// Serves until the application closes the control socket.
pub fn run(start: WorkerStart) -> ! {
    #[cfg(target_env = "gnu")]
    sys::keep_freed_memory();
    let WorkerStart {
        rings,
        control,
        tasks,
        confinement,
    } = start;
    let opened = fault::try_at(Site::WorkerRings).and_then(|()| Segment::open(rings.as_fd()));
    let Ok(segment) = opened.map(Arc::new) else {
        sys::exit(UNABLE)
    };
    // Before any task runs: one that writes to every descriptor would write into the rings.
    drop(rings);
    match begin(&segment, control, tasks, confinement) {
        Ok(table) => {
            table.attend();
            fault::at(Site::WorkerEnds);
            sys::exit(0)
        }
        Err(why) => give_up(&segment, &why),
    }
}

/// Ends this process, which cannot become the worker with these rings, and leaves word of why.
pub(crate) fn fail(rings: BorrowedFd<'_>, why: &io::Error) -> ! {
    match Segment::open(rings) {
        Ok(segment) => give_up(&segment, why),
        Err(_) => sys::exit(UNABLE),
    }
}

fn give_up(segment: &Segment, why: &io::Error) -> ! {
    segment.leave_last_words(LastWordsKind::UNABLE, 0, why.to_string().as_bytes());
    sys::exit(UNABLE)
}

/// Serves a single call in this process, on a thread of its own; `at_end` is dropped once that has
/// ended, by the thread given back, which ends with it.
pub(crate) fn serve_one(start: WorkerStart, at_end: OwnedFd) -> io::Result<JoinHandle<()>> {
    let segment = Arc::new(Segment::open(start.rings.as_fd())?);
    drop(start.rings);
    let end = WorkerEnd::new(Arc::clone(&segment), start.control);
    panics::install_hook();
    let serving = thread::Builder::new()
        .name("preload".into())
        .stack_size(TASK_STACK)
        .spawn(move || {
            let mut service = begin_service(end, None, segment, start.tasks);
            service.serve_call();
            service::flush_stdout();
        })?;
    thread::Builder::new()
        .name("preload-end".into())
        .stack_size(WAITING_STACK)
        .spawn(|| {
            // What the call has left to its thread's end may take its time.
            sys::await_end(serving);
            drop(at_end);
        })
}

/// Has the task thread serve calls; gives what is to be filled with what the application shares.
fn begin(
    segment: &Arc<Segment>,
    control: OwnedFd,
    tasks: Vec<Resolved>,
    confinement: Confinement,
) -> io::Result<Arc<Table>> {
    confinement.shed(control.as_fd())?;
    let bells = control.try_clone()?;
    let end = WorkerEnd::new(Arc::clone(segment), bells);
    let table = Arc::new(Table::new(control));
    let filled = Arc::clone(&table);
    panics::install_hook();
    fault::try_at(Site::WorkerThread)?;
    let scales = Scales::new(&end)?;
    confinement.enter()?;
    let (go, leave) = mpsc::channel::<()>();
    let witnessed = Arc::clone(segment);
    let serving = thread::Builder::new()
        .name("task".into())
        .stack_size(TASK_STACK)
        .spawn(move || {
            shared::serve_from(table);
            let mut service = begin_service(end, scales, witnessed, tasks);
            // Else there is no worker: the main thread gave up.
            if leave.recv().is_ok() {
                loop {
                    service.serve_call();
                }
            }
        })?;
    thread::Builder::new()
        .name("task-end".into())
        .stack_size(WAITING_STACK)
        .spawn(|| {
            sys::await_end(serving);
            process::abort()
        })?;
    if let Err(why) = confinement.seal() {
        // At once: without `go` the task thread ends, and whoever waits for it aborts.
        give_up(segment, &why);
    }
    // It waits, and would be gone only with the process.
    let _ = go.send(());
    Ok(filled)
}

/// The service of the calling thread, with its end watched.
fn begin_service(
    end: WorkerEnd,
    scales: Option<Scales>,
    segment: Arc<Segment>,
    tasks: Vec<Resolved>,
) -> Service {
    let service = Service::new(end, scales, segment, tasks);
    let witness = service.witness();
    let watched = sys::watch_stack(|| witness.stack_overflowed())
        .and_then(|()| sys::watch_aborts(|| witness.ran_out_of_memory()));
    if watched.is_err() {
        sys::exit(UNABLE);
    }
    service
}
