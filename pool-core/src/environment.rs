//! The environment that workers get.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use pool_worker::entry::MARKER;

use crate::error::Error;

/// A process's variables.
pub(crate) type Variables = Vec<(OsString, OsString)>;

/// By these, libraries are told how many threads to start where nobody asks for a number.
const THREADS: [&str; 3] = [
    "OMP_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TOKIO_WORKER_THREADS",
];

/// What is different in the environment of workers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    clear: bool,
    /// Variables that are set, or taken out.
    variables: BTreeMap<OsString, Option<OsString>>,
}

impl Changes {
    pub(crate) fn set(&mut self, name: OsString, value: Option<OsString>) {
        self.variables.insert(name, value);
    }

    pub(crate) fn clear(&mut self) {
        self.clear = true;
        self.variables.clear();
    }

    /// Leaves nothing but what was set.
    pub(crate) fn keep_nothing_else(&mut self) {
        self.clear = true;
    }

    /// Refuses what no environment can hold.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        for (name, value) in &self.variables {
            let bytes = name.as_bytes();
            let refused = |why| {
                let name = name.display();
                Err(Error::invalid_option("env", format!("'{name}' {why}")))
            };
            if bytes.is_empty() || bytes.contains(&b'=') || bytes.contains(&0) {
                return refused("is no name of a variable; leave '=' and NUL out");
            }
            if value
                .as_deref()
                .is_some_and(|value| value.as_bytes().contains(&0))
            {
                return refused("has a value with a NUL byte, which would end it");
            }
            if name == OsStr::new(MARKER) {
                return refused("is how fork servers are told from applications; leave it alone");
            }
        }
        Ok(())
    }

    /// The environment of workers, from what that of this process is now. Where a worker's share of
    /// the cores, at least 1, is less than all of them, libraries with threads are told so, unless
    /// somebody else has told them.
    pub(crate) fn apply(&self, workers: usize, cores: usize) -> Variables {
        let mut variables: BTreeMap<OsString, OsString> = if self.clear {
            BTreeMap::new()
        } else {
            env::vars_os().collect()
        };
        let share = (cores / workers).max(1);
        if share < cores {
            for name in THREADS {
                let share = || share.to_string().into();
                variables.entry(name.into()).or_insert_with(share);
            }
        }
        for (name, value) in &self.variables {
            match value {
                Some(value) => variables.insert(name.clone(), value.clone()),
                None => variables.remove(name),
            };
        }
        variables.into_iter().collect()
    }
}
