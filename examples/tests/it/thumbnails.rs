use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use image::{ImageFormat, RgbImage};
use tempfile::TempDir;

use crate::support::{Finished, example, finish};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn thumbnails(images: &Path, thumbs: &Path, options: &[&str]) -> Finished {
    finish(example("thumbnails").args([images, thumbs]).args(options))
}

fn names(folder: &Path) -> BTreeSet<String> {
    let files = pool_examples::files_in(folder).expect("a folder");
    let names = files.iter().map(|file| file.file_name().expect("a name"));
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// The mean difference of two pictures of one size, in steps of 255.
fn mean_difference(one: &RgbImage, other: &RgbImage) -> f64 {
    let differences = one
        .iter()
        .zip(other.iter())
        .map(|(a, b)| f64::from(a.abs_diff(*b)));
    let count = u32::try_from(one.len()).expect("a thumbnail is small");
    differences.sum::<f64>() / f64::from(count)
}

fn size(text: &str) -> (u32, u32) {
    let (width, height) = text.split_once('x').expect("a width and a height");
    (
        width.parse().expect("a width"),
        height.parse().expect("a height"),
    )
}

#[test]
fn photos_become_what_pillow_makes_of_them() {
    let folder = folder();
    let finished = finish(example("thumbnails").current_dir(&folder));
    assert!(finished.succeeded, "{finished:?}");
    assert_eq!(finished.stderr, "");
    assert!(finished.stdout.contains("It took "), "{finished:?}");
    assert!(
        finished.stdout.ends_with(" second(s) to finish\n"),
        "{finished:?}"
    );

    let photos = pool_examples::photos_folder();
    let reference = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    assert_eq!(names(&folder.path().join("thumbs")), names(&photos));
    for name in names(&photos) {
        let line = format!("{} was processed...\n", photos.join(&name).display());
        assert!(finished.stdout.contains(&line), "{name}: {finished:?}");

        let bytes = fs::read(folder.path().join("thumbs").join(&name)).expect("a thumbnail");
        let format = image::guess_format(&bytes).expect("a picture");
        assert_eq!(ImageFormat::from_path(&name).ok(), Some(format), "{name}");
        let thumbnail = image::load_from_memory(&bytes)
            .expect("a picture")
            .into_rgb8();
        let expected = image::open(reference.join(format!("{name}.png")));
        let expected = expected.expect("a reference for every photo").into_rgb8();
        assert_eq!(thumbnail.dimensions(), expected.dimensions(), "{name}");
        let tolerance = if format == ImageFormat::Png { 4.0 } else { 8.0 };
        let difference = mean_difference(&thumbnail, &expected);
        assert!(difference <= tolerance, "{name}: {difference}");
    }
}

#[test]
fn sizes_are_rounded_as_by_pillow() {
    for bounds in ["50x50", "61x37"] {
        let (images, thumbs) = (folder(), folder());
        let lines = include_str!("../reference/sizes.txt").lines();
        let cases: Vec<Vec<&str>> = lines
            .map(|line| line.split(' ').collect())
            .filter(|case: &Vec<_>| case[1] == bounds)
            .collect();
        assert!(!cases.is_empty(), "{bounds}");
        for case in &cases {
            let (width, height) = size(case[0]);
            let path = images.path().join(format!("{}.png", case[0]));
            RgbImage::new(width, height).save(path).expect("a picture");
        }

        let options = ["--size", bounds, "--workers", "1"];
        let finished = thumbnails(images.path(), thumbs.path(), &options);
        assert!(finished.succeeded, "{finished:?}");
        for case in &cases {
            let path = thumbs.path().join(format!("{}.png", case[0]));
            let made = image::image_dimensions(path).expect("a thumbnail");
            assert_eq!(made, size(case[2]), "{case:?}");
        }
    }
}

#[test]
fn faulty_files_are_reported_and_the_rest_done() {
    let (images, thumbs) = (folder(), folder());
    let rocket = pool_examples::photos_folder().join("rocket.jpg");
    fs::copy(&rocket, images.path().join("rocket.jpg")).expect("a copy");
    let half = fs::read(pool_examples::photos_folder().join("coffee.png")).expect("a photo");
    fs::write(images.path().join("half.png"), &half[..half.len() / 2]).expect("a file");
    fs::write(images.path().join("text.jpg"), "no picture").expect("a file");
    fs::write(images.path().join("empty.png"), "").expect("a file");
    fs::write(images.path().join("notes.txt"), "no picture").expect("a file");
    fs::create_dir(images.path().join("folder.png")).expect("a folder");
    fs::copy(&rocket, images.path().join("blocked.jpg")).expect("a copy");
    fs::create_dir(thumbs.path().join("blocked.jpg")).expect("a folder");

    let finished = thumbnails(images.path(), thumbs.path(), &[]);
    assert!(!finished.succeeded, "{finished:?}");
    for name in ["half.png", "text.jpg", "empty.png", "blocked.jpg"] {
        assert!(
            finished.stderr.contains(&format!("{name} failed: ")),
            "{name}: {finished:?}"
        );
    }
    assert!(
        finished
            .stderr
            .contains("notes.txt is not named like a picture"),
        "{finished:?}"
    );
    assert!(
        finished.stdout.contains("rocket.jpg was processed..."),
        "{finished:?}"
    );
    assert!(finished.stdout.contains("It took "), "{finished:?}");
    assert_eq!(
        names(thumbs.path()),
        BTreeSet::from(["rocket.jpg".to_owned()])
    );
}

#[test]
fn a_file_not_named_like_a_picture_is_no_failure() {
    let (images, thumbs) = (folder(), folder());
    fs::write(images.path().join("notes.txt"), "no picture").expect("a file");
    let finished = thumbnails(images.path(), thumbs.path(), &[]);
    assert!(finished.succeeded, "{finished:?}");
    assert!(names(thumbs.path()).is_empty());
}

#[test]
fn folders_that_cannot_serve_are_named() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "no folder").expect("a file");
    let missing = folder.path().join("missing");
    let photos = pool_examples::photos_folder();

    for (images, thumbs, culprit) in [
        (missing.as_path(), folder.path(), &missing),
        (&file, folder.path(), &file),
        (&photos, &file, &file),
        (&photos, &file.join("below"), &file.join("below")),
    ] {
        let finished = thumbnails(images, thumbs, &[]);
        assert!(!finished.succeeded, "{finished:?}");
        assert_eq!(finished.stdout, "");
        assert!(
            finished.stderr.contains(&*culprit.to_string_lossy()),
            "{finished:?}"
        );
    }
}

#[test]
fn pictures_are_never_overwritten() {
    let images = folder();
    let picture = images.path().join("rocket.jpg");
    fs::copy(pool_examples::photos_folder().join("rocket.jpg"), &picture).expect("a copy");
    let before = fs::read(&picture).expect("a picture");
    let finished = thumbnails(images.path(), &images.path().join("."), &[]);
    assert!(!finished.succeeded, "{finished:?}");
    assert_eq!(fs::read(&picture).expect("a picture"), before);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let thumbs = folder();
    for options in [
        &["--size", "50"][..],
        &["--size", "0x50"],
        &["--size", "50x-1"],
        &["--size", "50x50x50"],
        &["--size"],
        &["--workers", "many"],
        &["--workers", "-1"],
        &["--workers", "0"],
        &["--workers"],
        &["--worker", "1"],
        &["one folder too many"],
    ] {
        let finished = thumbnails(&pool_examples::photos_folder(), thumbs.path(), options);
        assert!(!finished.succeeded, "{options:?}: {finished:?}");
        assert!(
            finished.stderr.contains("worker"),
            "{options:?}: {finished:?}"
        );
        assert!(names(thumbs.path()).is_empty(), "{options:?}");
    }
}
