"""Files with random metadata: read as they were made, or refused in one line; nothing is lost without a word.

Sound: container, codec, rate, channels of which some are silent or turned, sizes in headers, joined. Pictures: format,
mode, EXIF, profile, missing end. Videos: display matrix, rate, shape of pixels, start.
"""

import io
import struct
from fractions import Fraction

import numpy as np
import pytest

from afjax.errors import InputError
from afjax.media.audio import SoundReader
from afjax.media.image import read_portrait
from afjax.media.video import probe, read_frames

av = pytest.importorskip("av")
soundfile = pytest.importorskip("soundfile")
Image = pytest.importorskip("PIL.Image")
FRAME = 1 / 25
LOSSLESS = {"wav": "PCM_16", "flac": "PCM_16", "aiff": "PCM_24", "caf": "PCM_16", "w64": "PCM_16", "au": "FLOAT"}


def sound(rng, folder):
    """A tone in some of its channels; read at its length and pitch, at least a third as loud as its loudest channel."""
    kind, rate = rng.choice(list(LOSSLESS)), int(rng.choice([8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000]))
    seconds, hertz = float(rng.uniform(0.3, 1.5)), float(rng.uniform(200, 1500))
    wave = 0.4 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    gains = rng.choice([0.0, 1.0, 0.7, -1.0], int(rng.integers(1, 4)))
    gains[rng.integers(len(gains))] = rng.choice([1.0, -1.0])
    path = folder / f"a.{kind}"
    soundfile.write(path, wave[:, None] * gains, rate, LOSSLESS[kind])
    data, count = path.read_bytes(), 1
    if kind == "wav" and rng.random() < 0.6:
        place = data.index(b"data") + 4
        lie = int(rng.choice([0, 2**32 - 1, 2**31 - 1, (len(data) - place - 4) // 3 // 64 * 64]))
        data = data[:place] + struct.pack("<I", lie) + data[place + 4 :]
    elif kind in ("wav", "flac", "aiff") and rng.random() < 0.6:
        count = int(rng.integers(2, 4))
    path.write_bytes(data * count)
    reader = SoundReader(path)
    heard = np.concatenate(list(reader.blocks()))
    assert abs(len(heard) / 16_000 - count * seconds) < FRAME * count
    loudest = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert abs(np.argmax(loudest) * 16_000 / len(heard) - hertz) < 2 + 2 / seconds
    assert np.sqrt(np.mean(heard**2)) > 0.09


def picture(rng, folder):
    """Two greys side by side, the brighter left: turned, in a format and mode, with or without its end."""
    tag, kind = int(rng.integers(1, 9)), str(rng.choice(["jpg", "png", "webp", "avif"]))
    height, width = (int(n) for n in rng.integers(70, 200, 2))
    upright = np.full((height, width, 3), 40, np.uint8)
    upright[:, : width // 2] = 210
    undo = {1: 0, 2: 0, 3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}[tag]
    stored = np.rot90(upright[:, ::-1] if tag in (2, 4, 5, 7) else upright, -undo)
    image = Image.fromarray(np.ascontiguousarray(stored))
    mode = str(rng.choice(["RGB", "L", "RGBA", "P"] if kind == "png" else ["RGB"]))
    exif = Image.Exif()
    exif[0x0112] = tag
    buffer = io.BytesIO()
    profile = rng.choice([None, b"", b"no profile"])
    image = image.convert(mode, palette=Image.Palette.ADAPTIVE)
    image.save(buffer, {"jpg": "JPEG"}.get(kind, kind.upper()), exif=exif, icc_profile=profile, quality=95)
    data = buffer.getvalue()
    if kind == "jpg":
        data = data[:-2] if rng.random() < 0.3 else data + rng.bytes(int(rng.integers(0, 99)))
    (folder / f"a.{kind}").write_bytes(data)
    read = read_portrait(folder / f"a.{kind}").astype(int)
    assert read.shape == upright.shape
    assert np.abs(read[:, : width // 2 - 9] - 210).mean() < 5 and np.abs(read[:, width // 2 + 9 :] - 40).mean() < 5


def video(rng, folder):
    """A still with one bright corner under any display matrix, at any rate, with pixels of any shape."""
    rate = Fraction(*[(25, 1), (30_000, 1001), (24, 1), (60, 1), (10, 1)][rng.integers(5)])
    matrices = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]
    a, b, c, d = matrices[rng.integers(8)]
    image, aspect = np.full((64, 96, 3), 30, np.uint8), Fraction(*[(1, 1), (4, 3), (1, 2)][rng.integers(3)])
    image[:32, :48] = 220
    count, path = int(rng.integers(4, 20)), folder / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt, stream.sample_aspect_ratio = 64, 96, "yuv420p", aspect
        one = 1 << 16
        stream.set_display_matrix([a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30])
        for n in range(count):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = n, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames = list(read_frames(probe(path)))
    assert abs(len(frames) * FRAME - count / rate) <= FRAME
    wide = round(96 * float(aspect))
    assert frames[0].shape == ((64, wide, 3) if a else (wide, 64, 3))
    bright = [int(n) for n in np.argwhere(frames[0].mean(-1) > 125).mean(0) > np.array(frames[0].shape[:2]) / 2]
    assert bright == [int(min(0, b + d) < 0), int(min(0, a + c) < 0)]


@pytest.mark.parametrize("kind", [sound, picture, video])
@pytest.mark.parametrize("count", [34, pytest.param(667, marks=pytest.mark.slow)])
def test_files_are_read_as_they_were_made(tmp_path, kind, count):
    for seed in range(count):
        try:
            kind(np.random.default_rng([count, seed]), tmp_path)
        except InputError as error:
            assert "\n" not in str(error)
            raise AssertionError(f"seed {seed}: {error}") from None
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from None
