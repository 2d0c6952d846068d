use pool_core::Task;

fn submit<F: Task<S>, S>(_task: F, _args: F::Args) {}

fn main() {
    let owned = String::new();
    submit(move || owned.len(), ());
}
