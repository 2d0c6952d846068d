//! Every way to end an executor.

use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use pool_worker::fault::{self, Site};

use super::Executor;
use crate::gate::Gate;

/// How much longer callbacks may run once [`Executor::kill`] has killed the workers, of which many of them
/// are only told then.
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

    /// Takes no new calls, waits for what is pending at most for `timeout`, and then
    /// [kills](Self::kill). `true` if all was done in time, callbacks included.
    pub fn shutdown_timeout(&self, timeout: Duration) -> bool {
        self.close();
        let in_time = self.wait_ended(Instant::now().checked_add(timeout));
        if !in_time {
            self.kill();
        }
        in_time
    }

    /// Takes no new calls and cancels what has not begun; returns at once. What runs comes to its end.
    ///
    /// ```
    /// use std::{thread, time::Duration};
    ///
    /// use pool_core::{Executor, TaskErrorKind, task};
    ///
    /// #[task]
    /// fn nap(milliseconds: u64) {
    ///     thread::sleep(Duration::from_millis(milliseconds));
    /// }
    ///
    /// let executor = Executor::builder().workers(1).build()?;
    /// let naps: Vec<_> = (0..20).map(|_| executor.submit(nap, 20)).collect();
    /// executor.close_now();
    /// assert!(executor.is_closed());
    /// let ended: Vec<_> = naps.into_iter().map(|nap| nap.result()).collect();
    /// let error = ended.last().unwrap().as_ref().unwrap_err();
    /// assert_eq!(error.kind(), TaskErrorKind::Cancelled);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_now(&self) {
        let mut locked = self.pool.lock();
        locked.close();
        locked.cancel_queued();
        locked.turn();
    }

    /// Whether no calls are taken any more: it was closed or shut down, or is broken.
    pub fn is_closed(&self) -> bool {
        !matches!(self.pool.lock().gate(), Gate::Open)
    }

    /// Takes no new calls, cancels what has not begun, and waits for what runs.
    pub fn shutdown_now(&self) {
        self.close_now();
        self.wait_ended(None);
    }

    /// Kills the workers and returns when they are gone. What has not begun is cancelled, what runs
    /// yields [`Killed`](crate::TaskErrorKind::Killed); results that have arrived count. Callbacks are
    /// waited for, but no longer than a second: one that takes longer is left to itself then, with those
    /// behind it, also by [`shutdown`](Self::shutdown) and by dropping. Called from a callback, or by a
    /// waker, it neither waits for any nor gives any up.
    pub fn kill(&self) {
        let mut locked = self.pool.lock();
        locked.close();
        locked.kill_all();
        locked.turn();
        drop(locked);
        self.pool.wait_ended(None);
        self.finish(Instant::now().checked_add(CALLBACKS_WITHIN));
        self.pool.notifier().give_up();
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
