//! `pool_core` under another path, in any form that a path has.
mod facade {
    pub use pool_core as pool;
}
use facade::pool::task;

mod inner {
    #[crate::task(crate = crate::facade::pool)]
    pub fn from_crate(x: u8) -> u8 {
        x
    }
    #[super::task(name = "from super", crate = super::facade::pool,)]
    pub fn from_super(x: u8) -> u8 {
        x
    }
}

#[task(crate = ::pool_tests_dependency::pool_core, name = "absolute")]
fn absolute(x: u8) -> u8 {
    x
}

fn main() {
    assert_eq!(inner::from_crate(1) + inner::from_super(1) + absolute(1), 3);
}
