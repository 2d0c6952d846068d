#![expect(unused, reason = "what is refused is never run")]
use pool_core::Task;

fn submit<F: Task<S>, S>(_task: F, _args: F::Args) {}

fn borrows(text: &str) -> usize {
    text.len()
}

fn returns_borrowed(text: String) -> &'static str {
    ""
}

fn main() {
    submit(borrows, "text");
    submit(returns_borrowed, String::new());
}
