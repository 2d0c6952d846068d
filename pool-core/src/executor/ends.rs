//! Every way to end an executor.

use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use pool_worker::fault::{self, Site};

use super::Executor;

/// How much longer callbacks may run once [`Executor::shutdown_timeout`] has killed the workers, of which
/// many of them are only told then.
const CALLBACKS_WITHIN: Duration = Duration::from_secs(1);

impl Executor {
    /// Takes no new calls; returns at once. What was submitted is still run.
    pub fn close(&self) {
        fault::at(Site::Closes);
        let mut locked = self.pool.lock();
        locked.close();
        locked.turn();
    }

    /// Takes no new calls and waits for all that is pending, until no process is left and all callbacks
    /// have run, however long they take.
    ///
    /// Called from a callback, or by a waker, it does not wait for callbacks.
    pub fn shutdown(&self) {
        self.close();
        self.wait_ended(None);
    }

    /// Takes no new calls, waits for what is pending at most for `timeout`, and then kills.
    /// `true` if all was done in time, callbacks included; else these have a second more, after which
    /// they are left to run: dropping the executor waits for them. As to calls from callbacks, see
    /// [`shutdown`](Self::shutdown).
    pub fn shutdown_timeout(&self, timeout: Duration) -> bool {
        self.close();
        let in_time = self.wait_ended(Instant::now().checked_add(timeout));
        if !in_time {
            self.end_workers();
            self.pool.wait_ended(None);
            self.finish(Instant::now().checked_add(CALLBACKS_WITHIN));
        }
        in_time
    }

    /// Takes no new calls, cancels what has not begun, and waits for what runs.
    pub fn shutdown_now(&self) {
        let mut locked = self.pool.lock();
        locked.close();
        locked.cancel_queued();
        locked.turn();
        drop(locked);
        self.wait_ended(None);
    }

    /// Kills the workers and returns when they are gone. What has not begun is cancelled, what runs
    /// yields [`Killed`](crate::TaskErrorKind::Killed); results that have arrived count. Callbacks are
    /// waited for, as by [`shutdown`](Self::shutdown).
    pub fn kill(&self) {
        self.end_workers();
        self.wait_ended(None);
    }

    fn end_workers(&self) {
        let mut locked = self.pool.lock();
        locked.close();
        locked.kill_all();
        locked.turn();
    }

    /// Waits until no process of this executor is left, and ends its threads; `false` if `deadline`
    /// came first.
    fn wait_ended(&self, deadline: Option<Instant>) -> bool {
        self.pool.wait_ended(deadline) && self.finish(deadline)
    }

    /// Ends the threads of an executor without processes; `false` if `deadline` came first.
    fn finish(&self, deadline: Option<Instant>) -> bool {
        let mut supervisor = self
            .supervisor
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(supervisor) = supervisor.take() {
            // It has nothing left to do, and what panicked in it was reported.
            let _ = supervisor.join();
        }
        drop(supervisor);
        fault::at(Site::Ended);
        self.pool.notifier().finish(deadline)
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        if self.pool.is_copy() {
            // It is not this process's to end.
        } else if thread::panicking() {
            self.kill();
        } else {
            self.shutdown();
        }
    }
}
