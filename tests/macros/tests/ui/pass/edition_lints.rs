//! Tasks in tests, in nested functions, and beside things of the same name.
#![deny(rust_2018_idioms, rust_2024_compatibility, nonstandard_style, future_incompatible, unused)]

use pool_core::{Task, TaskRef, task, task_ref};

fn run<F: Task<S>, S>(_task: F, _args: F::Args) -> Option<F::Output> {
    None
}

#[task]
fn pid() -> u32 {
    1
}

mod pid {
    #[pool_core::task]
    pub(crate) fn pid(x: u32) -> u32 {
        x
    }
}

#[cfg(test)]
mod tests {
    #[pool_core::task]
    fn in_tests() {}
}

fn main() {
    let _: Option<u32> = run(pid, ());
    let _: Option<u32> = run(pid::pid, 5);
    let _: Option<u64> = run(|a: u8, b: u16| u64::from(a) + u64::from(b), (1, 2));
    let pids: [TaskRef<(), u32>; 1] = [task_ref(pid)];
    let _: Option<u32> = run(pids[0], ());
    let pid = pid();
    assert_eq!(pid, 1);
    let closure = || {
        #[task]
        fn in_closure(x: u8) -> u8 {
            x
        }
        run(in_closure, 1)
    };
    assert_eq!(closure(), None);
}
