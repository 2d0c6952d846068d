//! The function's attributes are kept, and its registration follows those that concern it.
#![deny(warnings)]

use pool_core::task;
use serde::{Deserialize, Serialize};

#[task]
#[cfg(any())]
fn absent(x: Missing) -> Missing {
    x
}

#[cfg(any())]
#[task]
fn absent(x: Missing) -> Missing {
    x
}

#[task]
#[cfg_attr(unix, cfg(any()), inline)]
fn absent(x: Missing) -> Missing {
    x
}

#[task]
#[cfg_attr(unix, cfg_attr(unix, cfg(any())))]
fn absent(x: Missing) -> Missing {
    x
}

#[task]
#[cfg(unix)]
fn absent() -> u8 {
    1
}

#[task]
#[deprecated]
#[inline(never)]
fn old() {}

#[task]
#[cfg_attr(unix, deprecated(note = "old"))]
fn also_old() {}

#[deprecated]
#[derive(Serialize, Deserialize)]
#[allow(deprecated)]
struct Old;

#[task]
#[allow(deprecated)]
fn with_old_type(x: Old) -> Old {
    x
}

#[task]
#[expect(deprecated)]
fn with_expected_old_type(x: Old) -> Old {
    x
}

#[must_use]
#[task]
fn must_be_used() -> u8 {
    1
}

#[task]
#[allow(non_snake_case, unused_variables)]
fn NotSnake(UPPER: i32) {
    let unused = 1;
}

#[task]
const fn constant() -> u8 {
    1
}
const ONE: u8 = constant();

#[task]
#[track_caller]
fn tracked() {}

#[task]
fn r#type(r#match: u8) -> u8 {
    r#match
}

#[derive(Serialize, Deserialize)]
enum Never {}

#[task]
fn ends() -> Never {
    panic!("at once")
}

#[task]
#[must_use = "it may fail"]
fn result(x: u8) -> Result<u8, String> {
    x.checked_add(1).ok_or_else(|| "too much".to_owned())
}

#[task]
#[expect(clippy::needless_pass_by_value)]
fn owned(text: String) -> usize {
    text.len()
}

fn main() {
    assert_eq!(absent() + must_be_used() + ONE, 3);
    assert_eq!(r#type(1), 1);
    assert_eq!(result(0), Ok(1));
    assert_eq!(owned("1".to_owned()), 1);
    NotSnake(1);
    tracked();
    let _ = (ends, with_old_type, with_expected_old_type);
    #[allow(deprecated)]
    let _ = (old, also_old);
}
