#![expect(unused, reason = "what is refused is never run")]
use pool_core::task;
use serde::{Deserialize, Serialize};
use std::io;

struct Neither;

#[derive(Serialize)]
struct OnlySerialize;

#[derive(Deserialize)]
struct OnlyDeserialize;

#[derive(Serialize, Deserialize)]
struct Both<'a>(&'a str);

#[task]
fn neither(x: Neither) -> u8 {
    1
}

#[task]
fn half(a: u8, b: OnlySerialize, c: OnlyDeserialize) {}

#[task]
fn output(x: u8) -> Vec<Neither> {
    vec![]
}

#[task]
fn error(x: u8) -> Result<u8, io::Error> {
    Ok(x)
}

#[task]
fn borrows(x: Both<'static>) {}

fn main() {}
