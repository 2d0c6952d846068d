//! A crate that forbids what generated code is tempted to do, and shadows what it might name.
#![no_implicit_prelude]
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications, single_use_lifetimes)]

/// Shadows.
mod core {}
/// Shadows.
mod std {}
/// Shadows.
mod serde {}
/// Shadows.
mod inventory {}
/// Shadows.
mod pool_core {}

/// Shadows of types.
mod shadows {
    #![expect(dead_code)]
    pub(super) struct Result;
    pub(super) struct Option;
    pub(super) struct Vec;
    pub(super) struct String;
    pub(super) struct Some;
    pub(super) struct None;
    pub(super) struct Ok;
    pub(super) struct Err;
    pub(super) struct Box;
    pub(super) struct TaskEntry;
    pub(super) struct Arguments;
    pub(super) fn returned() {}
    pub(super) trait Fn {}
    pub(super) trait Into {}
    pub(super) trait From {}
}
#[expect(unused_imports)]
use shadows::*;

/// A constant of a name that generated code might bind.
#[expect(non_upper_case_globals)]
pub const encoded: i32 = 0;
/// A constant of a name that generated code might bind.
#[expect(non_upper_case_globals)]
pub const output: i32 = 0;
/// A constant of a name that generated code might bind.
#[expect(non_upper_case_globals)]
pub const args: i32 = 0;

#[::pool_core::task]
fn no_parameters() {}

#[::pool_core::task]
fn named_like_locals(__encoded: i32, __output: i32, __value0: i32, out: i32) -> i32 {
    __encoded + __output + __value0 + out
}

#[::pool_core::task]
fn __value0(x: i32) -> i32 {
    x
}

#[::pool_core::task]
fn __encoded(x: i32) -> i32 {
    x
}

#[::pool_core::task]
fn __output(x: i32) -> i32 {
    x
}

#[::pool_core::task(name = "text")]
fn text(x: ::std::string::String) -> ::std::result::Result<::std::string::String, ()> {
    ::std::result::Result::Ok(x)
}

/// A function of a macro's type.
macro_rules! of_type {
    ($name:ident, $ty:ty) => {
        #[::pool_core::task]
        fn $name(x: $ty) -> $ty {
            x
        }
    };
}
of_type!(of_unit, ());
of_type!(of_number, f64);

fn main() {
    #[::pool_core::task]
    fn inner((a, _): (i32, i32), [b, ..]: [i32; 3], mut c: i32, _: ()) -> i32 {
        c += 1;
        a + b + c
    }
    inner((1, 2), [1, 2, 3], 1, ());
    no_parameters();
    named_like_locals(encoded, output, args, 0);
    __value0(1);
    __encoded(1);
    __output(1);
    of_unit(());
    of_number(1.0);
    let _ = text(::std::string::String::new());
}
