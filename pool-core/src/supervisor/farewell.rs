//! The last call of workers that end in good order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_worker::fault::{self, Site};

use super::Supervisor;
use crate::calls::CallId;
use crate::driver::{Locked, Pool};
use crate::gate::Gate;
use crate::hook::Hook;
use crate::member::{Member, Sentence};
use crate::sys;

/// How often to look whether a worker has got over calls that were taken back, and so has room.
pub(super) const ROOM_LOOKED_FOR_EVERY: Duration = Duration::from_millis(1);

/// The last calls, once they were made.
pub(super) struct Farewell {
    /// When they have taken too long.
    deadline: Option<Instant>,
    /// Those that a worker has no room for yet, by its number.
    unsaid: Vec<(u64, CallId)>,
}

/// Hands the last calls over that there is room for, by the numbers of their workers.
pub(super) fn say(unsaid: &mut Vec<(u64, CallId)>, locked: &mut Locked<'_>) {
    let before = unsaid.len();
    unsaid.retain(|&(number, call)| match locked.find(number) {
        Some((slot, member)) if is_well(member) => !locked.place_own(slot, call),
        _ => {
            locked.let_go(call);
            false
        }
    });
    // A turn of an executor that is over wakes this thread again, so it has to have a reason.
    if unsaid.len() < before {
        locked.turn();
    }
}

impl Supervisor {
    /// Whether the workers of an executor that is over have made their last calls.
    pub(super) fn is_finished(&mut self, locked: &mut Locked<'_>) -> bool {
        let Some(hook) = &self.hooks.on_worker_exit else {
            return true;
        };
        if self.farewell.is_none() && matches!(locked.gate(), Gate::Closed) {
            fault::at(Site::Farewell);
            let allowed = self.hooks.exit_allowed();
            let mut unsaid = last_calls(hook, &self.pool, locked);
            unsaid.append(&mut self.retiring.unsaid);
            self.farewell = Some(Farewell {
                deadline: Instant::now().checked_add(allowed),
                unsaid,
            });
        }
        let Some(farewell) = &mut self.farewell else {
            return true;
        };
        say(&mut farewell.unsaid, locked);
        // A worker that is still being set up has nothing to say.
        let is_late = |member: &&Member| member.ready && !member.is_idle();
        let late = locked.members().filter(is_late).count();
        let late = late + farewell.unsaid.len();
        let is_overdue = farewell.deadline.is_some_and(|end| end <= Instant::now());
        if is_overdue && late > 0 {
            let text = format!("{hook} did not return in time in {late} workers, and was stopped");
            sys::tell(&text);
            for (_, call) in farewell.unsaid.drain(..) {
                locked.let_go(call);
            }
        }
        late == 0 || is_overdue
    }

    /// Lets go of last calls that nobody will make.
    pub(super) fn drop_last_calls(&mut self) {
        let farewell = self.farewell.take().map(|farewell| farewell.unsaid);
        let unsaid = farewell.into_iter().flatten();
        let mut locked = self.pool.lock();
        for (_, call) in unsaid.chain(self.retiring.unsaid.drain(..)) {
            locked.let_go(call);
        }
    }

    /// How long until the last calls are to be looked at.
    pub(super) fn farewell_time_left(&self, now: Instant) -> Option<Duration> {
        let Farewell { deadline, unsaid } = self.farewell.as_ref()?;
        let room = (!unsaid.is_empty()).then_some(ROOM_LOOKED_FOR_EVERY);
        let end = deadline.map(|deadline| deadline.saturating_duration_since(now));
        room.into_iter().chain(end).min()
    }
}

/// A last call for every worker that is there and well. One that fails is told on standard error, as
/// there is nobody left to be told.
fn last_calls(hook: &Hook, pool: &Arc<Pool>, locked: &mut Locked<'_>) -> Vec<(u64, CallId)> {
    let slots = 0..locked.slots();
    let call_of = |slot| {
        let member = locked.member(slot)?;
        if !is_well(member) || member.is_seen_off() {
            return None;
        }
        // It may come to be too old or too full meanwhile: it makes no other last call for that.
        member.see_off();
        let number = member.number;
        Some((number, last_call(hook, pool, locked, |_| {})?))
    };
    slots.filter_map(call_of).collect()
}

/// A last call of a worker, and what to do after it.
pub(super) fn last_call(
    hook: &Hook,
    pool: &Arc<Pool>,
    locked: &mut Locked<'_>,
    then: impl Fn(&mut Locked<'_>) + Send + Sync + 'static,
) -> Option<CallId> {
    let told = hook.clone();
    hook.call(pool, locked, move |pool, result| {
        if let Err(text) = result {
            sys::tell(&format!("{told} failed: {text}"));
        }
        then(&mut pool.lock());
    })
}

/// Whether the worker has come to life, as the fork server may yet have to tell, and nothing is
/// against it.
fn is_well(member: &Member) -> bool {
    member.told_pid().is_some() && member.ready && member.sentence == Sentence::None
}
