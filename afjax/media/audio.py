"""Sound files as mono float32 at the rate that is asked for, read block by block.

`SoundReader` streams; `read_audio` returns a whole file at 16 kHz. WAV, FLAC, Ogg and MP3 are read by libsndfile, the
rest (MP4, WebM, AAC, ...) and the sound tracks of videos by FFmpeg. There every packet is placed by its time stamp, so
that the encoder's priming, a late start of the track and gaps inside it don't shift the sound against the picture.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from afjax.errors import InputError
from afjax.media.container import MAX_SECONDS, check_file, open_media, optional

__all__ = ["RATE", "SoundReader", "read_audio"]

RATE = 16_000
RATES = (8_000, 96_000)
MAX_CHANNELS = 16
MAX_VALUE = 32.0  # far above full scale: the file holds something else than sound in [-1, 1]
_BLOCK = 1 << 16
_SLACK = 0.02  # seconds by which time stamps may wander before samples are added or dropped


class SoundReader:
    """One sound file, mono, resampled to `rate`. Read it once: `blocks()` or `take(n)` after `take(n)`.

    Attributes: `rate`, `source_rate`, `channels`, `path`.
    """

    def __init__(
        self,
        path: str | Path,
        rate: int = RATE,
        start: float | None = None,
        max_seconds: float = MAX_SECONDS,
        channel: int = 0,
    ):
        """Opens and checks the header.

        Args:
          path: the file.
          rate: samples per second of the result.
          start: time in the file's clock that becomes sample 0, for the sound of a video (`VideoInfo.start`).
          max_seconds: longest sound to accept.
          channel: the one to read, from 1 on; 0 is the mean of all.

        Raises InputError for anything that is not a sound of 8-96 kHz.
        """
        self.path = check_file(path)
        self.rate = rate
        self._start = start
        self._max_seconds = max_seconds
        self._channel = channel
        self._by_ffmpeg = start is not None or not self._open_sndfile()
        if self._by_ffmpeg:
            self._open_ffmpeg()
        if not RATES[0] <= self.source_rate <= RATES[1]:
            raise InputError(f"{self.source_rate} Hz is outside 8-96 kHz", self.path, "resample it")
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise InputError(f"{self.channels} channels, at most {MAX_CHANNELS} are read", self.path)
        if not 0 <= channel <= self.channels:
            raise InputError(f"channel {channel} is asked for, the sound has {self.channels}", self.path)
        self._blocks, self._rest = None, np.zeros(0, np.float32)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields float32 `[n]` blocks. InputError: no samples, NaN or infinite samples, not a sound, too long."""
        soxr = optional("soxr")
        resampler = soxr.ResampleStream(self.source_rate, self.rate, 1, dtype="float32")
        samples = 0
        for block in self._ffmpeg() if self._by_ffmpeg else self._sndfile():
            samples += len(block)
            self._check(block, samples)
            yield resampler.resample_chunk(block)
        if samples == 0:
            raise InputError("the sound has no samples", self.path)
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)

    def take(self, n: int) -> np.ndarray:
        """The next n samples, float32 `[n]`; zeros after the end."""
        self._blocks = self.blocks() if self._blocks is None else self._blocks
        while len(self._rest) < n and (block := next(self._blocks, None)) is not None:
            self._rest = np.concatenate([self._rest, block])
        taken, self._rest = self._rest[:n], self._rest[n:]
        return np.pad(taken, (0, n - len(taken)))

    def _check(self, block: np.ndarray, samples: int):
        if samples > self._max_seconds * self.source_rate:
            raise InputError(f"longer than {self._max_seconds:.0f} s", self.path, "cut it")
        if not np.isfinite(block).all():
            raise InputError("the sound has NaN or infinite samples", self.path, "export it again")
        if len(block) and np.abs(block).max() > MAX_VALUE:
            raise InputError("sample values far outside -1..1", self.path, "scale it to full scale 1")

    def _open_sndfile(self) -> bool:
        soundfile = optional("soundfile")
        try:
            with soundfile.SoundFile(self.path) as file:
                self.source_rate, self.channels = file.samplerate, file.channels
                frames = file.frames
        except (soundfile.LibsndfileError, TypeError):  # TypeError: headerless formats known by their name only
            return False
        if frames > self._max_seconds * max(1, self.source_rate):
            raise InputError(f"longer than {self._max_seconds:.0f} s", self.path, "cut it")
        return True

    def _sndfile(self) -> Iterator[np.ndarray]:
        soundfile = optional("soundfile")
        try:
            with soundfile.SoundFile(self.path) as file:
                while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
                    yield self._one(block.T)
        except soundfile.LibsndfileError as error:
            raise InputError(f"the sound is damaged ({error})", self.path) from None

    def _open_ffmpeg(self):
        with open_media(self.path, "sound") as container:
            if not container.streams.audio:
                raise InputError("the file has no sound track", self.path)
            stream = container.streams.audio[0]
            if stream.codec_context is None:
                raise InputError("the sound's codec is unknown", self.path, "convert it to WAV")
            self.source_rate, self.channels = stream.codec_context.sample_rate, stream.codec_context.channels

    def _ffmpeg(self) -> Iterator[np.ndarray]:
        position = 0
        for seconds, block in self._decoded():
            if seconds is not None:
                gap = round(seconds * self.source_rate) - position
                if abs(gap) > (_SLACK * self.source_rate if position else 0):
                    if gap > self._max_seconds * self.source_rate:
                        raise InputError(f"a gap of over {self._max_seconds:.0f} s in the sound", self.path)
                    block = np.pad(block, (gap, 0)) if gap > 0 else block[-gap:]
            position += len(block)
            yield block

    def _decoded(self) -> Iterator[tuple[float | None, np.ndarray]]:
        """(seconds since the start, mono samples) of every frame; damaged packets are passed over."""
        with open_media(self.path, "sound") as container:
            import av

            stream = container.streams.audio[0]
            start = self._start if self._start is not None else float((stream.start_time or 0) * stream.time_base)
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
                    if frame.sample_rate != self.source_rate:
                        raise InputError("the sound's rate changes inside the file", self.path, "convert it to WAV")
                    seconds = None if frame.pts is None else float(frame.pts * frame.time_base) - start
                    yield seconds, self._one(_samples(frame))

    def _one(self, samples: np.ndarray) -> np.ndarray:
        """Float32 `[channels, n]` -> `[n]`."""
        if not self._channel:
            return samples.mean(axis=0, dtype=np.float32)
        return np.ascontiguousarray(samples[min(self._channel, len(samples)) - 1], np.float32)


def _samples(frame) -> np.ndarray:
    """A decoded frame as float32 `[channels, n]`, full scale 1."""
    values = frame.to_ndarray()
    channels = frame.layout.nb_channels
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    if values.dtype == np.uint8:
        values = (values.astype(np.float32) - 128) / 128
    elif np.issubdtype(values.dtype, np.integer):
        values = values.astype(np.float32) / -float(np.iinfo(values.dtype).min)
    return values


def read_audio(path: str | Path, rate: int = RATE, start: float | None = None, channel: int = 0) -> np.ndarray:
    """A whole sound file as float32 `[n]` in [-1, 1], mono; arguments and errors as for `SoundReader`."""
    return np.concatenate(list(SoundReader(path, rate, start, channel=channel).blocks()))
