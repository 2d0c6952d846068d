//! The `#[task]` attribute of the `pool-core` process pool, which re-exports it.
//!
//! `accept` says what may be a task, `expand` what is made of it.
#![forbid(unsafe_code)]

mod accept;
mod errors;
mod expand;
mod function;
mod options;

use proc_macro::TokenStream;

/// Makes a free function a task: something that an executor's workers can run.
///
/// The function stays exactly as it is: it can still be called, handed to `Iterator::map`,
/// shadowed and documented. Beside it, it is registered under its name, so that workers find it.
///
/// ```
/// use pool_core::task;
///
/// #[task]
/// fn cube(x: i64) -> i64 {
///     x * x * x
/// }
///
/// assert_eq!(cube(3), 27);
/// ```
///
/// # What may be a task
///
/// A free function of 0 to 16 parameters, all owned and, like what it returns, known to serde
/// (`Serialize + DeserializeOwned + 'static`): `String` in place of `&str`, `PathBuf` in place of
/// `&Path`, `Vec<T>` or `Shared<[T]>` in place of `&[T]`. It may be private, `const`, generic over
/// nothing, and stand anywhere: in a module, inside another function, in a library. It may return a
/// `Result`, and fail; `AnyError` stands for errors that serde does not know.
///
/// Methods, and `async`, `unsafe`, `extern` and generic functions are refused.
///
/// # Options
///
/// - `name = "..."`: the task's name in errors and between processes, which else is the path of the
///   function. No two tasks of a program may be given the same one.
/// - `crate = path`: where `pool_core` is found, if not at `::pool_core`; for crates that re-export
///   it.
///
/// ```
/// mod facade {
///     pub use pool_core;
/// }
///
/// #[facade::pool_core::task(name = "thumbs/shrink", crate = facade::pool_core)]
/// fn shrink(pixels: Vec<u8>, by: usize) -> Vec<u8> {
///     pixels.into_iter().step_by(by).collect()
/// }
///
/// assert_eq!(shrink(vec![1, 2, 3], 2), [1, 3]);
/// ```
#[proc_macro_attribute]
pub fn task(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::task(options.into(), &item.into()).into()
}
