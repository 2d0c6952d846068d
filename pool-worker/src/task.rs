//! Placeholder until the tasks land.

/// A task as registered.
#[derive(Debug)]
pub struct TaskEntry;
