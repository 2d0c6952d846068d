#![expect(unused, reason = "what is refused is never run")]
use pool_core::{Task, task_ref};

fn submit<F: Task<S>, S>(_task: F, _args: F::Args) {}

struct Own;

#[pool_core::task]
fn cube(x: i64) -> i64 {
    x
}

fn main() {
    submit(5, ());
    submit(cube, "text");
    submit(cube, (1, 2));
    task_ref(Own);
}
