#![expect(unused, reason = "what is refused is never run")]
use pool_core::task;
use std::path::Path;

#[task]
fn text(text: &str) {}

#[task]
fn path(path: &Path, os: &std::ffi::OsStr, c: &std::ffi::CStr) {}

#[task]
fn slice(list: &[u8], floats: &[Option<f64>]) -> &'static str {
    ""
}

#[task]
fn nested(maybe: Option<&str>, pair: (u8, Vec<&'static u8>)) {}

#[task]
fn mutable(list: &mut Vec<u8>, map: &std::collections::HashMap<String, u8>) {}

fn main() {}
