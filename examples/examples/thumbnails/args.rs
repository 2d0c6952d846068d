//! The command line of `thumbnails`.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

const USAGE: &str = "usage: thumbnails [IMAGES_DIR] [THUMBS_DIR] [--workers N] [--size WxH]";

/// What the command line asks for.
pub(crate) struct Arguments {
    /// The folder of the pictures.
    pub(crate) images: PathBuf,
    /// The folder that the thumbnails go to.
    pub(crate) thumbs: PathBuf,
    /// The number of worker processes; one per core unless given.
    pub(crate) workers: Option<usize>,
    /// The width and height, in pixels, that a thumbnail must fit into.
    pub(crate) size: (u32, u32),
}

impl Arguments {
    /// Reads the program's arguments.
    pub(crate) fn parse() -> Result<Self, String> {
        let mut workers = None;
        let mut size = (50, 50);
        let mut folders = Vec::new();
        let mut arguments = env::args_os().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--workers") => {
                    let number = value(&argument, arguments.next(), |text| text.parse().ok())?;
                    workers = Some(number);
                }
                Some("--size") => size = value(&argument, arguments.next(), parse_size)?,
                Some(option) if option.starts_with('-') => {
                    return Err(format!("unknown option {option}\n{USAGE}"));
                }
                _ => folders.push(PathBuf::from(argument)),
            }
        }

        let mut folders = folders.into_iter();
        let parsed = Self {
            images: folders.next().unwrap_or_else(pool_examples::photos_folder),
            thumbs: folders.next().unwrap_or_else(|| PathBuf::from("thumbs")),
            workers,
            size,
        };
        match folders.next() {
            Some(folder) => Err(format!(
                "one folder too many: {}\n{USAGE}",
                folder.display()
            )),
            None => Ok(parsed),
        }
    }
}

/// The value that follows an option.
fn value<T>(
    option: &OsString,
    text: Option<OsString>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, String> {
    let option = option.display();
    let text = text.ok_or_else(|| format!("{option} needs a value\n{USAGE}"))?;
    text.to_str()
        .and_then(parse)
        .ok_or_else(|| format!("{option} cannot be {}\n{USAGE}", text.display()))
}

/// `WxH` as a width and a height in pixels, both at least 1.
fn parse_size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    let size = (width.parse().ok()?, height.parse().ok()?);
    (size.0 > 0 && size.1 > 0).then_some(size)
}
