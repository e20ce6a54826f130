"""Containers and codecs as FFmpeg makes them: as long as its own decoder finds them, within a frame of video."""

import warnings

import numpy as np
import pytest

from afjax.errors import InputError, InputWarning
from afjax.media.audio import SoundReader
from afjax.media.video import FPS, probe, read_frames

av = pytest.importorskip("av")
RATE, FRAME = 16_000, 16_000 // FPS
SECONDS = 1.37

SOUNDS = [
    *(("wav", codec, 44_100) for codec in ("pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_f64le", "pcm_mulaw", "adpcm_ms")),
    ("w64", "pcm_s16le", 48_000), ("aiff", "pcm_s24be", 44_100), ("au", "pcm_alaw", 8_000), ("caf", "alac", 44_100),
    ("flac", "flac", 44_100), ("mp3", "libmp3lame", 44_100), ("mp3", "libmp3lame", 22_050), ("mp2", "mp2", 44_100),
    ("mp4", "aac", 44_100), ("mp4", "aac", 16_000), ("mp4", "ac3", 48_000), ("mov", "alac", 48_000),
    ("adts", "aac", 44_100), ("ogg", "libopus", 48_000), ("ogg", "vorbis", 44_100), ("webm", "libopus", 48_000),
    ("matroska", "libmp3lame", 44_100), ("matroska", "pcm_s16le", 48_000), ("avi", "libmp3lame", 44_100),
    ("mpegts", "aac", 44_100), ("mpegts", "mp2", 48_000), ("flv", "aac", 44_100), ("wv", "wavpack", 44_100),
    ("tta", "tta", 44_100), ("ac3", "ac3", 48_000), ("eac3", "eac3", 48_000),
]  # fmt: skip
VIDEOS = [
    ("mp4", "libx264", 30), ("mp4", "libx265", 24), ("mp4", "mpeg4", 25), ("mov", "prores", 25),
    ("matroska", "ffv1", 60), ("webm", "libvpx-vp9", 30), ("webm", "libvpx", 15), ("avi", "mjpeg", 30),
    ("avi", "mpeg4", 25), ("flv", "flv", 25), ("mpegts", "mpeg2video", 25), ("mpeg", "mpeg1video", 25),
    ("asf", "wmv2", 25),
]  # fmt: skip


def tone(path, container, codec, rate, seconds=SECONDS, options=None):
    """Writes a tone and returns how long FFmpeg's decoder says it is, in seconds, with nothing decided."""
    wave = 0.4 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    with av.open(str(path), "w", format=container, options=options or {}) as file:
        layout = "stereo" if codec == "vorbis" else "mono"  # its encoder in FFmpeg knows no other
        stream = file.add_stream(codec, rate=rate, layout=layout)
        stream.options = {"strict": "-2"}
        both = np.tile(wave.astype(np.float32), (2 if layout == "stereo" else 1, 1))
        frame = av.AudioFrame.from_ndarray(both, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        for ready in av.AudioResampler(format=stream.codec_context.format.name, layout=layout, rate=rate).resample(
            frame
        ):
            fifo, place = av.AudioFifo(), 0
            fifo.write(ready)
            while fifo.samples:
                part = fifo.read(stream.codec_context.frame_size or 1024, partial=True)
                part.pts, place = place, place + part.samples
                file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    with av.open(str(path)) as file:
        return sum(frame.samples for frame in file.decode(audio=0)) / rate


@pytest.mark.parametrize(("container", "codec", "rate"), SOUNDS)
def test_a_sound_is_as_long_as_its_decoder_finds_it(container, codec, rate, tmp_path):
    seconds = tone(tmp_path / "sound", container, codec, rate)
    assert abs(seconds - SECONDS) < 0.06, "priming and a last frame that is filled up"
    reader = SoundReader(tmp_path / "sound")
    heard = np.concatenate(list(reader.blocks()))
    assert abs(len(heard) - seconds * RATE) <= FRAME and not reader.said
    assert 0.2 < np.sqrt(np.mean(heard**2)) < 0.32


@pytest.mark.parametrize(("container", "codec", "rate"), VIDEOS)
def test_a_video_is_as_long_as_it_was_made(container, codec, rate, tmp_path):
    frames = round(SECONDS * rate)
    with av.open(str(tmp_path / "video"), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.width, stream.height = 128, 96
        stream.pix_fmt = {"prores": "yuv422p10le", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        for number in range(frames):
            picture = np.full((96, 128, 3), 255 * number // frames, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        file.mux(stream.encode(None))
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        seen = np.array([frame.mean() for frame in read_frames(probe(tmp_path / "video"))])
    assert abs(len(seen) - frames / rate * FPS) <= 1
    assert seen[0] < 20 and seen[-1] > 225 and (np.diff(seen) > -3).all()


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("wav", "pcm_s16le"),
        ("mp4", "aac"),
        ("mp3", "libmp3lame"),
        ("flac", "flac"),
        ("ogg", "libopus"),
        ("webm", "libopus"),
    ],
)
def test_half_a_sound_is_not_used_without_a_word(container, codec, tmp_path):
    path = tmp_path / f"sound.{container}"
    tone(path, container, codec, 48_000, 4.0, {"movflags": "faststart"} if container == "mp4" else {})
    data = path.read_bytes()
    assert not SoundReader(path).said
    path.write_bytes(data[: len(data) * 6 // 10])
    (said,) = SoundReader(path).said
    assert said.startswith(f"{path.name} ends early") and "the rest is missing" in said
    assert ("of 4.0 s" in said) == (container != "ogg"), said


@pytest.mark.parametrize(("container", "codec"), [("matroska", "libx264"), ("webm", "libvpx")])
def test_half_a_video_is_refused(container, codec, tmp_path):
    path = tmp_path / "video"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for _ in range(75):
            picture = rng.integers(0, 256, (96, 128, 3), np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        file.mux(stream.encode(None))
    assert probe(path).frames == 75
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"truncated: 1\.\d of 3\.0 s"):
        probe(path)
