"""Settings of every test: parsed absl flags, a compilation cache, and the folder of real clips where there is one."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Compiling takes most of the tests' time: they run code that is optimised little, in the same arithmetic.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("AFJAX_CHECK_TYPES", "1")  # `afjax.types.typed`


def pytest_configure(config):
    # grain reads absl flags and fails outside absl.app.run unless they count as parsed.
    from absl import flags

    flags.FLAGS.mark_as_parsed()


def pytest_collection_modifyitems(items):
    # The end-to-end tests take longest: where two processes share the files they come first. One begins with what needs
    # the run that they share, and so makes it; the other with what does not, and so does not wait for it.
    shared = {item.path for item in items if "workdir" in item.fixturenames}
    first = next((item.path for item in items if item.path in shared), None)
    items.sort(key=lambda i: (i.path.parent.name != "end_to_end", i.path != first, i.path in shared))


@pytest.fixture(scope="session")
def clips() -> Path:
    """Folder of real clips, portraits and speech: AFJAX_MEDIA. Its tests skip without it."""
    folder = os.environ.get("AFJAX_MEDIA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("no folder of real clips (set AFJAX_MEDIA)")
    return Path(folder)


@pytest.fixture(scope="session")
def write_video():
    """Function that writes a video of flat grey levels or of given pictures at given times, with sound if wanted."""
    return _write_video


def _write_video(path, pictures, times=None, rate=25, sound=None, sound_rate=48_000, sound_start=0.0, rotation=0):
    """Writes h.264 + AAC.

    pictures: uint8 `[h, w, 3]` arrays, or numbers for flat grey; times: seconds of each, by default n / rate.
    sound: float32 `[s]`; its first sample is heard at `sound_start` seconds.
    """
    from fractions import Fraction

    import av
    import numpy as np

    pictures = [np.full((64, 96, 3), p, np.uint8) if np.isscalar(p) else p for p in pictures]
    times = [n / rate for n in range(len(pictures))] if times is None else times
    clock = Fraction(1, 12_800)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=rate, options={"crf": "10", "preset": "ultrafast"})
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt, video.codec_context.time_base = "yuv420p", clock
        if rotation:
            video.set_display_rotation(rotation)
        audio = container.add_stream("aac", rate=sound_rate, layout="mono") if sound is not None else None
        for picture, seconds in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(seconds / clock), clock
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            for first in range(0, len(sound), 1024):
                piece = np.ascontiguousarray(sound[None, first : first + 1024], np.float32)
                frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
                frame.sample_rate, frame.time_base = sound_rate, Fraction(1, sound_rate)
                frame.pts = round(sound_start * sound_rate) + first
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path
