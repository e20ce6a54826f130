"""A call as a virtual camera (v4l2loopback) or as a stream (RTMP), for programs that know nothing of us.

    outlet = Outlet(target_of("/dev/video9"), still)     # or target_of("rtmp://host/app/key")
    outlet.start()                                       # InputError where the device or the server does not take it
    outlet.follow(studio)                                # plays the first call that begins, then the next
    outlet.close()

A thread sends 25 pictures per second, whatever comes in: the newest, or `still` while there is no call. Each has the
mark "AI-generated". Sound goes with them, silence where there is none. PyAV encodes and sends.
"""

import logging
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np

from afjax.audio.framing import FPS
from afjax.errors import InputError
from afjax.media.container import optional
from afjax.serving.reel import Reel
from afjax.serving.seat import Seat
from afjax.serving.studio import Studio
from afjax.serving.tap import RATE, Tap

__all__ = ["Camera", "Outlet", "Stream", "target_of"]

log = logging.getLogger("afjax.serving")
STALL = 0.2
"""Seconds by which a picture may be late; the time of a later one is skipped."""
AGAIN = 5.0
"""Seconds after which a target that was lost is tried again."""
PATIENCE = 5.0
"""Seconds for which a server may be silent while it is connected."""
MARK = "AI-generated"


class Target(Protocol):
    """Destination of pictures and sound. `send` raises when the connection is lost."""

    name: str
    sounds: bool

    def open(self, height: int, width: int) -> None:
        """Connects. Raises InputError where that fails."""

    def send(self, n: int, picture: np.ndarray, samples: np.ndarray) -> None:
        """Picture `n`, uint8 `[h, w, 3]` RGB, and its sound, float32 `[RATE / 25]`."""

    def close(self) -> None:
        """Ends it; a second time does nothing."""


def _frame(av, n: int, picture: np.ndarray):
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    frame.pts, frame.time_base = n, Fraction(1, FPS)
    return frame


class Camera:
    """A device of v4l2loopback, which shows YUV 4:2:0."""

    sounds = False

    def __init__(self, path: str):
        self.name, self._container, self._video = path, None, None

    def open(self, height: int, width: int) -> None:
        """As of `Target`."""
        av = optional("av", "av")
        if not Path(self.name).exists():
            number = self.name.removeprefix("/dev/video")
            make = f"modprobe v4l2loopback video_nr={number} exclusive_caps=1"
            raise InputError("there is no such device", self.name, f"make it: {make}")
        try:
            self._container = av.open(self.name, "w", format="v4l2")
            self._video = self._container.add_stream("rawvideo", FPS)
            self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
            self._container.start_encoding()
        except OSError as error:
            self.close()
            raise InputError(
                f"it takes no pictures ({error.strerror})", self.name, "give one of v4l2loopback"
            ) from None

    def send(self, n: int, picture: np.ndarray, samples: np.ndarray) -> None:
        """As of `Target`."""
        av = optional("av", "av")
        self._container.mux(self._video.encode(_frame(av, n, picture)))

    def close(self) -> None:
        """As of `Target`."""
        container, self._container = self._container, None
        _end(container)


class Stream:
    """H.264 and AAC in FLV, to a server of RTMP. Attribute `name`: its address without the key."""

    sounds = True

    def __init__(self, url: str):
        parts = urlsplit(url)
        self.name = f"{parts.scheme}://{parts.hostname}" if parts.hostname else url
        self._url, self._container = url, None

    def open(self, height: int, width: int) -> None:
        """As of `Target`."""
        av = optional("av", "av")
        try:
            self._container = container = av.open(self._url, "w", format="flv", timeout=PATIENCE)
            self._video = container.add_stream("libx264", FPS)
            self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
            self._video.options = {"preset": "veryfast", "tune": "zerolatency", "g": str(2 * FPS)}
            self._audio = container.add_stream("aac", RATE)
            self._audio.layout = "mono"
            self._rest, self._heard = np.zeros(0, np.float32), 0
            container.start_encoding()
        except OSError as error:
            self.close()
            raise InputError(
                f"it takes no stream ({error.strerror})", self.name, "look at its address and key"
            ) from None

    def send(self, n: int, picture: np.ndarray, samples: np.ndarray) -> None:
        """As of `Target`."""
        av = optional("av", "av")
        self._container.mux(self._video.encode(_frame(av, n, picture)))
        if self._heard + len(self._rest) != n * len(samples):  # pictures were skipped
            self._rest, self._heard = self._rest[:0], n * len(samples)
        self._rest, size = np.concatenate([self._rest, samples]), self._audio.codec_context.frame_size
        while len(self._rest) >= size:
            frame = av.AudioFrame.from_ndarray(self._rest[None, :size].copy(), format="fltp", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), self._heard
            self._container.mux(self._audio.encode(frame))
            self._rest, self._heard = self._rest[size:], self._heard + size

    def close(self) -> None:
        """As of `Target`."""
        container, self._container = self._container, None
        _end(container)


def _end(container: Any):
    try:
        if container is not None:
            container.close()
    except OSError:
        pass  # it is lost already


def target_of(text: str) -> Camera | Stream:
    """The target of /dev/videoN or rtmp://HOST/...; InputError for anything else."""
    parts = urlsplit(text)
    if text.startswith("/dev/"):
        return Camera(text)
    if parts.scheme in ("rtmp", "rtmps") and parts.hostname:
        return Stream(text)
    raise InputError("neither a device nor a stream", text.partition("?")[0], "give /dev/videoN or rtmp://HOST/APP/KEY")


class Outlet:
    """A `Player` that sends to a target from a thread.

    Attributes: `sent` pictures; `dropped` pictures, left out to keep up; `free`, whether it plays no call.
    """

    def __init__(self, target: Target, still: np.ndarray):
        """`still`: uint8 `[h, w, 3]` RGB, both sides even, shown while there is no call."""
        self._target, self._still, self._mark = target, still, _mark(still.shape[0])
        self.sent = self.dropped = 0
        self.free = True
        self._newest = still
        self._begin()
        self._ends, self._thread = threading.Event(), threading.Thread(target=self._run, name="outlet", daemon=True)

    def start(self) -> None:
        """Connects, and begins to send. Raises InputError where that fails."""
        self._target.open(*self._still.shape[:2])
        self._begin()
        self._thread.start()

    def _begin(self):
        # a picture is sent up to 40 ms after its time: sound is 20 ms behind, so that they are never further apart
        self._origin = time.monotonic()
        self._reel = Reel(RATE, self._origin + 0.5 / FPS)

    def follow(self, studio: Studio) -> None:
        """Plays each call of a page that begins while it plays none."""
        before = studio.on_begin

        def begin(seat: Seat):
            before(seat)
            if self.free:
                self.free = False
                seat.taps.append(Tap(seat.call, studio.now, self))

        studio.on_begin = begin

    def hear(self, end: float, samples: np.ndarray) -> None:
        """Sound of a call up to the time `end`."""
        if self._target.sounds:
            self._reel.put(end, samples)

    def show(self, due: float, pixels: np.ndarray) -> None:
        """The picture that is due."""
        self._newest = pixels

    def cut(self) -> None:
        """Drops sound that is not due yet."""
        self._reel.cut()

    def leave(self) -> None:
        """The call has ended."""
        self.free, self._newest = True, self._still

    def close(self) -> None:
        """Ends it."""
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join(2 * PATIENCE)
        self._target.close()

    def _run(self):
        n, count = 0, RATE // FPS
        while not self._ends.is_set():
            behind = time.monotonic() - self._origin - n / FPS
            if behind < 0:
                self._ends.wait(-behind)
            elif behind > STALL:
                self.dropped, n = self.dropped + int(behind * FPS), n + int(behind * FPS)
            try:
                self._target.send(n, self._marked(self._newest), self._reel.take(n * count, count))
                self.sent += 1
            except Exception as error:  # libraries raise what they like, with the address in it
                why = getattr(error, "strerror", None) or type(error).__name__
                log.warning("%s: it is lost (%s)", self._target.name, why)
                self._connect()
            n += 1

    def _connect(self):
        """Tries again until it is there or this ends."""
        self._target.close()
        while not self._ends.wait(AGAIN):
            try:
                self._target.open(*self._still.shape[:2])
                log.warning("%s: it is there again", self._target.name)
                return
            except InputError:
                pass

    def _marked(self, picture: np.ndarray) -> np.ndarray:
        height, width = self._mark.shape
        picture = picture.copy()
        corner = picture[-height:, :width]
        corner[:] = np.where(self._mark[..., None] > 127, 255, corner // 3)
        return picture


def _mark(side: int) -> np.ndarray:
    """The mark for the lower left corner of a picture `side` pixels high: uint8 `[h, w]`, white letters."""
    ImageDraw, ImageFont = optional("PIL.ImageDraw", "pillow"), optional("PIL.ImageFont", "pillow")
    Image, font = optional("PIL.Image", "pillow"), ImageFont.load_default(max(8, side // 20))
    left, top, right, bottom = font.getbbox(MARK)
    edge = max(2, side // 64)
    image = Image.new("L", (min(side, right - left + 2 * edge), bottom - top + 2 * edge))
    ImageDraw.Draw(image).text((edge - left, edge - top), MARK, 255, font)
    return np.asarray(image)
