//! A worker as the scheduler knows it: its channel, its window of calls, its process.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_worker::channel::{
    ApplicationEnd, Inline, LastWords, Notice, Offer, Outlook, Patience, Payload, Sent, Ticket,
};
use pool_worker::fault::{self, Site};
use pool_worker::registry::TaskId;
use pool_worker::shared::Postbox;

use crate::call::Parcel;
use crate::calls::{Binding, CallId};
use crate::memory::Excess;
use crate::sys;
use crate::terms::{Overdue, Overuse};
use bells::Attention;

mod answers;
mod bells;
#[cfg(test)]
pub(crate) mod fixture;
mod limits;
mod pace;
mod streams;
mod take_back;
mod tenure;

pub(crate) use limits::{Begun, Unclaimed};
pub(crate) use take_back::Unbegun;
pub(crate) use tenure::Tenure;

/// For how long a worker may look for calls before it sleeps, where there are cores to spare.
const SPIN_MICROSECONDS: u32 = 50;
/// The state of a bell of which nothing is known.
const UNKNOWN_BELL: u32 = u32::MAX;

/// A call that lies in the worker's ring, or runs.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) id: CallId,
    binding: Binding,
    ticket: Ticket,
    /// The memory of its arguments was given to its answer.
    spent: bool,
}

/// A worker that is a member of the pool.
pub(crate) struct Member {
    /// The worker's number, never used twice in an executor.
    pub(crate) number: u64,
    /// Its process, once the fork server told.
    pub(crate) pid: Option<u32>,
    pidfd: Option<OwnedFd>,
    /// The application's end of the control socket; closing it ends the worker.
    pub(crate) control: Arc<Postbox>,
    link: ApplicationEnd,
    /// The calls that were placed, in order; `None` for those that were taken back.
    window: VecDeque<Option<Placed>>,
    /// The number of the call at the window's front.
    first_seq: u32,
    /// How many calls of the window are still this worker's.
    live: usize,
    /// How much of the last call's arguments was sent, while some are left to send.
    streamed: Option<Sent>,
    /// Whether its next piece is worth looking for.
    pub(crate) patience: Patience,
    /// For how long to look for its answers.
    pub(crate) outlook: Outlook,
    /// The worker's initializer, if there is one, has returned.
    pub(crate) ready: bool,
    attention: Attention,
    /// What the bell was armed with for the event loop, until it rang.
    armed: u32,
    /// There is something new for the worker since it was last woken: calls, or room for answers.
    touched: bool,
    /// When the scheduler last looked at the clock.
    now: Instant,
    last_progress: Instant,
    tenure: Tenure,
    may_spin: bool,
    pub(crate) sentence: Sentence,
    /// Until when it may live although it was asked to end.
    grace_end: Option<Duration>,
}

/// Why a worker is killed, if it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sentence {
    /// It is not.
    None,
    /// Somebody asked for its end, or for that of the call that it runs.
    OnRequest,
    /// Its call is out of time in this way.
    Expired(Overdue),
    /// It has more memory than it may have, in the middle of a call.
    OverMemory(Excess),
    /// Its call has taken too much processor time.
    Overused(Overuse),
    /// It broke the protocol in this way.
    Violation(&'static str),
    /// It has done enough, and was asked to end.
    Retired,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("number", &self.number)
            .field("pid", &self.pid)
            .field("calls", &self.live)
            .field("ready", &self.ready)
            .finish_non_exhaustive()
    }
}

impl Member {
    pub(crate) fn new(
        number: u64,
        link: ApplicationEnd,
        control: Arc<Postbox>,
        ready: bool,
        tenure: Tenure,
    ) -> Self {
        let now = sys::now();
        Self {
            number,
            pid: None,
            pidfd: None,
            control,
            link,
            window: VecDeque::new(),
            first_seq: 0,
            live: 0,
            streamed: None,
            patience: Patience::default(),
            outlook: Outlook::default(),
            ready,
            attention: Attention::Nobodys,
            armed: UNKNOWN_BELL,
            touched: false,
            now,
            last_progress: now,
            tenure,
            may_spin: false,
            sentence: Sentence::None,
            grace_end: None,
        }
    }

    /// Notes the worker's process, now that it is forked.
    pub(crate) fn forked(&mut self, pid: u32, pidfd: OwnedFd) {
        fault::at(Site::Born);
        self.pid = Some(pid);
        self.pidfd = Some(pidfd);
        self.kill(self.sentence);
    }

    /// Its process, for the text of an error: a new worker may answer before the fork server tells
    /// of it, and is then taken at its word.
    pub(crate) fn told_pid(&self) -> Option<u32> {
        self.pid.or_else(|| self.link.claimed_pid())
    }

    pub(crate) fn pidfd(&self) -> Option<&OwnedFd> {
        self.pidfd.as_ref()
    }

    /// Kills the worker's process; as soon as it exists, if it does not yet.
    pub(crate) fn kill(&mut self, sentence: Sentence) {
        if self.sentence == Sentence::None {
            self.sentence = sentence;
        }
        if let Some(pidfd) = self.pidfd.as_ref().filter(|_| sentence != Sentence::None) {
            // It can fail only if the process has ended.
            let _ = sys::kill(pidfd.as_fd());
        }
    }

    /// Kills the worker's process, whose parent is gone; nobody is to blame but the parent's end.
    pub(crate) fn end_orphan(&self) {
        if let Some(pidfd) = &self.pidfd {
            // It can fail only if the process has ended.
            let _ = sys::kill(pidfd.as_fd());
        }
    }

    /// How many calls it has before it.
    #[inline]
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.live == 0
    }

    /// Whether its process is not asleep, as far as can be told.
    pub(crate) fn is_awake(&self) -> bool {
        self.link.is_awake()
    }

    /// Whether looking for its answers is worth while, by what was learnt of late.
    pub(crate) fn is_worth_a_look(&self) -> bool {
        !self.outlook.limit().is_zero()
    }

    /// Whether it had to be woken for what it has, and has not answered since.
    pub(crate) fn is_roused(&self) -> bool {
        self.link.is_roused()
    }

    pub(crate) fn takes_calls(&self) -> bool {
        self.ready && self.streamed.is_none() && self.is_in_service()
    }

    /// Whether it may look for calls without sleep.
    pub(crate) fn may_spin(&self) -> bool {
        self.may_spin
    }

    pub(crate) fn allow_spinning(&mut self) {
        self.may_spin = true;
        self.link.allow_spinning(SPIN_MICROSECONDS);
    }

    /// Places a call in the worker's ring, after telling the worker of the shared values that it
    /// refers to; gives the number it has there, or nothing if there is no room for either.
    #[inline]
    pub(crate) fn offer(
        &mut self,
        id: CallId,
        task: TaskId,
        arguments: &Parcel,
        binding: Binding,
        notice: Option<Notice>,
    ) -> Option<u32> {
        if !self.control.deliver(&arguments.attachments) {
            return None;
        }
        let seq = self.seq_at(self.window.len());
        let task = task.to_raw();
        let offer = match notice {
            None => self.link.offer(task, seq, arguments),
            Some(notice) => self.link.offer_with(notice, task, seq, arguments),
        };
        let Offer::Placed(ticket) = offer else {
            return None;
        };
        if let Payload::Large(_) = arguments.payload {
            self.streamed = Some(Sent::default());
        }
        self.note_placed(id, binding, ticket);
        Some(seq)
    }

    /// As [`offer`](Self::offer), for a call of which no more is asked than to be run, with arguments that
    /// may be in registers.
    #[inline]
    pub(crate) fn offer_inline(
        &mut self,
        id: CallId,
        task: TaskId,
        arguments: Inline,
    ) -> Option<u32> {
        let seq = self.seq_at(self.window.len());
        let Offer::Placed(ticket) = self.link.offer_inline(task.to_raw(), seq, arguments) else {
            return None;
        };
        self.note_placed(id, Binding::Anywhere, ticket);
        Some(seq)
    }

    #[inline]
    fn note_placed(&mut self, id: CallId, binding: Binding, ticket: Ticket) {
        if self.live == 0 {
            self.last_progress = self.now;
        }
        self.window.push_back(Some(Placed {
            id,
            binding,
            ticket,
            spent: false,
        }));
        self.live += 1;
        self.touched = true;
        if binding != Binding::Own {
            self.count_given();
        }
    }

    /// Wakes the worker if something changed for it.
    pub(crate) fn wake_if_touched(&mut self) {
        if std::mem::take(&mut self.touched) {
            fault::at(Site::Wakes);
            self.link.wake();
        }
    }

    /// The number of the call at this place of the window.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the numbers of calls wrap around"
    )]
    #[inline]
    fn seq_at(&self, index: usize) -> u32 {
        self.first_seq.wrapping_add(index as u32)
    }

    #[inline]
    fn forget_front(&mut self, count: usize) {
        self.first_seq = self.seq_at(count);
        for _ in 0..count {
            self.window.pop_front();
        }
    }

    /// Where this call stands in the window, if it does.
    fn index_of(&self, seq: u32, id: CallId) -> Option<usize> {
        let index = seq.wrapping_sub(self.first_seq) as usize;
        let placed = self.window.get(index)?.as_ref()?;
        (placed.id == id).then_some(index)
    }

    /// Whether this call is in the window.
    pub(crate) fn holds(&self, seq: u32, id: CallId) -> bool {
        self.index_of(seq, id).is_some()
    }

    /// Whether this call has begun here and is not answered.
    pub(crate) fn is_running(&mut self, seq: u32, id: CallId) -> bool {
        self.index_of(seq, id)
            .and_then(|index| self.window[index].as_ref())
            .is_some_and(|placed| self.link.has_begun(placed.ticket))
    }

    /// Empties the window.
    pub(crate) fn clear(&mut self) -> impl Iterator<Item = Placed> + use<> {
        self.live = 0;
        self.streamed = None;
        std::mem::take(&mut self.window).into_iter().flatten()
    }

    /// The most bytes of a result that it may return.
    pub(crate) fn max_result(&self) -> u64 {
        self.link.max_output()
    }

    pub(crate) fn last_words(&self) -> Option<LastWords> {
        self.link.last_words()
    }
}
