//! Thumbnails of a folder of pictures: each is blurred, shrunk and saved by a task of its own.
//!
//! ```text
//! cargo run --release --example thumbnails -- [IMAGES_DIR] [THUMBS_DIR] [--workers N] [--size WxH]
//! ```
//!
//! Without arguments, the photos that come with the examples become thumbnails of at most 50x50
//! pixels in `thumbs`, on one worker process per core. A thumbnail keeps its picture's name, format
//! and proportions; a picture that is small already keeps its size. Files that are not named like
//! pictures are passed over. What fails is reported by name, and ends the program with status 1
//! when the others are done.

mod args;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use args::Arguments;
use image::ImageFormat;
use image::imageops::FilterType;
use pool_core::{AnyError, Executor, task};

/// The standard deviation of the Gaussian blur, in pixels.
const BLUR: f32 = 2.0;

#[task]
fn create_thumbnail(picture: PathBuf, size: (u32, u32), thumb: PathBuf) -> Result<(), AnyError> {
    let bytes = fs::read(picture)?;
    let format = image::guess_format(&bytes)?;
    let image = image::load_from_memory_with_format(&bytes, format)?.blur(BLUR);

    let (width, height) = fit((image.width(), image.height()), size);
    let image = image.resize_exact(width, height, FilterType::CatmullRom);
    image
        .save_with_format(&thumb, format)
        .map_err(|error| AnyError::new(format!("cannot write {}: {error}", thumb.display())))
}

/// The size nearest to the proportions of `size` that fits into `bounds`; never larger than `size`
/// itself.
fn fit(size: (u32, u32), bounds: (u32, u32)) -> (u32, u32) {
    if size.0 <= bounds.0 && size.1 <= bounds.1 {
        return size;
    }
    let (width, height) = (f64::from(bounds.0), f64::from(bounds.1));
    let aspect = f64::from(size.0) / f64::from(size.1);
    if width / height >= aspect {
        (
            nearest(height * aspect, |width| (aspect - width / height).abs()),
            bounds.1,
        )
    } else {
        (
            bounds.0,
            nearest(width / aspect, |height| (aspect - width / height).abs()),
        )
    }
}

/// The one of the two whole numbers around `length` that errs less, but at least 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number between 1 and the bound it was computed from"
)]
fn nearest(length: f64, error: impl Fn(f64) -> f64) -> u32 {
    let (below, above) = (length.floor(), length.ceil());
    let nearest = if error(above) < error(below) {
        above
    } else {
        below
    };
    nearest.max(1.0) as u32
}

/// Makes the thumbnails; says whether all succeeded.
fn create_thumbnails(arguments: Arguments) -> Result<bool, Box<dyn Error>> {
    let Arguments {
        images,
        thumbs,
        workers,
        size,
    } = arguments;
    let pictures = pictures_in(&images)?;
    fs::create_dir_all(&thumbs)
        .map_err(|error| format!("cannot create the folder {}: {error}", thumbs.display()))?;
    if fs::canonicalize(&images)? == fs::canonicalize(&thumbs)? {
        return Err("the thumbnails would overwrite the pictures: name another folder".into());
    }

    let mut executor = Executor::builder();
    if let Some(workers) = workers {
        executor = executor.workers(workers);
    }
    let executor = executor.build()?;

    let calls = pictures.iter().map(|picture| {
        let thumb = thumbs.join(picture.file_name().unwrap_or_default());
        (picture.clone(), size, thumb)
    });
    let mut all_succeeded = true;
    for (index, outcome) in executor.map(create_thumbnail, calls).unordered() {
        let picture = pictures[index].display();
        match outcome.map_err(AnyError::from).flatten() {
            Ok(()) => println!("{picture} was processed..."),
            Err(error) => {
                eprintln!("{picture} failed: {error}");
                all_succeeded = false;
            }
        }
    }
    Ok(all_succeeded)
}

/// The files of a folder that are named like pictures; the others are mentioned.
fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let files = pool_examples::files_in(folder)
        .map_err(|error| format!("cannot read the folder {}: {error}", folder.display()))?;
    let (pictures, others): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|file| ImageFormat::from_path(file).is_ok());
    for other in others {
        eprintln!(
            "{} is not named like a picture, passed over",
            other.display()
        );
    }
    Ok(pictures)
}

fn main() -> ExitCode {
    let start = Instant::now();
    let outcome = Arguments::parse()
        .map_err(Into::into)
        .and_then(create_thumbnails);
    match outcome {
        Ok(all_succeeded) => {
            println!(
                "It took {:.2} second(s) to finish",
                start.elapsed().as_secs_f64()
            );
            if all_succeeded {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("thumbnails: {error}");
            ExitCode::FAILURE
        }
    }
}
