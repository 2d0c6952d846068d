use pool_core::{Task, TaskRef, task_ref};

fn submit<F: Task<S>, S>(task: F, _args: F::Args) {
    let _: TaskRef<F::Args, F::Output> = task_ref(task);
}

fn cube(x: i64) -> i64 {
    x
}

fn main() {
    let factor = 3;
    submit(move |x: i64| x * factor, 5);
    submit(cube as fn(i64) -> i64, 5);
}
