//! The targets under libFuzzer: the variable `POOL_FUZZ_TARGET` names one.

#![no_main]

use std::env;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<pool_fuzz::Target> = LazyLock::new(|| {
    let name = env::var("POOL_FUZZ_TARGET").expect("POOL_FUZZ_TARGET names a target");
    pool_fuzz::target(&name).expect("there is such a target")
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
