//! Workers that have nothing to do, and end after a while.
//!
//! Nobody keeps a timer for each. The supervising thread sleeps until the first of those that are
//! idle has been so for long enough; whoever leaves a worker idle wakes it only if it does not. Idle
//! workers that get something to do meanwhile cost it one look in vain.

use std::time::Instant;

use super::Scheduler;
use crate::member::Member;
use crate::sys;

impl Scheduler {
    /// Whether workers that come to be idle may have to end.
    #[inline]
    pub(super) fn may_let_idle_go(&self) -> bool {
        let size = &self.staff.size;
        size.idle_timeout.is_some() && self.staff.present > size.least()
    }

    /// How many of those that serve are more than are kept.
    fn spare(&self) -> usize {
        let serving = self.members().filter(|member| member.is_in_service());
        serving.count().saturating_sub(self.staff.size.least())
    }

    /// Since when the worker has been idle, if it is.
    fn idle_since(&self, member: &Member) -> Option<Instant> {
        // It may have to get over calls that were taken back before there is room for those that wait.
        let waiting = self.queued() + self.bound.len();
        member.idle_since().filter(|_| waiting == 0)
    }

    /// When the first worker will have been idle for too long.
    pub(crate) fn idle_alarm(&self) -> Option<Instant> {
        if !self.may_let_idle_go() || self.spare() == 0 {
            return None;
        }
        let since = self.members().filter_map(|member| self.idle_since(member));
        since.min()?.checked_add(self.staff.size.idle_timeout?)
    }

    /// Has workers end that have been idle for too long, as far as more are there than are kept.
    pub(crate) fn retire_idle(&mut self) {
        if !self.may_let_idle_go() {
            return;
        }
        let Some(timeout) = self.staff.size.idle_timeout else {
            return;
        };
        let now = sys::now();
        let is_over = |since: Instant| now.saturating_duration_since(since) >= timeout;
        for _ in 0..self.spare() {
            let idle = self
                .members
                .iter()
                .enumerate()
                .filter_map(|(slot, member)| {
                    let since = self.idle_since(member.as_ref()?)?;
                    is_over(since).then_some((since, std::cmp::Reverse(slot)))
                });
            let Some((_, slot)) = idle.min() else {
                return;
            };
            self.retire(slot.0);
        }
    }

    /// Whether a worker is idle of whom the supervising thread does not know.
    #[inline]
    pub(crate) fn has_unseen_idle(&self) -> bool {
        self.may_let_idle_go() && !self.staff.looks_for_idle && self.idle_alarm().is_some()
    }

    /// The supervising thread is about to sleep until [`idle_alarm`](Self::idle_alarm).
    pub(crate) fn arm_idle_alarm(&mut self) {
        self.staff.looks_for_idle = self.idle_alarm().is_some();
    }
}
