//! What became of the calls of a storm.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What became of the calls, and of their pool.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) calls: u64,
    pub(crate) completed: u64,
    /// How many failed, by what they failed with.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Calls that were neither when nothing happened any more.
    pub(crate) never: u64,
    pub(crate) kills: u64,
    /// Failures that no kill explains; of other pools, those beyond one for each kill.
    #[serde(default)]
    pub(crate) neighbours: u64,
    /// Whether a call went well afterwards.
    pub(crate) usable: bool,
    /// Whether the pool could be shut down in time.
    pub(crate) ended: bool,
    pub(crate) seconds: f64,
    /// Processes that outlived the application.
    #[serde(default)]
    pub(crate) left: u64,
}

impl Outcome {
    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    pub(crate) fn count_failure(&mut self, how: String) {
        *self.failed.entry(how).or_default() += 1;
    }

    /// Whether nothing was lost but what was killed itself.
    pub(crate) fn is_unharmed(&self) -> bool {
        self.never == 0
            && self.neighbours == 0
            && self.failures() <= self.kills
            && self.completed + self.failures() == self.calls
            && self.usable
            && self.ended
            && self.left == 0
    }
}
