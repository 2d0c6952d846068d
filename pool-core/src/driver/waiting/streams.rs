//! How a thread drives a large value to its worker, or from it.

use std::time::Instant;

use pool_worker::channel::{Patience, events};

use super::super::{Locked, Pool};
use crate::calls::CallId;

impl Pool {
    /// Hears of the worker that has the call for as long as a large value is on its way there or
    /// back: by looking where that is of use, else asleep.
    pub(super) fn drive_stream<'a>(
        &'a self,
        mut locked: Locked<'a>,
        id: CallId,
        deadline: Option<Instant>,
    ) {
        let Some((slot, member)) = locked.holder(id) else {
            return;
        };
        let number = member.number;
        if member.attend().is_none() {
            return self.sleep_on_call(locked, id, deadline);
        }
        while deadline.is_none_or(|deadline| Instant::now() < deadline) {
            let hungry = locked.queued() > 0;
            // The call may have moved to another worker, which this thread does not attend.
            let Some((_, member)) = locked
                .holder(id)
                .filter(|(_, member)| member.number == number && member.is_in_stream())
            else {
                break;
            };
            let doorbell = member.doorbell();
            if member.patience.is_worth_while() {
                member.silence();
                drop(locked);
                let found = self.as_spinner(|| Patience::look(|| doorbell.has_news()));
                locked = self.lock();
                if let Some((_, member)) = locked.holder(id) {
                    member.patience.learn(found);
                }
            } else {
                let count = doorbell.count();
                if !member.arm_doorbell(events::ANSWER | member.flow(hungry)) {
                    drop(locked);
                    let left =
                        deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                    doorbell.sleep(count, left);
                    locked = self.lock();
                }
            }
            locked.turn();
        }
        // Another worker may sit in the slot by now.
        if let Some(member) = locked.member(slot).filter(|member| member.number == number) {
            member.leave();
        }
        locked.turn();
    }
}
