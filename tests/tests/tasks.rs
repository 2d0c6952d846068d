//! Tasks as the registry knows them: found by type and by name, called through bytes.

use std::{any::TypeId, borrow::Borrow};

use pool_core::{AnyError, Task, TaskRef, task, task_ref};
use pool_tests_dependency as dependency;
use pool_worker::{
    CallError, TaskEntry,
    codec::{Encoded, Source},
    registry::registry,
};

/// The registered entry of `task`.
fn entry<F: Task<S>, S>(task: F) -> &'static TaskEntry {
    let id = task.entry().expect("the task is registered");
    registry().entry(id)
}

/// Calls `task` as a worker would.
fn call<F: Task<S>, S>(task: F, args: impl Borrow<F::Args>) -> F::Output {
    let mut arguments = Encoded::default();
    (task.encoder().borrowed)(args.borrow(), &mut arguments).unwrap();
    let mut output = Encoded::default();
    entry(task).call(arguments.source(), &mut output).unwrap();
    (task.decoder().decode)(output.source()).unwrap()
}

/// Values of these bytes.
fn source(bytes: &[u8]) -> Source<'_> {
    Source::new(bytes, &mut [])
}

/// Calls `task` for each of `inputs`.
fn map<F: Task<S>, S>(task: F, inputs: impl IntoIterator<Item = F::Args>) -> Vec<F::Output> {
    inputs.into_iter().map(|args| call(task, args)).collect()
}

#[task]
fn nothing() {}

#[task]
fn seven() -> u8 {
    7
}

#[task]
fn cube(x: i64) -> i64 {
    x * x * x
}

#[task]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[task]
fn pair((a, b): (u8, u8)) -> u16 {
    u16::from(a) + u16::from(b)
}

#[task]
fn parse(text: String) -> Result<i32, AnyError> {
    Ok(text.parse()?)
}

#[task]
#[expect(clippy::too_many_arguments, clippy::many_single_char_names, reason = "as many as may be")]
#[rustfmt::skip]
fn sixteen(
    a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8,
    i: u8, j: u8, k: u8, l: u8, m: u8, n: u8, o: u8, p: String,
) -> String {
    let sum: u8 = [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o].iter().sum();
    format!("{sum}{p}")
}

#[task(name = "with a name")]
fn named(mut list: Vec<u32>) -> Vec<u32> {
    list.reverse();
    list
}

mod module {
    #[pool_core::task]
    pub(super) const fn not(x: bool) -> bool {
        !x
    }
}

#[task]
fn panics(text: String) {
    panic!("{text}");
}

#[test]
fn the_signature_is_inferred() {
    call(nothing, ());
    assert_eq!(call(seven, ()), 7);
    assert_eq!(call(cube, 5), 125);
    assert_eq!(call(add, (1, 2)), 3);
    assert_eq!(call(pair, (1, 2)), 3);
    assert_eq!(call(parse, "12".to_owned()), Ok(12));
    assert!(call(parse, "x".to_owned()).is_err());
    assert_eq!(map(cube, 0..4), [0, 1, 8, 27]);
    assert_eq!(map(add, [1, 2].into_iter().zip([3, 4])), [4, 6]);
    assert_eq!(call(named, vec![1, 2, 3]), [3, 2, 1]);
    assert!(call(module::not, false));
    let text = "!".to_owned();
    let args = (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, text);
    assert_eq!(call(sixteen, args), "15!");
}

#[test]
fn the_function_stays_a_function() {
    assert_eq!(cube(3), 27);
    assert_eq!([1, 2].map(cube), [1, 8]);
    let cube = cube(2);
    assert_eq!(cube, 8);
    const { assert!(module::not(false)) };
}

#[test]
fn references_are_chosen_at_run_time() {
    #[task]
    fn negate(x: i64) -> i64 {
        -x
    }
    let table: [TaskRef<i64, i64>; 2] = [task_ref(cube), task_ref(negate)];
    assert_eq!(table.map(|task| call(task, 2)), [8, -2]);
    assert_eq!(map(table[0], 1..3), [1, 8]);
    assert_eq!(call(task_ref(add), (1, 2)), 3);
    assert_eq!(format!("{:?}", table[0]), "TaskRef(tasks::cube)");
    assert_eq!(call(task_ref(table[0]), 2), 8);
}

#[test]
fn the_default_name_is_the_path() {
    assert_eq!(entry(cube).name(), "tasks::cube");
    assert_eq!(entry(module::not).name(), "tasks::module::not");
    assert_eq!(
        entry(dependency::twice).name(),
        "pool_tests_dependency::twice"
    );
    assert_eq!(entry(dependency::inner::sum).name(), "dependency/sum");
    let place = entry(cube).place();
    assert!(place.file().ends_with("tasks.rs"), "{place}");
}

#[test]
fn names_and_types_lead_to_one_entry() {
    for &name in registry().names() {
        let entry = registry().by_name(name).unwrap();
        let id = registry().lookup(entry.type_id()).unwrap();
        assert_eq!(registry().name(id), name);
        assert!(std::ptr::eq(registry().entry(id), entry));
    }
    assert!(registry().names().is_sorted());
    assert!(registry().by_name("with a name").is_some());
    assert!(registry().by_name("tasks::named").is_none());
    assert!(registry().lookup(TypeId::of::<i32>()).is_none());
    registry().check().unwrap();
}

/// Functions of one path, each of which is a task.
fn namesakes() -> [TaskRef<(), u8>; 4] {
    let first = {
        #[task]
        fn namesake() -> u8 {
            1
        }
        task_ref(namesake)
    };
    let second = {
        #[task]
        fn namesake() -> u8 {
            2
        }
        task_ref(namesake)
    };
    macro_rules! namesakes {
        ($($number:literal)*) => {
            [first, second, $({
                #[task]
                fn namesake() -> u8 {
                    $number
                }
                task_ref(namesake)
            }),*]
        };
    }
    namesakes!(3 4)
}

#[test]
fn colliding_default_names_get_their_place() {
    assert_eq!(namesakes().map(|task| call(task, ())), [1, 2, 3, 4]);
    let mut names = namesakes().map(|task| format!("{task:?}"));
    for name in &names {
        assert!(
            name.starts_with("TaskRef(tasks::namesakes::namesake@"),
            "{name}"
        );
        assert!(name.contains("tasks.rs:"), "{name}");
    }
    names.sort();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
}

#[test]
fn what_is_not_marked_is_unknown_by_name() {
    fn unmarked(x: i64) -> i64 {
        x
    }
    fn identity<T>(x: T) -> T {
        x
    }
    assert_eq!(
        unmarked.entry(),
        Err("tasks::what_is_not_marked_is_unknown_by_name::unmarked")
    );
    assert!(
        identity::<i64>
            .entry()
            .unwrap_err()
            .contains("identity<i64>")
    );
    assert!((|x: i64| x).entry().unwrap_err().contains("closure"));

    let text = registry().unknown_text("unmarked");
    assert!(text.contains("'unmarked'"), "{text}");
    assert!(text.contains("#[task]"), "{text}");
    assert!(text.contains("use that_crate as _;"), "{text}");
    assert!(text.contains("dependency/sum"), "{text}");
}

#[test]
fn wrong_bytes_are_refused_before_the_call() {
    let mut output = Encoded::default();
    for wrong in [&[][..], &[1], &[1, 2, 3], &[0xc1, 0xc1]] {
        let result = entry(add).call(source(wrong), &mut output);
        assert!(matches!(result, Err(CallError::Decode(_))), "{wrong:?}");
    }
    assert!(entry(nothing).call(source(&[1]), &mut output).is_err());
    assert!(output.bytes.is_empty());

    assert!((cube.decoder().decode)(source(&[1, 2])).is_err());
    assert!((cube.decoder().decode)(source(&[])).is_err());
}

#[test]
fn a_panic_unwinds_to_the_caller() {
    let panic = std::panic::catch_unwind(|| call(panics, "out of ink".to_owned())).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>().unwrap(), "out of ink");
}
