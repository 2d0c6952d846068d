//! How large an answer may be.
//!
//! The application says so before the worker exists, and keeps the number to itself as well. A worker
//! whose task returns more answers with a failure instead. One that sends more all the same has broken
//! the protocol, and is found out by the first frame, before any memory is set aside for the rest.

use std::sync::atomic::Ordering::Relaxed;

use super::{ApplicationEnd, Violation, WorkerEnd};
use crate::protocol::Status;

/// The most bytes of an answer that is no output: a panic's message, place and backtrace, or a text.
pub const MAX_FAILURE: u64 = 256 * 1024;

impl ApplicationEnd {
    /// Has the worker send no output of more than so many bytes, at least 1. To be called before the
    /// worker exists.
    pub fn limit_outputs(&mut self, bytes: u64) {
        self.max_output = bytes;
        let word = &self.segment.header().max_output.0;
        word.store(if bytes == u64::MAX { 0 } else { bytes }, Relaxed);
    }

    /// The most bytes of an output.
    pub fn max_output(&self) -> u64 {
        self.max_output
    }

    /// Refuses an answer of `size` bytes that is larger than it may be.
    pub(super) fn check_size(&self, status: Status, size: u64) -> Result<(), Violation> {
        let most = match status {
            Status::Returned => self.max_output,
            _ => MAX_FAILURE,
        };
        if size > most {
            return Err(Violation("an answer is larger than it may be"));
        }
        Ok(())
    }
}

impl WorkerEnd {
    /// The most bytes of an output that the application takes.
    pub fn max_output(&self) -> u64 {
        match self.segment.header().max_output.0.load(Relaxed) {
            0 => u64::MAX,
            bytes => bytes,
        }
    }
}
