//! The loop on a thread of the test, and whole worker processes.

mod process;
mod service;

use super::Resolved;
use crate::channel::{Answer, ApplicationEnd, Offer, Payload, events};
use crate::codec::{self, Encoded};
use crate::protocol::PanicReport;
use crate::registry::registry;
use crate::sys::fixture;
use crate::task_entry::{Arguments, TaskEntry, returned};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How long a test waits for what should happen at once.
const SOON: Duration = Duration::from_secs(20);

/// Registers tasks of one argument under their own names.
macro_rules! tasks {
    ($(fn $name:ident($argument:ident: $type:ty) $(-> $output:ty)? $body:block)*) => {
        $(
            fn $name($argument: $type) $(-> $output)? $body
            inventory::submit! {
                TaskEntry::new($name, |arguments, output| {
                    let mut arguments = Arguments::new(arguments);
                    let argument = arguments.take::<$type>()?;
                    arguments.finish()?;
                    returned($name(argument), output)
                })
                .named(stringify!($name))
            }
        )*
    };
}

tasks! {
    fn double(x: i64) -> i64 { x * 2 }

    fn repeat(count: usize) -> String { "x".repeat(count) }

    fn panic_with(message: String) { panic!("{message}") }

    fn panic_at_length(repeats: usize) { panic!("{}", "ü€".repeat(repeats)) }

    fn panic_with_number(number: u32) { std::panic::panic_any(number) }

    fn panic_with_bomb(_nothing: ()) { std::panic::panic_any(Bomb) }

    fn resume_with(message: String) { std::panic::resume_unwind(Box::new(message)) }

    fn catch_own_panic(message: String) -> bool {
        std::panic::catch_unwind(|| panic!("{message}")).is_err()
    }

    fn resume_after_another(message: String) {
        assert!(catch_own_panic("the first".into()));
        std::panic::resume_unwind(Box::new(message))
    }

    fn return_unencodable(_nothing: ()) -> Unencodable { Unencodable }

    fn overflow_stack(depth: u64) -> u64 { recurse(depth) }

    fn touch_nothing(_nothing: ()) { fixture::fault() }

    fn raise(signal: i32) { fixture::raise(signal) }

    fn end_thread(_nothing: ()) { fixture::end_thread() }

    fn exit(code: i32) { std::process::exit(code) }

    fn leave_at_fault(_nothing: ()) { fixture::leave_at_fault().unwrap() }

    fn panic_twice(message: String) {
        let _bomb = Bomb;
        panic!("{message}")
    }

    fn panic_through_c(repeats: usize) {
        extern "C" fn through(repeats: usize) {
            panic!("{}", "ü€".repeat(repeats))
        }
        through(repeats);
    }

    fn print(text: String) { print!("{text}") }

    fn panic_elsewhere(message: String) -> bool {
        std::thread::spawn(move || panic!("{message}")).join().is_err()
    }

    fn never_end(_nothing: ()) { loop { std::thread::park() } }
}

/// Panics when dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// A map of which the second value cannot be encoded.
#[derive(Deserialize)]
struct Unencodable;

impl Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{Error, SerializeMap};
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("first", &1)?;
        Err(S::Error::custom("the second value cannot be encoded"))
    }
}

#[expect(unconditional_recursion, reason = "it is to use up the stack")]
fn recurse(depth: u64) -> u64 {
    let block = std::hint::black_box([depth; 64]);
    recurse(depth + 1) + block[usize::from(depth.is_multiple_of(2))]
}

fn resolve(names: &[&str]) -> Vec<Resolved> {
    let resolve = |name: &&str| Resolved {
        name: (*name).to_owned(),
        entry: registry().by_name(name),
    };
    names.iter().map(resolve).collect()
}

/// Sends a call and wakes the worker.
fn call<T: Serialize + 'static>(end: &mut ApplicationEnd, task: u32, seq: u32, argument: &T) {
    let mut arguments = Encoded::default();
    codec::encode(argument, &mut arguments.bytes).unwrap();
    let arguments = Payload::take(&mut arguments, 0);
    assert!(matches!(end.offer(task, seq, &arguments), Offer::Placed(_)));
    end.wake();
}

/// The next answer.
fn answer(end: &mut ApplicationEnd) -> Answer {
    let deadline = Instant::now() + SOON;
    loop {
        let received = end.receive(|_, _| Vec::new()).unwrap();
        end.wake();
        if let Some(answer) = received {
            return answer;
        }
        let doorbell = end.doorbell(false);
        let count = doorbell.count();
        if !end.arm_doorbell(events::ANSWER | events::HALF_FULL) {
            let left = deadline.checked_duration_since(Instant::now());
            doorbell.sleep(count, Some(left.expect("no answer in time")));
        }
    }
}

fn decoded<T: serde::de::DeserializeOwned + 'static>(answer: &Answer) -> T {
    codec::decode(&mut answer.body.bytes()).unwrap()
}

fn report(bytes: &[u8]) -> PanicReport {
    rmp_serde::from_slice(bytes).unwrap()
}
