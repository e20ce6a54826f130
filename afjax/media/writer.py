"""Writer of H.264 + AAC files with sound in step with the picture, and of ProRes 4444 or VP9 with alpha.

The AAC encoder delays the sound by one packet (1,024 samples); the MP4 muxer notes it in an edit list, which players
and `afjax.media.audio` obey. The sound track is padded or cut to the length of the picture when the file is closed.
"""

import contextlib
import os
from fractions import Fraction
from pathlib import Path

import numpy as np

from afjax import files
from afjax.errors import InputError
from afjax.media.container import optional
from afjax.media.video import FPS

__all__ = ["SOUND_RATE", "VideoWriter", "named"]

SOUND_RATE = 48_000
_ALPHA = {
    ".mov": ("mov", "prores_ks", "yuva444p10le", "pcm_s16le"),
    ".webm": ("webm", "libvpx-vp9", "yuva420p", "libopus"),
}
"""Endings of names of videos with alpha -> container, codec, pixel format and sound codec."""

_MP4 = {"movflags": "+faststart"}
_QUALITY = {
    "libx264": {"crf": "18", "preset": "veryfast"},
    "prores_ks": {"profile": "4444", "alpha_bits": "16"},
    "libvpx-vp9": {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "6", "auto-alt-ref": "0"},
}


def named(path: Path, alpha: bool = False) -> Path:
    """The path, if its name has an ending of what is written. Raises InputError for another name."""
    names = tuple(_ALPHA) if alpha else (".mp4", ".m4v", ".mov")
    if path.suffix.lower() not in names:
        kinds = "with alpha as ProRes or VP9" if alpha else "as MP4"
        raise InputError(f"videos are written {kinds}", path, f"choose a name that ends in {' or '.join(names)}")
    return path


class VideoWriter:
    """Writes a video aside and renames it when the `with` block ends well; after an error nothing is left.

        with VideoWriter(path, width=256, height=256) as writer:
            writer.frames(pictures)   # uint8 [n, h, w, 3]
            writer.sound(samples)     # float32 [s] or [s, 2] at 48 kHz; leave it out for a silent track

    `fps`: frames per second, a divisor of 48000. `alpha`: pictures have a fourth channel, opacity, and are not
    multiplied by it.

    Call `frames` and `sound` in turns, so that neither waits long for the other. Odd sides grow by one pixel.
    """

    def __init__(self, path: str | Path, width: int, height: int, fps: int = FPS, alpha: bool = False):
        av = optional("av")
        self.path = Path(path).absolute()
        named(self.path, alpha)
        kind, codec, pixels, sound = _ALPHA[self.path.suffix.lower()] if alpha else ("mp4", "libx264", "yuv420p", "aac")
        self._fps, self._alpha = fps, alpha
        self._aside = files.partial(self.path)
        self._shape = height, width
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(str(self._aside), "w", format=kind, options={} if alpha else _MP4)
        except (OSError, av.error.FFmpegError) as error:
            raise InputError(f"cannot be written ({error.strerror or error})", self.path) from None
        # x264's macroblock tree reads beyond rows that are no multiple of eight blocks of 16 pixels: the same pictures
        # would give other bytes each time
        same = {"mbtree": "0"} if codec == "libx264" and -(-width // 16) % 8 else {}
        self._video = self._container.add_stream(codec, rate=fps, options=_QUALITY[codec] | same)
        self._video.width, self._video.height = width + width % 2, height + height % 2
        self._video.pix_fmt = pixels
        self._audio = self._container.add_stream(sound, rate=SOUND_RATE, layout="stereo")
        if not sound.startswith("pcm"):
            self._audio.bit_rate = 128_000
        self.written = 0
        self._samples = 0
        self._waiting = np.zeros((0, 2), np.float32)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.discard()
            return
        try:
            self._close()
        except BaseException:
            self.discard()
            raise

    def frames(self, pictures: np.ndarray):
        """Appends frames uint8 `[n, h, w, 3]` RGB, `[n, h, w, 4]` with alpha."""
        import av

        pictures = np.asarray(pictures)
        shape = (*self._shape, 4 if self._alpha else 3)
        if pictures.dtype != np.uint8 or pictures.shape[1:] != shape:
            raise ValueError(f"frames are uint8 [n, {', '.join(map(str, shape))}], not {pictures.shape}")
        height, width = self._shape
        odd = [(0, height % 2), (0, width % 2), (0, 0)]
        for picture in np.pad(pictures, [(0, 0), *odd], mode="edge") if height % 2 or width % 2 else pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgba" if self._alpha else "rgb24")
            frame.pts, frame.time_base = self.written, Fraction(1, self._fps)
            self._container.mux(self._video.encode(frame))
            self.written += 1
        self._encode_sound()

    def sound(self, samples: np.ndarray):
        """Appends sound at 48 kHz, float32 `[s]` or `[s, 2]` (left, right); values beyond full scale are clipped."""
        samples = np.asarray(samples, np.float32)
        samples = np.repeat(samples[:, None], 2, axis=1) if samples.ndim == 1 else samples
        self._waiting = np.concatenate([self._waiting, samples.clip(-1, 1)])
        self._encode_sound()

    def discard(self):
        """Gives up: closes and removes the unfinished file."""
        with contextlib.suppress(Exception):
            self._container.close()
        self._aside.unlink(missing_ok=True)

    def _encode_sound(self):
        """Encodes whole packets, up to the end of the picture so far."""
        size = self._audio.codec_context.frame_size or 1024
        while len(self._waiting) >= size and self._samples + size <= self._length:
            self._encode(self._waiting[:size])
            self._waiting = self._waiting[size:]

    @property
    def _length(self) -> int:
        return self.written * (SOUND_RATE // self._fps)

    def _encode(self, samples: np.ndarray):
        import av

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, self._samples, Fraction(1, SOUND_RATE)
        self._container.mux(self._audio.encode(frame))
        self._samples += len(samples)

    def _close(self):
        if self.written == 0:
            raise InputError("there are no frames to write", self.path)
        missing = max(0, self._length - self._samples - len(self._waiting))
        self.sound(np.zeros((missing, 2), np.float32))
        if len(tail := self._waiting[: self._length - self._samples]):
            self._encode(tail)
        self._container.mux(self._video.encode(None))
        self._container.mux(self._audio.encode(None))
        self._container.close()
        os.replace(self._aside, self.path)
