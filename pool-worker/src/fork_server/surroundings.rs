//! What a fork server changes about itself for its workers to inherit.

use crate::protocol::Surroundings;
use crate::sys;
use std::path::Path;

impl Surroundings {
    /// Makes them this process's; the error says what cannot be, and the remedy.
    pub(super) fn take_up(&self) -> Result<(), String> {
        if let Some(directory) = &self.directory {
            std::env::set_current_dir(directory).map_err(|error| {
                format!(
                    "workers cannot work in {} ({error}): have `current_dir` name a directory \
                     that this user may enter",
                    Path::new(directory).display()
                )
            })?;
        }
        if let Some(processors) = &self.processors {
            sys::run_on(processors).map_err(|error| {
                format!(
                    "workers cannot run on the processors {processors:?} ({error}): have \
                     `cpu_affinity` name at least one that this process may use"
                )
            })?;
        }
        if self.nice != 0 {
            sys::be_nicer(self.nice).map_err(|error| {
                format!(
                    "workers cannot be {} nicer than the application ({error}): less than 0 takes \
                     the right CAP_SYS_NICE, or a higher RLIMIT_NICE",
                    self.nice
                )
            })?;
        }
        Ok(())
    }
}
