//! The preload: one call in each new fork server, before any worker is asked for.
//!
//! It goes through a channel like that of a worker. The fork server's end of it is served by a
//! thread; its other threads, if the preload leaves any, are counted when the call has returned, and
//! the fork server says whether it can fork all the same. Only after both are workers asked for.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pool_worker::channel::{
    Answer, ApplicationEnd, Offer, Payload, Segment, Sent, Violation, events,
};
use pool_worker::fault::{self, Site};
use pool_worker::protocol::{self, LastWordsKind, PanicReport, Status};
use pool_worker::registry::registry;

use super::{PRELOAD, Supervisor, request_within};
use crate::calls::CallId;
use crate::driver::Pool;
use crate::hook::Hook;
use crate::scheduler::failure;
use crate::sys;
use crate::task_error::Ending;

/// A preload that was asked for and is not done.
pub(super) struct Preloading {
    pub(super) link: ApplicationEnd,
    control: OwnedFd,
    /// Until it is answered.
    call: Option<CallId>,
    /// How much of its arguments was sent.
    sent: Sent,
    /// It has returned, and said that all is well.
    pub(super) returned: Arc<AtomicBool>,
    /// The fork server can fork after it.
    reported: bool,
    pub(super) deadline: Option<Instant>,
}

impl Preloading {
    /// Whether workers can be asked for.
    fn is_done(&self) -> bool {
        self.reported && self.returned.load(Ordering::Acquire)
    }

    /// Whether the fork server is not done with it.
    fn runs(&self) -> bool {
        !self.reported || self.call.is_some()
    }

    /// Sends and takes what can be, and has the bell ring for the rest.
    fn pump(&mut self, arguments: &Payload) -> Result<Option<Answer>, Violation> {
        loop {
            if let Some(answer) = self.link.receive(|_, _| Vec::new())? {
                return Ok(Some(answer));
            }
            let more = if self.link.send_more(0, arguments, &mut self.sent) {
                events::LOW
            } else {
                0
            };
            self.link.wake();
            if !self
                .link
                .arm_socket(events::ANSWER | events::HALF_FULL | more)
            {
                return Ok(None);
            }
        }
    }

    /// What the fork server had to say of its death, from here to the end of the sentence.
    fn last_words(&self, status: Option<i32>) -> Option<String> {
        let words = self.link.last_words()?;
        if words.kind == LastWordsKind::STACK_OVERFLOW {
            return Some(", as its stack overflowed".into());
        }
        // The words outlive a panic that was caught, so they tell of an abort only.
        let aborted = status.is_none_or(|status| libc::WTERMSIG(status) == libc::SIGABRT);
        let report: PanicReport = protocol::decode(&words.bytes).ok()?;
        let place = report.location.unwrap_or_default();
        aborted.then(|| format!(", panicking at {place}: {}", report.message))
    }
}

impl Supervisor {
    /// Has a new fork server run the preload, if there is one.
    pub(super) fn begin_preload(&mut self) -> io::Result<()> {
        let Some(hook) = &self.hooks.preload else {
            return Ok(());
        };
        let Some((task, arguments)) = hook.valid() else {
            return Ok(());
        };
        fault::try_at(Site::Preload)?;
        let (segment, rings) = Segment::create()?;
        let (control, theirs) = sys::socket_pair()?;
        self.epoll.add(control.as_fd(), PRELOAD)?;
        self.server.request_preload(rings.as_fd(), theirs.as_fd())?;
        let returned = Arc::new(AtomicBool::new(false));
        let (told, failed) = (Arc::clone(&returned), hook.clone());
        let then = move |pool: &Pool, result: Result<(), String>| match result {
            Ok(()) => {
                told.store(true, Ordering::Release);
                pool.lock().poke();
            }
            Err(text) => failed.break_down(&mut pool.lock(), &text),
        };
        let Some(call) = hook.call(&self.pool, &mut self.pool.lock(), then) else {
            return Ok(());
        };
        let mut link = ApplicationEnd::new(segment);
        if let Offer::Full = link.offer(task.to_raw(), 0, arguments) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let timeout = self.hooks.preload_timeout;
        if let Some(former) = self.preloading.take() {
            let _ = self.epoll.remove(former.control.as_fd());
        }
        self.preloading = Some(Preloading {
            link,
            control,
            call: Some(call),
            sent: Sent::default(),
            returned,
            reported: false,
            deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
        });
        self.pump_preload();
        Ok(())
    }

    /// The bell of the preload rang.
    pub(super) fn preload_rang(&mut self) {
        let Some(preloading) = &self.preloading else {
            return;
        };
        if !sys::take_bell(preloading.control.as_fd()) {
            // Its end follows from the fork server's report, or death.
            let _ = self.epoll.remove(preloading.control.as_fd());
        }
        self.pump_preload();
    }

    fn pump_preload(&mut self) {
        let Some(preloading) = &mut self.preloading else {
            return;
        };
        let Some((task, arguments)) = self.hooks.preload.as_ref().and_then(Hook::valid) else {
            return;
        };
        match preloading.pump(arguments) {
            Ok(Some(Answer { status, body, .. })) => {
                fault::at(Site::Preloaded);
                let Some(call) = preloading.call.take() else {
                    return self.fail_preload("it was answered twice");
                };
                let mut locked = self.pool.lock();
                if status == Status::Returned {
                    locked.returned(call, body);
                } else {
                    let error = failure(registry().name(task), status, &body, u64::MAX);
                    locked.fail(call, error);
                }
            }
            Ok(None) => {}
            Err(Violation(how)) => self.fail_preload(how),
        }
    }

    /// The fork server can fork after the preload, with so much memory that is its own.
    pub(super) fn preloaded(&mut self, memory: u64) {
        self.request_within = request_within(memory);
        self.pump_preload();
        let Some(preloading) = &mut self.preloading else {
            return;
        };
        preloading.reported = true;
        // Its thread has ended, so all that it had to answer is here.
        if preloading.call.is_some() {
            self.fail_preload("its thread ended before it returned");
        }
    }

    /// Looks whether the preload is done, or has taken too long.
    pub(super) fn check_preload(&mut self) {
        if let Some(preloading) = self.preloading.take_if(|preloading| preloading.is_done()) {
            let _ = self.epoll.remove(preloading.control.as_fd());
        }
        let runs = |preloading: &&Preloading| preloading.runs();
        let running = self.preloading.as_ref().filter(runs);
        let deadline = running.and_then(|preloading| preloading.deadline);
        if deadline.is_some_and(|deadline| deadline <= Instant::now())
            && let Some(hook) = &self.hooks.preload
        {
            hook.overdue(&mut self.pool.lock(), self.hooks.preload_timeout);
        }
    }

    /// Whether it was the preload that the fork server died in; the executor is broken then.
    pub(super) fn died_in_preload(&mut self) -> bool {
        let runs = |preloading: &&Preloading| preloading.runs();
        let Some(preloading) = self.preloading.as_ref().filter(runs) else {
            return false;
        };
        let pid = self.server.pid();
        let status = self.server.status();
        let how = status.map_or_else(
            || "ended in an unknown way".to_owned(),
            |status| Ending(status).to_string(),
        );
        let words = preloading.last_words(status).unwrap_or_default();
        let text = format!("the fork server that ran it, process {pid}, {how}{words}");
        self.fail_preload(&text);
        true
    }

    pub(super) fn fail_preload(&self, text: &str) {
        if let Some(hook) = &self.hooks.preload {
            hook.break_down(&mut self.pool.lock(), text);
        }
    }

    /// At the end: nobody is to wait for the preload any more.
    pub(super) fn drop_preload(&mut self) {
        if let Some(call) = self
            .preloading
            .take()
            .and_then(|preloading| preloading.call)
        {
            self.pool.lock().let_go(call);
        }
    }

    /// How long until there is something to do about the preload. To be asked after the turn that takes
    /// note of being woken: it may have been for this.
    pub(super) fn preload_time_left(&self, now: Instant) -> Option<Duration> {
        let preloading = self.preloading.as_ref()?;
        if preloading.is_done() {
            return Some(Duration::ZERO);
        }
        let deadline = preloading.deadline.filter(|_| preloading.runs());
        Some(deadline?.saturating_duration_since(now))
    }
}
