"""Portraits: upright, opaque, of a bounded size."""

import struct
import zlib

import numpy as np
import pytest

from afjax.errors import InputError
from afjax.media.image import read_portrait

Image = pytest.importorskip("PIL.Image")


def corner(height=100, width=160) -> np.ndarray:
    picture = np.full((height, width, 3), 20, np.uint8)
    picture[: height // 2, : width // 2] = 220
    return picture


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.avif", "a.tif", "a.gif"])
def test_formats(tmp_path, name):
    Image.fromarray(corner()).save(tmp_path / name)
    read = read_portrait(tmp_path / name)
    assert read.dtype == np.uint8 and read.shape == (100, 160, 3)
    assert np.abs(read.astype(int) - corner()).mean() < 4


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.avif"])
@pytest.mark.parametrize(("tag", "turns", "mirrored"), [
    (1, 0, False), (2, 0, True), (3, 2, False), (4, 2, True), (5, 3, True), (6, 3, False), (7, 1, True), (8, 1, False),
])  # fmt: skip
def test_exif_orientation(tmp_path, name, tag, turns, mirrored):
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(corner()).save(tmp_path / name, exif=exif, quality=95)
    upright = np.rot90(corner(), turns)
    upright = upright[:, ::-1] if mirrored else upright
    read = read_portrait(tmp_path / name)
    assert read.shape == upright.shape and np.abs(read.astype(int) - upright).mean() < 4


def test_a_broken_tag_is_no_broken_picture(tmp_path):
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 9
    Image.fromarray(corner()).save(tmp_path / "a.jpg", quality=95, exif=exif)
    assert read_portrait(tmp_path / "a.jpg").shape == (100, 160, 3)


def test_a_jpeg_without_its_end_is_read_and_one_without_its_lower_half_is_not(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg", quality=90)
    data = (tmp_path / "a.jpg").read_bytes()
    whole = read_portrait(tmp_path / "a.jpg")
    for missing in (2, 1):
        (tmp_path / "b.jpg").write_bytes(data[:-missing])
        np.testing.assert_array_equal(read_portrait(tmp_path / "b.jpg"), whole)
    for share in (0.5, 0.9):
        (tmp_path / "c.jpg").write_bytes(data[: round(len(data) * share)])
        with pytest.raises(InputError, match="damaged"):
            read_portrait(tmp_path / "c.jpg")


def test_a_heic_that_can_t_be_read_is_told(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))
    with pytest.raises(InputError, match="pi-heif|damaged|not a") as caught:
        read_portrait(tmp_path / "a.heic")
    assert "a.heic" in str(caught.value)


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_transparency_lies_over_white(tmp_path, name):
    rgba = np.zeros((80, 80, 4), np.uint8)
    rgba[:40, :, 3] = 255
    Image.fromarray(rgba).save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    read = read_portrait(tmp_path / name)
    assert read[:40].max() == 0 and read[40:].min() == 255


def test_other_modes(tmp_path):
    ramp = np.linspace(0, 65_535, 100 * 100).reshape(100, 100).astype(np.uint16)
    for name in ("deep.png", "deep.tif"):
        Image.fromarray(ramp).save(tmp_path / name)
        np.testing.assert_allclose(read_portrait(tmp_path / name)[..., 0], ramp / 257, atol=1.1)
    Image.fromarray(corner()).convert("CMYK").save(tmp_path / "cmyk.jpg")
    assert np.abs(read_portrait(tmp_path / "cmyk.jpg").astype(int) - corner()).mean() < 6


def test_large_pictures_are_scaled(tmp_path):
    Image.new("RGB", (3000, 1500), "red").save(tmp_path / "a.jpg")
    assert read_portrait(tmp_path / "a.jpg", max_side=500).shape == (250, 500, 3)


def bomb(path):
    """A PNG of a few bytes whose header asks for 60,000 x 60,000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")))


def cut(path):
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    Image.fromarray(noise).save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:5000])


BAD = {
    "missing": (lambda path: None, "no such file"),
    "empty": (lambda path: path.touch(), "empty"),
    "directory": (lambda path: path.mkdir(), "directory"),
    "text": (lambda path: path.write_text("words " * 100), "not a JPEG"),
    "1 x 1": (lambda path: Image.new("RGB", (1, 1)).save(path, format="PNG"), "too small"),
    "20,000 px": (lambda path: Image.new("1", (20_000, 20_000)).save(path, format="PNG"), "too large|12000 px"),
    "long strip": (lambda path: Image.new("L", (20_000, 100)).save(path, format="PNG"), "too large"),
    "bomb": (bomb, "12000 px"),
    "cut off": (cut, "damaged"),
    "postscript": (lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 90 90\n"), "not a JPEG"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files(tmp_path, case):
    make, message = BAD[case]
    path = tmp_path / "face.jpg"
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        read_portrait(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def swapped_profile():
    """An ICC profile of RGB whose first channel is sRGB's blue and whose third is its red, with a gamma of 2.2."""
    red, green, blue = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)

    def xyz(values):
        return b"XYZ " + bytes(4) + b"".join(round(value * 65536).to_bytes(4, "big") for value in values)

    curve = b"curv" + bytes(4) + (1).to_bytes(4, "big") + round(2.2 * 256).to_bytes(2, "big") + bytes(2)
    tags = {b"rXYZ": xyz(blue), b"gXYZ": xyz(green), b"bXYZ": xyz(red), b"wtpt": xyz((0.9642, 1.0, 0.8249))}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    tags[b"desc"] = b"desc" + bytes(4) + (2).to_bytes(4, "big") + b"x\0" + bytes(78)
    tags[b"cprt"] = b"text" + bytes(4) + b"none\0" + bytes(3)
    start, table, data = 128 + 4 + 12 * len(tags), len(tags).to_bytes(4, "big"), b""
    for name, value in tags.items():
        table += name + (start + len(data)).to_bytes(4, "big") + len(value).to_bytes(4, "big")
        data += value + bytes(-len(value) % 4)
    head = (start + len(data)).to_bytes(4, "big") + bytes(4) + bytes((2, 32, 0, 0)) + b"mntrRGB XYZ "
    head += bytes(12) + b"acsp" + bytes(28) + xyz((0.9642, 1.0, 0.8249))[8:] + bytes(48)
    return head + table + data


def test_colours_are_read_by_their_profile(tmp_path):
    picture = np.zeros((80, 80, 3), np.uint8) + np.array([200, 60, 30], np.uint8)
    Image.fromarray(picture).save(tmp_path / "swapped.png", icc_profile=swapped_profile())
    Image.fromarray(picture).save(tmp_path / "broken.png", icc_profile=b"no profile")
    np.testing.assert_allclose(read_portrait(tmp_path / "swapped.png")[40, 40], (30, 60, 200), atol=6)
    np.testing.assert_array_equal(read_portrait(tmp_path / "broken.png"), picture)
    over = Image.fromarray(np.dstack([picture, np.full((80, 80), 255, np.uint8)]))
    over.putpixel((0, 0), (0, 0, 0, 0))
    over.save(tmp_path / "over.png", icc_profile=swapped_profile())
    read = read_portrait(tmp_path / "over.png")
    np.testing.assert_allclose(read[40, 40], (30, 60, 200), atol=6)
    np.testing.assert_array_equal(read[0, 0], 255)
    Image.fromarray(picture).save(tmp_path / "key.png", icc_profile=swapped_profile(), transparency=(200, 60, 30))
    np.testing.assert_array_equal(read_portrait(tmp_path / "key.png"), 255)
    few = Image.fromarray(picture).convert("P", palette=Image.Palette.ADAPTIVE)
    few.save(tmp_path / "few.png", icc_profile=swapped_profile())
    np.testing.assert_allclose(read_portrait(tmp_path / "few.png")[40, 40], (30, 60, 200), atol=6)
