#![expect(unused, reason = "what is refused is never run")]
use pool_core::{Task, task_ref};

fn submit<F: Task<S>, S>(_task: F, _args: F::Args) {}

fn borrows(text: &str) -> usize {
    text.len()
}

fn returns_borrowed(text: String) -> &'static str {
    ""
}

struct Own;

#[pool_core::task]
fn cube(x: i64) -> i64 {
    x
}

fn main() {
    submit(borrows, "text");
    submit(returns_borrowed, String::new());
    submit(5, ());
    submit(cube, "text");
    submit(cube, (1, 2));
    submit(|x| x, 1);
    let owned = String::new();
    submit(move || owned.len(), ());
    task_ref(Own);
}
