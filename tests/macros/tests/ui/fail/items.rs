use pool_core::task;

#[task]
struct Unit;

#[task]
pub const LIMIT: u8 = 1;

#[task]
mod module {}

#[task]
impl Unit {}

trait Declares {
    #[task]
    fn declared(x: u8);
}

#[task]
static CLOSURE: fn() = || {};

fn main() {}
