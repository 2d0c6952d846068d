//! What the examples share: the photos that come with them.

use std::io;
use std::path::{Path, PathBuf};

/// The folder of the photos that come with the examples.
#[must_use]
pub fn photos_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("images")
}

/// The files in a folder (not in its subfolders), sorted by name.
///
/// ```
/// let photos = pool_examples::files_in(&pool_examples::photos_folder())?;
/// assert_eq!(photos.len(), 5);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = folder
        .read_dir()?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

/// The programs in the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
