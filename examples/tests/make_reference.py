"""Makes what the tests compare with, by Pillow: python3 make_reference.py (tested with Pillow 13.0)."""

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageFilter

PHOTOS = Path(__file__).parent.parent / "images"
REFERENCE = Path(__file__).parent / "reference"
BOUNDS = [(50, 50), (61, 37)]
SIZES = [(1, 400), (400, 1), (7, 500), (50, 51), (99, 100), (101, 67), (149, 53), (60, 40), (61, 37), (333, 202), (20, 30)]


def save_thumbnail(photo, folder):
    """The pixels of the thumbnail as they are after saving in the photo's format."""
    with Image.open(photo) as picture:
        thumbnail = picture.filter(ImageFilter.GaussianBlur())
    thumbnail.thumbnail((50, 50))
    saved = Path(folder) / photo.name
    thumbnail.save(saved)
    with Image.open(saved) as picture:
        picture.save(REFERENCE / f"{photo.name}.png", optimize=True)


def size_line(size, bounds):
    """A picture's size, the bounds, and the size of its thumbnail."""
    picture = Image.new("L", size)
    picture.thumbnail(bounds)
    return " ".join("{}x{}".format(*each) for each in (size, bounds, picture.size))


def sepia(photo):
    """The bytes of the photo in sepia, by the arithmetic of Python."""
    with Image.open(photo) as picture:
        data = picture.convert("RGB").tobytes()
    toned = bytearray()
    for r, g, b in zip(data[0::3], data[1::3], data[2::3]):
        toned.append(min(int(0.393 * r + 0.769 * g + 0.189 * b), 255))
        toned.append(min(int(0.349 * r + 0.686 * g + 0.168 * b), 255))
        toned.append(min(int(0.272 * r + 0.534 * g + 0.131 * b), 255))
    return toned


def fnv1a(data):
    """The 64-bit FNV-1a checksum."""
    checksum = 0xCBF29CE484222325
    for byte in data:
        checksum = (checksum ^ byte) * 0x100000001B3 % 2**64
    return checksum


def main():
    REFERENCE.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        for photo in sorted(PHOTOS.iterdir()):
            save_thumbnail(photo, folder)
    sizes = [size_line(size, bounds) for bounds in BOUNDS for size in SIZES]
    (REFERENCE / "sizes.txt").write_text("\n".join(sizes) + "\n")
    checksums = [f"{photo.name} {fnv1a(sepia(photo)):016x}" for photo in sorted(PHOTOS.glob("*.png"))]
    (REFERENCE / "sepia.txt").write_text("\n".join(checksums) + "\n")


main()
