//! What futures and handles hold of a call.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use pool_worker::registry::TaskId;

use super::{Haste, Pool};
use crate::calls::{CallId, Outcome};
use crate::waiter::Waiter;

/// What came of a call, unless it was taken before, and what task it was of.
pub(crate) type Fate = (Option<TaskId>, Option<Outcome>);

/// A reference to a call of a pool, which keeps the call's slot.
///
/// It must not be dropped by whoever holds the pool's lock.
pub(crate) struct CallRef {
    pool: Arc<Pool>,
    id: CallId,
    released: bool,
    /// To drop it is to stop the call.
    kills: bool,
    /// It was polled before the call was done: a waker waits, which nobody else has put there.
    polled: bool,
}

impl CallRef {
    /// Takes over a reference that was counted before.
    pub(crate) fn new(pool: Arc<Pool>, id: CallId) -> Self {
        Self {
            pool,
            id,
            released: false,
            kills: false,
            polled: false,
        }
    }

    /// The same, which stops the call when it is dropped, if `kill`; its clones do not.
    pub(crate) fn kill_on_drop(mut self, kill: bool) -> Self {
        self.kills = kill;
        self
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn id(&self) -> CallId {
        self.id
    }

    /// Equal for references to one call, and for no others.
    pub(crate) fn identity(&self) -> (*const Pool, CallId) {
        (Arc::as_ptr(&self.pool), self.id)
    }

    /// Waits until the call is done; `false` if `deadline` came first.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> bool {
        self.pool.wait(self.id, Haste::AtOnce, deadline).is_some()
    }

    /// Whether the call is done; if not, `waker` is woken once it is, unless this is dropped before.
    pub(crate) fn poll_or_wake(&mut self, waker: &Waker) -> bool {
        let done = self.pool.poll_or_wake(self.id, waker);
        self.polled = !done;
        done
    }

    /// Takes the outcome, if the call is done.
    pub(crate) fn take(&self) -> Fate {
        let mut locked = self.pool.lock();
        (locked.call(self.id).task(), locked.take(self.id))
    }

    /// Waits for the outcome, and gives the reference up for it.
    #[inline]
    pub(crate) fn redeem(mut self) -> Fate {
        let Some(mut locked) = self.pool.wait(self.id, Haste::AtOnce, None) else {
            return (None, None);
        };
        let task = locked.call(self.id).task();
        let outcome = locked.redeem(self.id);
        drop(locked);
        // Taken before, there is nothing to give the reference up for yet.
        self.released = outcome.is_some();
        (task, outcome)
    }
}

impl Clone for CallRef {
    fn clone(&self) -> Self {
        self.pool.lock().retain(self.id);
        Self::new(Arc::clone(&self.pool), self.id)
    }
}

impl Drop for CallRef {
    fn drop(&mut self) {
        if !self.released && !self.pool.is_copy() {
            // Dropped after the lock.
            let mut forgotten = Vec::new();
            let mut locked = self.pool.lock();
            if self.polled {
                // Workers would hurry for nobody, and what is woken could not be dropped.
                let is_waker = |waiter: &Waiter| matches!(waiter, Waiter::Future(_));
                forgotten.append(&mut locked.forget(self.id, is_waker));
            }
            if self.kills && !locked.call(self.id).is_done() {
                locked.stop(self.id);
                // Also where that came too late: calls behind it may have been taken back.
                locked.turn();
            }
            locked.release(self.id);
        }
    }
}
