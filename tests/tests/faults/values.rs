//! Arguments and results of every size and shape, and limits to them.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use pool_core::{Executor, TaskError, TaskErrorKind, task};
use pool_tests::{
    builder, executor, fails_with, isolated, maps, pattern, resident,
    suite::pids,
    tasks::{add, bytes, count, cube, nothing, sum, zeros},
};
use serde::{Deserialize, Serialize};

/// The bytes of a vector of so many, as they cross: its length stands before them.
const fn encoded(len: usize) -> usize {
    8 + len
}

#[test]
fn f41_arguments_that_are_too_large_are_refused_at_once() {
    isolated(|| {
        for most in [100, 10_000, 1 << 20] {
            let executor = builder(1).max_args(most).build().unwrap();
            let fitting = pattern(most - encoded(0));
            let excess = pattern(most - encoded(0) + 1);
            let is_refused = |result: Result<usize, TaskError>| {
                let error = fails_with(result, TaskErrorKind::TooLarge);
                assert_eq!(error.size(), Some(most as u64 + 1), "{error}");
                assert_eq!(error.size_limit(), Some(most as u64));
                assert!(!error.started() && error.worker_pid().is_none());
                let text = error.to_string();
                assert!(text.contains(&most.to_string()) && text.contains("max_args"));
            };
            is_refused(executor.submit(count, excess.clone()).result());
            is_refused(executor.submit_ref(count, &excess).result());
            is_refused(executor.try_submit(count, excess.clone()).unwrap().result());
            for call in executor.broadcast(count, excess.clone()) {
                is_refused(call.result());
            }
            let inputs = || [&fitting, &excess, &fitting].map(Vec::clone);
            for results in [
                executor.map(count, inputs()).collect::<Vec<_>>(),
                executor.map_ref(count, &inputs()).collect(),
            ] {
                let [first, second, third] = <[_; 3]>::try_from(results).unwrap();
                assert_eq!(first.unwrap(), fitting.len());
                is_refused(second);
                assert_eq!(third.unwrap(), fitting.len());
            }
            assert_eq!(
                executor.submit(count, fitting.clone()).result().unwrap(),
                fitting.len()
            );
            let failures = executor.stats().failed_with(TaskErrorKind::TooLarge);
            assert_eq!(failures, 6);
            // What is shared is passed as a handle.
            let shared = executor.share_slice(&vec![1; 2 << 20]).unwrap();
            assert_eq!(executor.submit(sum, shared).result().unwrap(), 2 << 20);
        }
    });
}

#[test]
fn f42_a_result_that_is_too_large_costs_its_call_alone() {
    isolated(|| {
        for most in [100, 10_000, 1 << 20] {
            let executor = builder(1).max_result(most as u64).build().unwrap();
            let worker = pids(&executor);
            let fitting = most - encoded(0);
            for len in [fitting + 1, 3 * most, 8 << 20] {
                let error = fails_with(
                    executor.submit(zeros, len).result(),
                    TaskErrorKind::TooLarge,
                );
                assert_eq!(error.size(), Some(encoded(len) as u64), "{error}");
                assert_eq!(error.size_limit(), Some(most as u64));
                assert!(error.started());
                let text = error.to_string();
                assert!(text.contains("max_result"), "{text}");
                let result = executor.submit(zeros, fitting).result();
                assert_eq!(result.unwrap().len(), fitting);
            }
            let mut results = executor.map(zeros, [1, fitting + 1, 2]);
            assert_eq!(results.next().unwrap().unwrap().len(), 1);
            fails_with(results.next().unwrap(), TaskErrorKind::TooLarge);
            assert_eq!(results.next().unwrap().unwrap().len(), 2);
            assert_eq!(pids(&executor), worker, "it goes on");
        }
    });
}

#[task]
fn succeed(times: u32) -> Result<(), String> {
    if times == 0 {
        return Err("not once".into());
    }
    Ok(())
}

#[task]
fn panic_at_length(len: usize) -> u8 {
    panic!("{}", "x".repeat(len))
}

#[test]
fn f42_what_a_task_says_when_it_fails_is_no_result() {
    isolated(|| {
        let fine = builder(1).max_result(64).initializer(succeed, 1);
        let executor = fine.build().unwrap();
        executor.submit(nothing, ()).result().unwrap();
        let error = fails_with(
            executor.submit(panic_at_length, 1 << 20).result(),
            TaskErrorKind::Panicked,
        );
        assert_eq!(error.panic_message().map(str::len), Some(64 << 10));
    });
}

#[test]
fn f42_limits_that_are_none() {
    isolated(|| {
        for refused in [
            Executor::builder().max_result(63),
            Executor::builder().max_result_depth(129),
        ] {
            let text = refused.build().unwrap_err().to_string();
            assert!(text.contains("max_result"), "{text}");
        }
        let builder = builder(1).max_args(usize::MAX).max_result(u64::MAX);
        let builder = builder.max_result_elements(usize::MAX);
        let executor = builder.max_result_memory(usize::MAX).build().unwrap();
        let sent = pattern(3 << 20);
        let result = executor.submit(bytes, sent.clone()).result().unwrap();
        assert!(result == sent);
        maps(&executor, 1000);
    });
}

/// A list in a list in a list, so deep.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nested(Vec<Nested>);

impl Nested {
    fn of_depth(depth: usize) -> Self {
        (0..depth).fold(Self(Vec::new()), |inner, _| Self(vec![inner]))
    }
}

#[task]
fn nest(depth: usize) -> Nested {
    Nested::of_depth(depth)
}

#[task]
fn take_nested(_nested: Nested) {}

#[test]
fn f44_what_is_nested_too_deep_is_refused_on_either_side() {
    isolated(|| {
        // A newtype and a list at each level.
        let executor = builder(1).max_result_depth(20).build().unwrap();
        let worker = pids(&executor);
        assert_eq!(
            executor.submit(nest, 9).result().unwrap(),
            Nested::of_depth(9)
        );
        let error = fails_with(executor.submit(nest, 10).result(), TaskErrorKind::Decode);
        assert!(error.to_string().contains("20 levels"), "{error}");
        assert!(error.to_string().contains("max_result_depth"), "{error}");
        fails_with(executor.submit(nest, 100).result(), TaskErrorKind::Encode);
        let sent = executor.submit(take_nested, Nested::of_depth(100));
        let error = fails_with(sent.result(), TaskErrorKind::Encode);
        assert!(!error.started());
        executor
            .submit(take_nested, Nested::of_depth(60))
            .result()
            .unwrap();
        assert_eq!(pids(&executor), worker);
    });
}

/// Nothing in a byte, and 300 bytes of memory.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Wide {
    #[serde(skip_serializing_if = "Option::is_none")]
    seldom: Option<u8>,
    #[serde(skip)]
    _cold: Option<[u64; 32]>,
}

#[task]
fn wide(count: usize) -> Vec<Wide> {
    (0..count).map(|_| Wide::default()).collect()
}

#[test]
fn f42_few_bytes_do_not_become_much_memory() {
    isolated(|| {
        let executor = builder(1).max_result_elements(10_000).build().unwrap();
        assert_eq!(
            executor.submit(wide, 10_000).result().unwrap().len(),
            10_000
        );
        let before = resident();
        for _ in 0..3 {
            let call = executor.submit(wide, 1_000_000);
            let error = fails_with(call.result(), TaskErrorKind::Decode);
            assert!(error.to_string().contains("10000 elements"), "{error}");
            assert!(error.to_string().contains("max_result_elements"), "{error}");
            assert!(error.started());
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < 32 << 20, "{grown} bytes");
    });
}

#[test]
fn f42_values_take_no_more_memory_than_they_may() {
    isolated(|| {
        let most = 1 << 20;
        let executor = builder(1).max_result_memory(most).build().unwrap();
        let worker = pids(&executor);
        // Each counts as an element, and for what is in it.
        let fitting = most / (2 * size_of::<Wide>());
        let is_refused = |result: Result<Vec<Wide>, TaskError>| {
            let error = fails_with(result, TaskErrorKind::Decode);
            let text = error.to_string();
            assert!(text.contains("more memory than") && text.contains("1048576 bytes"));
            assert!(text.contains("set a higher max_result_memory"), "{text}");
            assert!(error.started());
        };
        let [first, second, third] = <[_; 3]>::try_from(
            executor
                .map(wide, [fitting, 2 * fitting, 1])
                .collect::<Vec<_>>(),
        )
        .unwrap();
        assert_eq!(first.unwrap().len(), fitting);
        is_refused(second);
        assert_eq!(third.unwrap().len(), 1);
        is_refused(executor.submit(wide, 2 * fitting).result());
        is_refused(pollster::block_on(executor.submit(wide, 2 * fitting)));
        assert_eq!(pids(&executor), worker, "it goes on");
        let wider = builder(1).max_result_memory(2 * most).build().unwrap();
        let result = wider.submit(wide, 2 * fitting).result();
        assert_eq!(result.unwrap().len(), 2 * fitting);
    });
}

#[task]
fn lines(count: u32) -> Vec<(u32, String)> {
    (0..count).map(|line| (line, line.to_string())).collect()
}

#[test]
fn f42_what_bytes_are_worth_is_always_allowed() {
    isolated(|| {
        let fine = builder(1).max_result_memory(0).initializer(succeed, 1);
        let executor = fine.build().unwrap();
        let listed = executor.submit(lines, 10_000).result().unwrap();
        assert_eq!(listed, lines(10_000));
        let sent = pattern(3 << 20);
        assert!(executor.submit(bytes, sent.clone()).result().unwrap() == sent);
        let error = fails_with(executor.submit(wide, 1).result(), TaskErrorKind::Decode);
        assert!(error.to_string().contains("max_result_memory"), "{error}");
    });
}

#[task]
fn echo_name(name: OsString) -> OsString {
    name
}

#[task]
fn echo_path(path: PathBuf) -> PathBuf {
    path
}

#[task]
fn panic_with(text: String) {
    panic!("{text}");
}

#[test]
fn f48_names_that_are_no_text_and_texts_that_are_no_names() {
    isolated(|| {
        let executor = executor(1);
        let odd = OsString::from_vec(vec![b'a', 0xff, 0xfe, b'\n', 0x1b]);
        let back = executor.submit(echo_name, odd.clone()).result().unwrap();
        assert_eq!(back.as_bytes(), odd.as_bytes());
        // serde writes paths as text, and none that is not.
        let error = fails_with(
            executor.submit(echo_path, odd.into()).result(),
            TaskErrorKind::Encode,
        );
        assert!(error.to_string().contains("UTF-8"), "{error}");
        let text = "über\u{1b}[31m\nforged line";
        let error = fails_with(
            executor.submit(panic_with, text.into()).result(),
            TaskErrorKind::Panicked,
        );
        assert_eq!(error.panic_message(), Some(text));
        let shown = error.to_string();
        assert!(!shown.contains(['\n', '\u{1b}']), "{shown}");
        assert!(shown.contains("über"), "{shown}");
    });
}

#[task]
fn nothing_at_all(_unit: (), _list: Vec<()>, text: String) -> (Vec<u8>, Option<()>, String) {
    (Vec::new(), None, text)
}

#[test]
fn f49_values_of_no_size() {
    isolated(|| {
        let executor = executor(1);
        executor.submit(nothing, ()).result().unwrap();
        let call = executor.submit(nothing_at_all, ((), vec![(); 3], String::new()));
        assert_eq!(call.result().unwrap(), (Vec::new(), None, String::new()));
        assert_eq!(executor.submit(zeros, 0).result().unwrap(), [0_u8; 0]);
        assert_eq!(executor.submit(count, Vec::new()).result().unwrap(), 0);
        assert_eq!(executor.map(cube, []).count(), 0);
        assert_eq!(executor.submit(add, (0, 0)).result().unwrap(), 0);
    });
}

#[test]
fn f62_a_hundred_thousand_calls_that_wait_take_no_descriptor_each() {
    isolated(|| {
        let executor = executor(1);
        let scratch = pool_tests::Scratch::new();
        let (held, gate) = pool_tests::suite::held(&executor, &scratch);
        // A call may run before the application has taken in that its worker is there.
        assert_eq!(executor.worker_pids().len(), 1);
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let threads = pool_tests::threads_with_executor();
        let (descriptors, before) = (open(), resident());
        let calls: Vec<_> = (0..100_000).map(|x| executor.submit(cube, x)).collect();
        let each = resident().saturating_sub(before) / calls.len();
        assert!(each < 300, "{each} bytes for each");
        assert_eq!(open(), descriptors);
        assert_eq!(pool_tests::threads(), threads);
        gate.open();
        held.result().unwrap();
        for (x, call) in (0..).zip(calls) {
            assert_eq!(call.result().unwrap(), cube(x));
        }
    });
}
