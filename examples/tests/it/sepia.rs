use std::fs;
use std::path::Path;

use crate::support::{example, finish};

/// The 64-bit FNV-1a checksum.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |checksum, byte| {
        (checksum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[test]
fn every_pixel_is_as_in_python() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let finished = finish(example("sepia").current_dir(&folder));
    assert!(finished.succeeded, "{finished:?}");
    assert_eq!(
        finished.stdout,
        "Processed images: [\"sepia_astronaut.png\", \"sepia_chelsea.png\", \"sepia_coffee.png\", \
         \"sepia_hubble_deep_field.jpg\", \"sepia_rocket.jpg\"]\n"
    );
    for line in include_str!("../reference/sepia.txt").lines() {
        let (photo, expected) = line.split_once(' ').expect("a name and a checksum");
        let toned = image::open(folder.path().join(format!("sepia_{photo}"))).expect("a picture");
        assert_eq!(
            format!("{:016x}", checksum(&toned.into_rgb8())),
            expected,
            "{photo}"
        );
    }
    for photo in ["sepia_hubble_deep_field.jpg", "sepia_rocket.jpg"] {
        let bytes = fs::read(folder.path().join(photo)).expect("a picture");
        assert_eq!(
            image::guess_format(&bytes).ok(),
            Some(image::ImageFormat::Jpeg),
            "{photo}"
        );
    }
}

#[test]
fn a_faulty_picture_costs_no_other() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("text.jpg"), "no picture").expect("a file");
    let photo = pool_examples::photos_folder().join("chelsea.png");
    let finished = finish(
        example("sepia")
            .current_dir(&folder)
            .args(["text.jpg", "none.png"])
            .arg(photo),
    );
    assert!(!finished.succeeded, "{finished:?}");
    assert_eq!(
        finished.stdout,
        "Processed images: [\"sepia_chelsea.png\"]\n"
    );
    assert!(
        finished.stderr.contains("text.jpg failed: "),
        "{finished:?}"
    );
    assert!(
        finished.stderr.contains("none.png failed: "),
        "{finished:?}"
    );
    assert!(!Path::exists(&folder.path().join("sepia_text.jpg")));
}
