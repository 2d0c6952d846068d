//! Which call goes to which worker: the executor's state, changed by events, touched by no thread
//! of its own.
//!
//! Calls wait in the *backlog*, in order of submission, until a worker has room for them. What was
//! placed in a worker's ring stands in its *window*, in the same order; answers arrive in that
//! order too. How many calls a worker is dealt follows from how long calls took it of late: about
//! [`RING_TIME`] of work, one call while that is unknown. A call that has not begun can be taken
//! back, so dealing wrongly costs little: a worker that runs dry gets what another has not begun.
//!
//! All methods run under the executor's lock and none blocks or runs users' code. Those that fill
//! completions collect whom to tell in [`Scheduler::told`]; the lock's holder tells them after
//! letting go of it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pool_worker::channel::{Bytes, events};
use pool_worker::protocol::{PanicReport, Status};

use crate::call::Call;
use crate::completion::{Completion, Outcome, Place, Waiter};
use crate::member::{Member, Sentence};
use crate::task_error::{Side, TaskError, TaskErrorKind};

#[cfg(test)]
mod tests;

/// How much work a worker is dealt ahead.
const RING_TIME: Duration = Duration::from_millis(1);
/// The most calls that a worker is dealt ahead.
const MAX_DEPTH: usize = 1024;
/// Work that a worker has before it below this time is not worth taking to another one.
const NOT_WORTH_MOVING: Duration = Duration::from_micros(50);
/// What waking a worker costs, roughly.
const WAKING: Duration = Duration::from_micros(10);
/// How often a call may be the next one of a worker that dies. Beyond that the call itself is taken
/// for the cause: a hostile task can make it seem that it has not begun.
const MAX_SUSPICIONS: u8 = 8;

/// Why an executor broke.
#[derive(Debug)]
pub(crate) struct Breakdown(pub(crate) String);

impl fmt::Display for Breakdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Breakdown {}

/// Whether new calls are taken.
#[derive(Clone, Debug)]
pub(crate) enum Gate {
    Open,
    /// The executor was shut down.
    Closed,
    /// The executor cannot go on, for this reason.
    Broken(Arc<Breakdown>),
}

/// What the scheduler did about a call that was to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Cancelled {
    /// It will never start.
    Yes,
    /// It runs, in the worker in this slot, under this number.
    Running { slot: usize, seq: u32 },
    /// It is done.
    Done,
}

/// The calls of an executor and the workers that they are dealt to.
#[derive(Debug)]
pub(crate) struct Scheduler {
    backlog: VecDeque<Call>,
    /// How many calls in the backlog are done, as they were cancelled.
    stale: usize,
    members: Vec<Option<Member>>,
    /// The workers in the first slots, as many as this, may look for calls without sleep.
    spinners: usize,
    /// Calls submitted and not done.
    outstanding: usize,
    /// Waiters on completions that are not filled.
    waiting: usize,
    gate: Gate,
    told: Vec<Waiter>,
}

impl Scheduler {
    /// A scheduler for so many workers, of which `spinners` may look for calls without sleep.
    pub(crate) fn new(slots: usize, spinners: usize) -> Self {
        Self {
            spinners,
            backlog: VecDeque::new(),
            stale: 0,
            members: std::iter::repeat_with(|| None).take(slots).collect(),
            outstanding: 0,
            waiting: 0,
            gate: Gate::Open,
            told: Vec::new(),
        }
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Why new calls of `task` are not taken, if they are not.
    pub(crate) fn refusal(&self, task: &'static str) -> Option<TaskError> {
        match &self.gate {
            Gate::Open => None,
            Gate::Closed => Some(TaskError::new(TaskErrorKind::ShutDown, task)),
            Gate::Broken(reason) => {
                let error = TaskError::new(TaskErrorKind::PoolBroken, task);
                Some(error.caused_by(Arc::<Breakdown>::clone(reason)))
            }
        }
    }

    pub(crate) fn close(&mut self) {
        if matches!(self.gate, Gate::Open) {
            self.gate = Gate::Closed;
        }
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding
    }

    pub(crate) fn queued(&self) -> usize {
        self.backlog.len() - self.stale
    }

    pub(crate) fn slots(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().flatten()
    }

    pub(crate) fn member(&mut self, slot: usize) -> Option<&mut Member> {
        self.members.get_mut(slot)?.as_mut()
    }

    /// The worker of this number and its slot, if it is still a member.
    pub(crate) fn find(&mut self, number: u64) -> Option<(usize, &mut Member)> {
        self.members
            .iter_mut()
            .enumerate()
            .find_map(|(slot, member)| {
                Some((
                    slot,
                    member.as_mut().filter(|member| member.number == number)?,
                ))
            })
    }

    /// Takes a new worker into an empty slot.
    pub(crate) fn admit(&mut self, slot: usize, member: Member) {
        if slot < self.spinners {
            member.allow_spinning();
        }
        self.members[slot] = Some(member);
    }

    /// Takes all workers out, for the end. What they are busy with is of no interest any more.
    pub(crate) fn dismiss(&mut self) -> Vec<Member> {
        self.fail_placed(killed);
        self.members.iter_mut().filter_map(Option::take).collect()
    }

    /// Whom to tell, once the lock is free.
    pub(crate) fn take_told(&mut self) -> Vec<Waiter> {
        std::mem::take(&mut self.told)
    }

    /// Takes a call. The gate was looked at before.
    pub(crate) fn submit(&mut self, call: Call) {
        self.outstanding += 1;
        self.backlog.push_back(call);
    }

    /// Fills a completion and notes whom to tell.
    pub(crate) fn fill(&mut self, call: &Call, outcome: Outcome) {
        let waiters = call.completion.fill(outcome);
        self.waiting -= waiters.len();
        self.told.extend(waiters);
        if !call.pinned {
            self.outstanding -= 1;
        }
    }

    /// Registers a waiter; gives it back if the completion is filled.
    pub(crate) fn wait(&mut self, completion: &Completion, waiter: Waiter) -> Result<(), Waiter> {
        completion.add_waiter(waiter)?;
        self.waiting += 1;
        Ok(())
    }

    /// Forgets waiters on a completion. They are to be dropped without the lock, which may run
    /// users' code.
    #[must_use]
    pub(crate) fn forget(
        &mut self,
        completion: &Completion,
        is_meant: impl Fn(&Waiter) -> bool,
    ) -> Vec<Waiter> {
        let forgotten = completion.remove_waiters(is_meant);
        self.waiting -= forgotten.len();
        forgotten
    }

    /// Takes in what workers answered, deals what waits, and sees to it that whoever sleeps is rung.
    ///
    /// `true` means that there may be more to do at once.
    #[must_use]
    pub(crate) fn turn(&mut self) -> bool {
        for slot in 0..self.members.len() {
            self.collect(slot);
        }
        self.deal();
        self.settle()
    }

    /// Takes in the answers of one worker.
    pub(crate) fn collect(&mut self, slot: usize) {
        let mut any = false;
        while let Some(member) = self.member(slot) {
            match member.receive() {
                Ok(Some((placed, status, body))) => {
                    let pid = member.pid;
                    let outcome = outcome_of(&placed.call, status, body, pid);
                    self.fill(&placed.call, outcome);
                    any = true;
                }
                Ok(None) => {
                    if any {
                        member.progressed();
                    }
                    break;
                }
                Err(violation) => {
                    member.kill(Sentence::Violation(violation.0));
                    break;
                }
            }
        }
    }

    /// Whoever sleeps on this worker has to look again: a call of its window went elsewhere.
    fn moved(&mut self, slot: usize) {
        if let Some(member) = self.member(slot) {
            member.ring_attendant();
        }
    }

    /// Puts up to `count` calls that a worker has not begun back into the backlog; whether there
    /// were any.
    fn take_back(&mut self, slot: usize, count: usize) -> bool {
        let taken = self
            .member(slot)
            .map_or_else(Vec::new, |member| member.take_back(count));
        self.moved(slot);
        self.requeue(taken)
    }

    /// Deals calls from the backlog to the workers that have room for them.
    pub(crate) fn deal(&mut self) {
        for member in self.members.iter_mut().flatten() {
            member.send_more();
        }
        self.deal_backlog();
        if self.queued() == 0 && self.rebalance() {
            self.deal_backlog();
        }
        for member in self.members.iter_mut().flatten() {
            member.wake_if_touched();
        }
    }

    fn deal_backlog(&mut self) {
        let mut full = Vec::new();
        while self.queued() > 0 {
            let Some(slot) = self.least_loaded(&full) else {
                break;
            };
            if !self.deal_share(slot) {
                full.push(slot);
            }
        }
        if self.queued() == 0 {
            self.backlog.clear();
            self.stale = 0;
        }
    }

    /// The worker with the fewest calls that takes another one. For calls that come one at a time,
    /// one that is awake and soon done comes first: it is quicker than waking another.
    fn least_loaded(&self, full: &[usize]) -> Option<usize> {
        let few = self.queued() < self.members.len();
        self.members
            .iter()
            .enumerate()
            .filter_map(|(slot, member)| Some((slot, member.as_ref()?)))
            .filter(|(slot, member)| {
                member.takes_calls() && member.live() < depth(member) && !full.contains(slot)
            })
            .min_by_key(|(_, member)| (few && !is_at_hand(member), member.live()))
            .map(|(slot, _)| slot)
    }

    /// Deals a fair share of the backlog to the worker in `slot`; `false` if its ring is full.
    fn deal_share(&mut self, slot: usize) -> bool {
        let fair = self.queued() / self.members.len();
        let Some(member) = self.members[slot].as_mut() else {
            return false;
        };
        // The worker may have told another pace since it was chosen.
        let room = depth(member).saturating_sub(member.live());
        for _ in 0..fair.clamp(1, room.max(1)) {
            let Some(call) = self.backlog.pop_front() else {
                break;
            };
            if call.completion.is_done() {
                self.stale -= 1;
                continue;
            }
            if let Err(call) = member.offer(slot, call) {
                self.backlog.push_front(call);
                return false;
            }
            if member.is_streaming() {
                break;
            }
        }
        true
    }

    /// Takes calls that have not begun back from a busy worker if another one is idle.
    fn rebalance(&mut self) -> bool {
        if !self
            .members()
            .any(|member| member.takes_calls() && member.live() == 0)
        {
            return false;
        }
        let loaded = (0..self.members.len()).filter(|&slot| self.load(slot) > 1);
        let Some(victim) = loaded.max_by_key(|&slot| self.load(slot)) else {
            return false;
        };
        let half = self.load(victim) / 2;
        let Some(member) = self.member(victim) else {
            return false;
        };
        if member
            .work_left()
            .is_some_and(|left| left < NOT_WORTH_MOVING)
        {
            return false;
        }
        self.take_back(victim, half)
    }

    fn load(&self, slot: usize) -> usize {
        self.members[slot].as_ref().map_or(0, Member::live)
    }

    /// Puts calls, in their order, before all others.
    fn requeue(&mut self, calls: Vec<Call>) -> bool {
        let any = !calls.is_empty();
        for call in calls.into_iter().rev() {
            call.completion.set_place(Place::Unplaced);
            self.backlog.push_front(call);
        }
        any
    }

    /// Whether a worker has calls that another one, idle, could run.
    pub(crate) fn is_unbalanced(&self) -> bool {
        self.members()
            .any(|member| member.takes_calls() && member.live() == 0)
            && self.members().any(|member| member.live() > 1)
    }

    /// Arms each worker's bell with what the executor has to hear of.
    fn settle(&mut self) -> bool {
        let hungry = self.queued() > 0;
        let urgent = self.waiting > 0 || !matches!(self.gate, Gate::Open);
        let mut again = false;
        for member in self.members.iter_mut().flatten() {
            again |= member.settle(wanted(member, hungry, urgent));
        }
        again
    }

    /// Cancels a call that has not begun.
    pub(crate) fn cancel(&mut self, completion: &Completion, task: &'static str) -> Cancelled {
        if completion.is_done() {
            return Cancelled::Done;
        }
        match completion.place() {
            Place::Unplaced => self.stale += 1,
            Place::Worker { slot, seq } => {
                let taken = self
                    .member(slot)
                    .and_then(|member| member.take_back_one(seq, completion));
                if taken.is_none() {
                    return Cancelled::Running { slot, seq };
                }
                self.moved(slot);
            }
        }
        self.outstanding -= 1;
        let error = TaskError::new(TaskErrorKind::Cancelled, task);
        let waiters = completion.fill(Outcome::Failed(error));
        self.waiting -= waiters.len();
        self.told.extend(waiters);
        self.drop_stale();
        Cancelled::Yes
    }

    /// Kills the worker that runs this completion's call. `false` if the call is done by now.
    ///
    /// The worker is frozen first, by taking back all that it has not begun, so that the next call
    /// does not die for this one.
    pub(crate) fn kill_running(&mut self, slot: usize, seq: u32, completion: &Completion) -> bool {
        self.take_back(slot, usize::MAX);
        self.collect(slot);
        let Some(member) = self
            .member(slot)
            .filter(|member| member.is_running(seq, completion))
        else {
            return false;
        };
        member.kill(Sentence::OnRequest);
        true
    }

    /// Gives the memory of cancelled calls back once they are the greater part of the backlog.
    fn drop_stale(&mut self) {
        if self.stale > 64 && self.stale > self.backlog.len() / 2 {
            self.backlog.retain(|call| !call.completion.is_done());
            self.stale = 0;
        }
    }

    /// Fails every call that has not begun.
    pub(crate) fn fail_queued(&mut self, error: impl Fn(&Call) -> TaskError) {
        for slot in 0..self.members.len() {
            self.collect(slot);
            self.take_back(slot, usize::MAX);
        }
        for call in std::mem::take(&mut self.backlog) {
            if !call.completion.is_done() {
                self.fill(&call, Outcome::Failed(error(&call)));
            }
        }
        self.stale = 0;
    }

    /// Cancels every call that has not begun.
    pub(crate) fn cancel_queued(&mut self) {
        self.fail_queued(|call| TaskError::new(TaskErrorKind::Cancelled, call.task_name()));
    }

    /// Cancels what has not begun, kills what has: to be followed by the workers' end.
    pub(crate) fn kill_all(&mut self) {
        self.cancel_queued();
        for member in self.members.iter_mut().flatten() {
            member.kill(Sentence::OnRequest);
        }
        self.fail_placed(killed);
    }

    /// Fails every call that lies in the ring of a worker, of which the process is told.
    fn fail_placed(&mut self, error: impl Fn(&Call, Option<u32>) -> TaskError) {
        for slot in 0..self.members.len() {
            let Some(member) = self.member(slot) else {
                continue;
            };
            let pid = member.pid;
            for placed in member.clear() {
                let outcome = Outcome::Failed(error(&placed.call, pid));
                self.fill(&placed.call, outcome);
            }
        }
    }

    /// Ends the executor's service for a reason: all calls fail with it.
    pub(crate) fn break_down(&mut self, reason: Arc<Breakdown>) {
        if matches!(self.gate, Gate::Broken(_)) {
            return;
        }
        let error = |call: &Call| {
            TaskError::new(TaskErrorKind::PoolBroken, call.task_name())
                .caused_by(Arc::<Breakdown>::clone(&reason))
        };
        self.fail_queued(error);
        self.fail_placed(|call, _| error(call));
        self.gate = Gate::Broken(reason);
    }

    /// Takes a worker out that has died: its answers count, what had not begun is dealt anew, and
    /// what had begun is given back, to be failed once it is known how the worker ended.
    pub(crate) fn bury(&mut self, slot: usize) -> Option<(Member, Vec<Call>)> {
        self.collect(slot);
        self.moved(slot);
        let mut member = self.members.get_mut(slot)?.take()?;
        let mut again = Vec::new();
        let mut begun = Vec::new();
        for mut placed in member.clear() {
            // Taken back, not just looked at: a worker that is given up on may live yet.
            if !member.revoke(&placed) {
                begun.push(placed.call);
                continue;
            }
            placed.call.suspicions += u8::from(begun.is_empty() && again.is_empty());
            if placed.call.pinned || placed.call.suspicions > MAX_SUSPICIONS {
                begun.push(placed.call);
            } else {
                again.push(placed.call);
            }
        }
        self.requeue(again);
        Some((member, begun))
    }
}

/// Whether the worker is awake and has next to nothing before it. One that has not answered for a
/// while may be in a long call, whatever its pace was.
fn is_at_hand(member: &Member) -> bool {
    let work_left = member.work_left();
    member.is_awake() && (member.is_idle() || work_left.is_some_and(|work| work < WAKING))
}

/// How many calls the worker may have before it.
fn depth(member: &Member) -> usize {
    member.pace().map_or(1, |pace| {
        let calls = RING_TIME.as_nanos() / pace.as_nanos().max(1);
        usize::try_from(calls)
            .unwrap_or(MAX_DEPTH)
            .clamp(1, MAX_DEPTH)
    })
}

/// The events that the executor has to hear of from this worker.
fn wanted(member: &Member, hungry: bool, urgent: bool) -> u32 {
    // An idle worker may have to get over calls that were taken back before there is room.
    if member.is_idle() && !hungry {
        return 0;
    }
    let answer = if urgent { events::ANSWER } else { 0 };
    events::IDLE | answer | member.flow(hungry)
}

fn killed(call: &Call, pid: Option<u32>) -> TaskError {
    with_worker(TaskError::new(TaskErrorKind::Killed, call.task_name()), pid)
}

fn with_worker(error: TaskError, pid: Option<u32>) -> TaskError {
    match pid {
        Some(pid) => error.worker(pid),
        None => error,
    }
}

/// What a worker's answer means for the call's future.
fn outcome_of(call: &Call, status: Status, body: Bytes, pid: Option<u32>) -> Outcome {
    let failed = |kind| with_worker(TaskError::new(kind, call.task_name()), pid);
    let text = || String::from_utf8_lossy(&body).into_owned();
    Outcome::Failed(match status {
        Status::Returned => return Outcome::Returned(body),
        Status::Panicked => {
            let report: PanicReport = rmp_serde::from_slice(&body).unwrap_or_default();
            failed(TaskErrorKind::Panicked).panicked(report)
        }
        Status::ArgumentsUndecodable => failed(TaskErrorKind::Decode)
            .side(Side::Worker)
            .detail(text()),
        Status::OutputUnencodable => failed(TaskErrorKind::Encode)
            .side(Side::Worker)
            .detail(text()),
        Status::UnknownTask => failed(TaskErrorKind::UnknownTask).detail(text()),
    })
}
