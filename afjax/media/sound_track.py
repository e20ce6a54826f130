"""The sound tracks of a file, surveyed and decoded by FFmpeg, block by block.

Every packet is placed by its time stamp, so that the encoder's priming, a late start of the track and gaps inside it
don't shift the sound against the picture. The rate may change inside a track, as in joined files. The rest is then
brought to the first rate and its time stamps, which disagree, are ignored. Where time jumps back, another recording has
been appended; it goes on where the one before it ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
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

    Attributes: `track`, its number among the file's sound tracks, from 0; `rate` in Hz; `channels`; `center`, the index
    of the middle channel of surround sound, or None; `samples`, their number; `peak`, the largest magnitude of each
    channel; `gram` `[channels, channels]`, sums of products, which give the size of every mix; `rates`, all that occur;
    `parts`, the joined files that it comes from, and `lost`, how many of them can't be read; `declared`, seconds that
    its head says, 0 where it says none; `fault`, why it can't be read, or None; `finite`, whether all samples are.
    """

    track: int
    rate: int
    channels: int
    center: int | None
    samples: int = 0
    peak: np.ndarray | None = None
    gram: np.ndarray | None = None
    rates: list[int] = field(default_factory=list)
    parts: tuple[Part, ...] = ()
    lost: int = 0
    declared: float = 0.0
    fault: InputError | None = None
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


def survey(path: Path, start: float | None, max_seconds: float) -> list[Survey]:
    """Every sound track of a file, decoded once, from the time `start` of the file's clock on.

    With a `start`, beside a video, only the first of joined files is read. Raises InputError where no track can be
    read: there is none, or all are of unknown codecs, damaged, or longer than `max_seconds`.
    """
    parts = parts_of(path)
    parts = parts if start is None else parts[:1]
    with open_media(path, "sound", parts[0].open()) as container:
        streams = container.streams.audio
        if not streams:
            raise InputError("the file has no sound track", path)
        known = [(number, stream) for number, stream in enumerate(streams) if stream.codec_context is not None]
        if not known:
            raise InputError("the sound's codec is unknown", path, "convert it to WAV")
        found = [_head(number, stream, parts) for number, stream in known]
        for each, (_, stream) in zip(found, known, strict=True):
            each.declared = _declared(path, container, stream)
    for each in found:
        if 0 < each.channels <= MAX_CHANNELS and RATES[0] <= each.rate <= RATES[1]:
            try:
                for block in blocks(path, each, start, max_seconds):
                    each.add(block)
                    if each.samples > max_seconds * each.rate:
                        raise InputError(f"longer than {max_seconds:.0f} s", path, "cut it")
            except InputError as error:
                each.fault = error
    if all(each.fault for each in found):
        raise found[0].fault
    return found


RATES = (8_000, 96_000)
MAX_CHANNELS = 16


def _head(number: int, stream, parts: tuple[Part, ...]) -> Survey:
    context = stream.codec_context
    names = [channel.name for channel in context.layout.channels] if context.channels > 2 else []
    center = names.index("FC") if "FC" in names else None
    return Survey(number, context.sample_rate, context.channels, center, parts=parts)


def _declared(path: Path, container, stream) -> float:
    """A sound track's seconds by the file's head; 0 where it says none or FFmpeg guesses from the file's size."""
    kind = container.format.name
    if "matroska" in kind:
        return 0.0 if container.streams.video else (container.duration or 0) / 1e6
    if "mov" in kind or kind == "flac" or kind == "mp3" and _counts_frames(path):
        return float((stream.duration or 0) * stream.time_base)
    return 0.0


def _counts_frames(path: Path) -> bool:
    """Whether the first frame of an MP3 file says how many there are."""
    with path.open("rb") as file:
        head = file.read(10)
        tag = sum(byte << 7 * n for n, byte in enumerate(head[9:5:-1])) + 10 if head.startswith(b"ID3") else 0
        file.seek(tag)
        first = file.read(4096)
    return b"Xing" in first or b"Info" in first


def blocks(path: Path, of: Survey, start: float | None, limit: float) -> Iterator[np.ndarray]:
    """A track's samples in blocks float32 `[channels, n]` at its rate, gaps of at most `limit` seconds as zeros.

    Sample 0 is at the time `start` of the file's clock, by default where the track begins. Raises InputError for a
    longer gap or damage.
    """
    of.lost = 0
    for number, part in enumerate(of.parts):
        try:
            with open_media(path, "sound", part.open()) as container:
                if of.track < len(container.streams.audio):
                    decoded = _packets(container, of.track, None if number else start, of.rates)
                    yield from _placed(path, decoded, of.rate, of.channels, limit)
        except InputError:
            if not number:
                raise
            of.lost += 1


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
            if frame.sample_rate not in rates:
                rates.append(frame.sample_rate)
            seconds = None if frame.pts is None else float(frame.pts * frame.time_base) - first
            yield seconds, frame.sample_rate, _samples(frame)


def _as_channels(block: np.ndarray, channels: int) -> np.ndarray:
    """A block with `channels` channels; one with another number, as in joined files, has its mean in all of them."""
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
