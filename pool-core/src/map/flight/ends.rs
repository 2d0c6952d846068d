//! What ends the calls of a map before their time.

use super::{Flight, Item};
use crate::terms::Deadline;

impl Flight {
    /// Has all calls in flight done by then.
    pub(super) fn set_deadline(&self, deadline: Option<Deadline>) {
        if self.items.is_empty() {
            return;
        }
        let mut locked = self.pool.lock();
        for Item { id, .. } in self.items.iter().flatten() {
            locked.set_deadline(*id, deadline);
        }
        locked.turn();
    }

    /// Cancels the calls that have not begun.
    pub(super) fn cancel(&self) {
        let mut locked = self.pool.lock();
        for Item { id, .. } in self.items.iter().flatten() {
            let _ = locked.cancel(*id);
        }
        locked.turn();
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.items.is_empty() || self.pool.is_copy() {
            return;
        }
        // Nobody but its map has ever waited for them. Dropped after the lock.
        let mut forgotten = Vec::new();
        let mut locked = self.pool.lock();
        for Item { id, .. } in self.items.drain(..).flatten() {
            forgotten.append(&mut locked.forget(id, |_| true));
            if self.kill_on_drop {
                locked.stop(id);
            } else {
                let _ = locked.cancel(id);
            }
            locked.release(id);
        }
        locked.turn();
    }
}
