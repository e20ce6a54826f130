"""Frames of a video file at 25 per second, streamed in constant memory.

Time runs from the first frame's presentation time. Output frame n shows what a player would show at n / 25 s, except
that a source frame may come up to half an output frame (20 ms) early, so that it lands on the nearest instant:

    frame k is shown from  t_k - min((t_k - t_{k-1}) / 2, 1/50)

30 frames per second thin out to 25 by the nearest frame. Gaps hold the last frame. Variable rates keep time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from warnings import warn

import numpy as np

from afjax.errors import InputError, InputWarning
from afjax.media.container import MAX_SECONDS, check_file, open_media
from afjax.media.frame import picture
from afjax.media.joined import parts_of

__all__ = ["FPS", "VideoInfo", "probe", "read_frames", "shown_frames"]

FPS = 25
MAX_PIXELS = 1 << 25
MIN_SIDE = 32
_LOST = 1.0  # seconds that may be missing at a video's end before it counts as truncated


@dataclass(frozen=True)
class VideoInfo:
    """A video by its headers and packets, before anything is decoded.

    Attributes:
      path: absolute.
      width, height: coded pixels, before rotation.
      aspect: width of a coded pixel by its height.
      start: presentation time of the first frame in the container's clock, seconds.
      seconds: from the first frame to the last one's end.
      frames: frames that `read_frames` gives.
      source_frames, source_rate: frames in the file, and their mean rate per second.
      has_sound: whether the file has a sound track.
    """

    path: Path
    width: int
    height: int
    aspect: float
    start: float
    seconds: float
    frames: int
    source_frames: int
    source_rate: float
    has_sound: bool


def probe(path: str | Path, max_seconds: float = MAX_SECONDS) -> VideoInfo:
    """Checks a video by its headers and packet times.

    Raises InputError for a file that is no video, or one that is too large, too long, truncated or empty. A file of
    several joined videos gives an InputWarning; the first is read.
    """
    path = check_file(path)
    parts = parts_of(path)
    if len(parts) > 1:
        warn(f"{path.name} is {len(parts)} videos joined: the first is read", InputWarning, stacklevel=2)
    with open_media(path, "video", parts[0].open()) as container:
        stream = _stream(container, path)
        width, height = stream.codec_context.width, stream.codec_context.height
        if min(width, height) < MIN_SIDE or width * height > MAX_PIXELS:
            raise InputError(f"{width} x {height} px: sides from {MIN_SIDE} px, at most {MAX_PIXELS >> 20} MiPx", path)
        declared = float(stream.duration * stream.time_base) if stream.duration else 0.0
        whole = (container.duration or 0) / 1e6 if "matroska" in container.format.name else 0.0
        _check_length(declared, max_seconds, path)
        times, ends, damaged, last = [], [], 0, 0.0
        rate = stream.average_rate or stream.guessed_rate or Fraction(FPS)
        for packet in container.demux() if whole else container.demux(stream):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if packet.size == 0 or packet.is_discard or stamp is None:
                continue
            if packet.stream is not stream:
                last = max(last, float(stamp * packet.time_base))
                continue
            damaged += packet.is_corrupt
            times.append(float(stamp * stream.time_base))
            length = float(packet.duration * stream.time_base) if packet.duration else float(1 / rate)
            ends.append(times[-1] + length)
        if not times:
            raise InputError("the video has no frames", path)
        start, seconds = min(times), max(ends) - min(times)
        _check_length(seconds, max_seconds, path)
        if whole - max(last, *ends) > _LOST:  # says the length of all its tracks only
            declared = whole
        if damaged or declared - seconds > _LOST:
            raise InputError(f"the video is truncated: {seconds:.1f} of {declared:.1f} s", path, "copy it again")
        aspect = min(max(float(stream.sample_aspect_ratio or 1), 0.25), 4.0)
        has_sound = bool(container.streams.audio)
    frames, source_rate = max(1, round(seconds * FPS)), len(times) / seconds
    return VideoInfo(path, width, height, aspect, start, seconds, frames, len(times), source_rate, has_sound)


def read_frames(info: VideoInfo, max_side: int = 0) -> Iterator[np.ndarray]:
    """Yields `info.frames` frames, uint8 `[h, w, 3]` RGB, at 25 per second, as `afjax.media.frame` makes them.

    A `max_side` above 0 scales larger frames down to it. Raises InputError if the file can't be decoded to its end.
    """
    n, shown, upcoming = 0, None, None
    for seconds, frame in _decoded(info):
        if upcoming is None:
            upcoming = seconds, frame
            continue
        before, held = upcoming
        until = seconds - min((seconds - before) / 2, 0.5 / FPS)
        shown = None
        while n < info.frames and n / FPS < until - 1e-6:
            shown = picture(held, info.aspect, max_side) if shown is None else shown
            yield shown
            n += 1
        upcoming = seconds, frame
    if upcoming is None:
        raise InputError("the video has no frames that can be decoded", info.path)
    if info.seconds - upcoming[0] > _LOST + 2 / min(info.source_rate, FPS):
        raise InputError(f"decoding stops at {upcoming[0]:.1f} of {info.seconds:.1f} s", info.path, "copy it again")
    shown = picture(upcoming[1], info.aspect, max_side)
    for _ in range(n, info.frames):
        yield shown


def shown_frames(info: VideoInfo) -> np.ndarray:
    """Number of the file's frame, by time and from 0, that each frame of `read_frames` shows: int `[info.frames]`."""
    with open_media(info.path, "video", parts_of(info.path)[0].open()) as container:
        stream = _stream(container, info.path)
        packets = (packet for packet in container.demux(stream) if packet.size and not packet.is_discard)
        stamps = [packet.pts if packet.pts is not None else packet.dts for packet in packets]
        times = np.unique([float(stamp * stream.time_base) - info.start for stamp in stamps if stamp is not None])
    begins = times - np.minimum(np.diff(times, prepend=times[0]) / 2, 0.5 / FPS)
    return np.searchsorted(begins, np.arange(info.frames) / FPS + 1e-6, "right") - 1


def _stream(container, path: Path):
    if not container.streams.video:
        raise InputError("the file has no video track", path)
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise InputError("the video's codec is unknown", path, "convert it to H.264")
    if "attached_pic" in str(stream.disposition):
        raise InputError("the file has a cover picture but no video track", path)
    stream.thread_type = "AUTO"
    return stream


def _check_length(seconds: float, limit: float, path: Path):
    if seconds > limit:
        raise InputError(f"{seconds:.0f} s is over the limit of {limit:.0f} s", path, "cut it")


def _decoded(info: VideoInfo) -> Iterator[tuple[float, object]]:
    """(seconds since the start, decoded frame) in rising order; single damaged packets are passed over."""
    with open_media(info.path, "video", parts_of(info.path)[0].open()) as container:
        import av

        stream = _stream(container, info.path)
        last, failed = -1.0, 0
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                failed += 1
                if failed > max(3, info.source_frames // 10):
                    raise
                continue
            for frame in frames:
                if frame.pts is None:
                    seconds = last + 1 / info.source_rate if last >= 0 else 0.0
                else:
                    seconds = float(frame.pts * frame.time_base) - info.start
                if seconds > last and seconds > -0.5 / FPS:
                    last = seconds
                    yield seconds, frame
