//! What programs that measure have in common: which machine it was, quantiles, and results in the
//! repository's pages.

mod machine;
mod page;
mod picture;
mod quantile;
mod table;

pub use machine::Machine;
pub use page::write_between;
pub use picture::picture;
pub use quantile::quantile;
pub use table::aligned;

/// Whatever went wrong.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
