//! The catalogue of faults: each test bears the number of its row in `tests/README.md`, which names
//! tests elsewhere for rows that are covered there.

#[path = "faults/resources.rs"]
mod resources;
#[path = "faults/task.rs"]
mod task;
#[path = "faults/values.rs"]
mod values;
#[path = "faults/worker.rs"]
mod worker;
