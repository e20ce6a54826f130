"""The sound tracks of a file, decoded by FFmpeg: what is there, block by block.

Every packet is placed by its time stamp, so that the encoder's priming, a late start of the track and gaps inside it
don't shift the sound against the picture. Where the rate changes inside a track, as in joined files, the rest is
brought to the first one, and time stamps, which no longer agree, count no more. Where time jumps back, another
recording has been appended, and goes on where the one before it ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from afjax.errors import InputError
from afjax.media.container import open_media, optional
from afjax.media.joined import Part, parts_of

__all__ = ["Survey", "blocks", "survey"]

_SLACK = 0.02  # seconds by which time stamps may wander before samples are added or dropped
_JUMP = 0.5  # seconds by which time goes back where another recording begins


@dataclass
class Survey:
    """What one track holds.

    Attributes: `track`, its number among the file's sound tracks; `rate`; `channels`; `center`, the index of the
    channel in the middle of surround sound or None; `samples`; `peak`, the largest magnitude of each channel; `gram`
    `[channels, channels]`, sums of products, from which the size of every mix follows; `rates`, all that occur;
    `parts`, joined files that it comes from; `finite`.
    """

    track: int
    rate: int
    channels: int
    center: int | None
    samples: int = 0
    peak: np.ndarray | None = None
    gram: np.ndarray | None = None
    rates: tuple[int, ...] = ()
    parts: int = 1
    finite: bool = True

    def add(self, block: np.ndarray):
        """Counts a block `[channels, n]` in."""
        self.samples += block.shape[1]
        self.finite &= bool(np.isfinite(block).all())
        if self.peak is None:
            self.peak, self.gram = np.zeros(self.channels), np.zeros((self.channels, self.channels))
        if self.finite and block.size:
            self.peak = np.maximum(self.peak, np.abs(block).max(axis=1))
            self.gram += block.astype(np.float64) @ block.T


def survey(path: Path, max_seconds: float) -> list[Survey]:
    """Every sound track of a file, decoded once. Raises InputError: none, unknown codecs only, longer than that."""
    parts = parts_of(path)
    with open_media(path, "sound", parts[0].open()) as container:
        streams = container.streams.audio
        if not streams:
            raise InputError("the file has no sound track", path)
        known = [(number, stream) for number, stream in enumerate(streams) if stream.codec_context is not None]
        if not known:
            raise InputError("the sound's codec is unknown", path, "convert it to WAV")
        _check_length(float(container.duration or 0) / 1e6, max_seconds, path)
        found = [_head(number, stream) for number, stream in known]
    for each in found:
        each.parts = len(parts)
        rates = []
        if 0 < each.channels <= MAX_CHANNELS and RATES[0] <= each.rate <= RATES[1]:
            for block in _joined(path, parts, each.track, None, each.rate, each.channels, max_seconds, rates):
                each.add(block)
                _check_length(each.samples / each.rate, max_seconds, path)
        each.rates = tuple(dict.fromkeys(rates))
    return found


RATES = (8_000, 96_000)
MAX_CHANNELS = 16


def _head(number: int, stream) -> Survey:
    context = stream.codec_context
    names = [channel.name for channel in context.layout.channels] if context.channels > 2 else []
    return Survey(number, context.sample_rate, context.channels, names.index("FC") if "FC" in names else None)


def blocks(path: Path, of: Survey, start: float | None, max_seconds: float) -> Iterator[np.ndarray]:
    """A track's samples, float32 `[channels, n]` at its rate, gaps as zeros; sample 0 is at the time `start` of the
    file's clock, by default where the track begins."""
    yield from _joined(path, parts_of(path), of.track, start, of.rate, of.channels, max_seconds, [])


def _check_length(seconds: float, limit: float, path: Path):
    if seconds > limit:
        raise InputError(f"longer than {limit:.0f} s", path, "cut it")


def _joined(path, parts: list[Part], track: int, start, rate: int, channels: int, limit: float, rates: list[int]):
    for number, part in enumerate(parts):
        with open_media(path, "sound", part.open()) as container:
            if track < len(container.streams.audio):
                begin = start if number == 0 else None
                yield from _placed(path, _packets(container, track, begin, rates), rate, channels, limit)


def _placed(path: Path, decoded, rate: int, channels: int, limit: float) -> Iterator[np.ndarray]:
    position, behind, last, other, resampler = 0, 0, -np.inf, rate, None
    for seconds, source_rate, block in decoded:
        block = _as_channels(block, channels)
        if source_rate != other:
            if resampler is not None:
                yield resampler.resample_chunk(np.zeros((0, channels), np.float32), last=True).T
            other, soxr = source_rate, optional("soxr")
            resampler = soxr.ResampleStream(source_rate, rate, channels, dtype="float32")
        if resampler is not None:
            yield resampler.resample_chunk(np.ascontiguousarray(block.T)).reshape(-1, channels).T
            continue
        if seconds is not None:
            gap = round(seconds * rate) + behind - position
            if seconds < last - _JUMP:
                behind, gap = behind - gap, 0
            last = seconds
            if abs(gap) > (_SLACK * rate if position else 0):
                if gap > limit * rate:
                    raise InputError(f"a gap of over {limit:.0f} s in the sound", path)
                block = np.pad(block, [(0, 0), (gap, 0)]) if gap > 0 else block[:, -gap:]
        position += block.shape[1]
        yield block
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros((0, channels), np.float32), last=True).reshape(-1, channels).T


def _packets(container, track: int, start: float | None, rates: list[int]):
    """(seconds since the start, rate, samples) of every frame; damaged packets are passed over."""
    import av

    stream = container.streams.audio[track]
    first = start if start is not None else float((stream.start_time or 0) * stream.time_base)
    good, failed = 0, 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            failed += 1
            if failed > 3 + good // 10:
                raise
            continue
        good += 1
        for frame in frames:
            rates.append(frame.sample_rate) if frame.sample_rate not in rates else None
            seconds = None if frame.pts is None else float(frame.pts * frame.time_base) - first
            yield seconds, frame.sample_rate, _samples(frame)


def _as_channels(block: np.ndarray, channels: int) -> np.ndarray:
    """A block of another number of channels, as joined files have it, as so many equal ones of its mean."""
    return block if len(block) == channels else np.repeat(block.mean(axis=0, keepdims=True), channels, axis=0)


def _samples(frame) -> np.ndarray:
    """A decoded frame as float32 `[channels, n]`, full scale 1."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - 128) / 128
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.float32) / -float(np.iinfo(values.dtype).min)
    return values.astype(np.float32)
