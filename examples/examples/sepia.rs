//! A filter over pictures, one task a picture: each is written in sepia into the working directory,
//! as `sepia_NAME`.
//!
//! Run it with `cargo run --release --example sepia -- IMAGE...`; without arguments it takes the
//! photos that come with the examples. Transparency is dropped. What fails is reported, and ends
//! the program with status 1 when the others are done.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use pool_core::{AnyError, Executor, task};

#[task]
fn apply_sepia_filter(picture: PathBuf) -> Result<String, AnyError> {
    let name = picture.file_name().unwrap_or_default().to_string_lossy();
    let output = format!("sepia_{name}");

    let bytes = fs::read(picture)?;
    let format = image::guess_format(&bytes)?;
    let mut image = image::load_from_memory_with_format(&bytes, format)?.into_rgb8();
    for pixel in image.pixels_mut() {
        pixel.0 = sepia(pixel.0);
    }
    match image.save_with_format(&output, format) {
        Ok(()) => Ok(output),
        Err(error) => Err(AnyError::new(format!("cannot write {output}: {error}"))),
    }
}

fn sepia([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let mix = |r: f64, g: f64, b: f64| {
        let tone = r * f64::from(red) + g * f64::from(green) + b * f64::from(blue);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the fraction is cut off and what is above 255 becomes 255, as wanted"
        )]
        let tone = tone as u8;
        tone
    };
    [
        mix(0.393, 0.769, 0.189),
        mix(0.349, 0.686, 0.168),
        mix(0.272, 0.534, 0.131),
    ]
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut pictures: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    if pictures.is_empty() {
        pictures = pool_examples::files_in(&pool_examples::photos_folder())?;
    }

    let executor = Executor::new()?;
    let mut processed = Vec::new();
    let mut status = ExitCode::SUCCESS;
    for (outcome, picture) in executor
        .map_ref(apply_sepia_filter, &pictures)
        .zip(&pictures)
    {
        match outcome.map_err(AnyError::from).flatten() {
            Ok(output) => processed.push(output),
            Err(error) => {
                eprintln!("{} failed: {error}", picture.display());
                status = ExitCode::FAILURE;
            }
        }
    }
    println!("Processed images: {processed:?}");
    Ok(status)
}
