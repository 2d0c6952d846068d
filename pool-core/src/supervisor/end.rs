//! The end of an executor that nobody serves any more, however it came to that.

use std::sync::Arc;
use std::thread;

use crate::driver::Pool;
use crate::gate::Breakdown;

/// Fails every call, wherever it is: some are nowhere, if something was in the middle of changing them.
fn fail_all(pool: &Pool, reason: &str) {
    let mut locked = pool.lock();
    locked.break_down(Arc::new(Breakdown(reason.into())));
    locked.fail_all();
}

/// Leaves nothing of an executor that could not be started.
pub(crate) fn abandon(pool: &Pool) {
    fail_all(pool, "it could not be started");
    drop(pool.lock().dismiss());
    pool.notifier().finish(None);
}

/// Tells everybody that the supervising thread is at its end, however it came to that.
pub(super) struct End(pub(super) Arc<Pool>);

impl Drop for End {
    fn drop(&mut self) {
        if thread::panicking() {
            let reason = "its supervising thread panicked, which is a bug of this library";
            fail_all(&self.0, reason);
        }
        let mut locked = self.0.lock();
        locked.end();
        drop(locked.dismiss());
    }
}
