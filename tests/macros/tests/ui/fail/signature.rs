#![expect(unused, reason = "what is refused is never run")]
use pool_core::task;

struct Method;

impl Method {
    #[task]
    fn by_reference(&self) {}

    #[task]
    fn by_value(self, x: u8) {}
}

#[task]
async fn asynchronous() {}

#[task]
unsafe fn not_safe() {}

#[task]
extern "C" fn foreign() {}

#[task]
fn generic<T, const N: usize>(list: [T; N]) {}

#[task]
fn lifetime<'a>(text: std::borrow::Cow<'a, str>) {}

#[task]
fn opaque(list: impl Iterator<Item = u8>, maybe: Option<impl Copy>) -> impl Copy {}

#[task]
fn diverges() -> ! {
    panic!()
}

#[task]
unsafe extern "C" fn variadic(first: u8, ...) {}

#[task]
fn configured(#[cfg(unix)] x: u8) {}

#[task]
fn seventeen(
    a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8,
    i: u8, j: u8, k: u8, l: u8, m: u8, n: u8, o: u8, p: u8, q: u8, r: u8
) {}

#[task]
async unsafe fn all_at_once<T>(a: &str, b: impl Copy) -> &'static [T] {}

fn main() {}
