"""Sound files as mono float32 at the rate that is asked for, read block by block.

`SoundReader` streams; `read_audio` returns a whole file at 16 kHz. A file is decoded once before, to see what it holds.
The part that carries a voice is read, and `SoundReader.said` says what was decided:

    track      the first that is not silent
    channels   the middle one of surround sound, else the mean of those that are not silent; where they cancel each
               other, the loudest alone
    scale      what goes beyond full scale is brought down to it
"""

from collections.abc import Iterator
from pathlib import Path
from warnings import warn

import numpy as np

from afjax.errors import InputError, InputWarning
from afjax.media.container import MAX_SECONDS, check_file, optional
from afjax.media.sound_track import MAX_CHANNELS, RATES, Survey, blocks, survey

__all__ = ["RATE", "SoundReader", "read_audio"]

RATE = 16_000
MAX_VALUE = 32.0  # values above it are something else than sound in [-1, 1]
_SILENT = 1e-3  # peak below which a track carries nothing
_FAINT = 0.05  # share of the loudest channel's size below which a channel does not count
_CANCELS = 0.7  # share of the size of a mix of unrelated channels below which a mix has lost the voice
_LOST = 0.3  # seconds; a sound shorter than its head says by more is cut off
_LOUD = 1.25  # peak above which bringing it down is worth a word: lossy codecs overshoot


class SoundReader:
    """One sound file, mono, resampled to `rate`. Read it once: `blocks()` or `take(n)` after `take(n)`.

    Attributes: `rate`, `source_rate`, `channels`, `path`; `said`, sentences about what was decided.
    """

    def __init__(
        self,
        path: str | Path,
        rate: int = RATE,
        start: float | None = None,
        max_seconds: float = MAX_SECONDS,
        channel: int = 0,
    ):
        """Opens the file and looks through it.

        Args:
          path: the file.
          rate: samples per second of the result.
          start: time in the file's clock that becomes sample 0, for the sound of a video (`VideoInfo.start`).
          max_seconds: longest sound to accept.
          channel: the one to read, from 1 on; 0 is a mix of what carries the voice.

        Raises InputError for a file that is no sound of 8-96 kHz, has no samples, has NaN or infinite ones, or is too
        long.
        """
        self.path, self.rate, self.said = check_file(path), rate, []
        self._start, self._max_seconds = start, max_seconds
        self._track = self._choose(survey(self.path, start, max_seconds))
        self.source_rate, self.channels = self._track.rate, self._track.channels
        self._check()
        if not 0 <= channel <= self.channels:
            raise InputError(f"channel {channel} is asked for, the sound has {self.channels}", self.path)
        self._weights = self._mix(channel)
        self._blocks, self._rest = None, np.zeros(0, np.float32)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields float32 `[n]` blocks."""
        soxr = optional("soxr")
        resampler = soxr.ResampleStream(self.source_rate, self.rate, 1, dtype="float32")
        for block in blocks(self.path, self._track, self._start, self._max_seconds):
            yield resampler.resample_chunk(np.ascontiguousarray(self._weights @ block))
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)

    def take(self, n: int) -> np.ndarray:
        """The next n samples, float32 `[n]`; zeros after the end."""
        self._blocks = self.blocks() if self._blocks is None else self._blocks
        while len(self._rest) < n and (block := next(self._blocks, None)) is not None:
            self._rest = np.concatenate([self._rest, block])
        taken, self._rest = self._rest[:n], self._rest[n:]
        return np.pad(taken, (0, n - len(taken)))

    def _choose(self, tracks: list[Survey]) -> Survey:
        whole = [each for each in tracks if not each.fault]
        carrying = [each for each in whole if each.samples and each.finite and each.peak.max() > _SILENT]
        chosen = (carrying or whole)[0]
        others = [str(each.track + 1) for each in tracks if each is not chosen]
        if others:
            silent = ", the first that is not silent" if chosen.track else ""
            have = f"{len(tracks)} sound tracks"
            other = "; name a file of its own for another"
            self.said.append(f"{self.path.name} has {have}: track {chosen.track + 1} is used{silent}{other}")
        parts = len(chosen.parts)
        if parts > 1:
            read = f"{chosen.lost} can't be read" if chosen.lost else "all are read"
            self.said.append(f"{self.path.name} is {parts} files joined: {read}")
        short, whole = self._ends_early(chosen)
        if short:
            self.said.append(f"{self.path.name} ends early{whole}: the rest is missing, copy it again")
        elif any(part.patch for part in chosen.parts):
            self.said.append(f"{self.path.name} does not say its length, or another one: read to its end")
        if len(chosen.rates) > 1:
            rates = " and ".join(str(rate) for rate in chosen.rates)
            self.said.append(f"{self.path.name} changes its rate inside ({rates} Hz): brought to {chosen.rate} Hz")
        return chosen

    def _ends_early(self, track: Survey) -> tuple[bool, str]:
        """Whether less is there than the head or the last page of a single file says, and how much."""
        if len(track.parts) > 1 or not track.rate:
            return False, ""
        part, seconds = track.parts[0], track.samples / track.rate
        declared = seconds / (1 - part.missing) if part.patch else track.declared if self._start is None else 0.0
        if declared - seconds > _LOST:
            return True, f" after {seconds:.1f} of {declared:.1f} s"
        return part.missing > 0 and not part.patch, ""

    def _check(self):
        track, path = self._track, self.path
        if not RATES[0] <= track.rate <= RATES[1]:
            raise InputError(f"{track.rate} Hz is outside 8-96 kHz", path, "resample it")
        if not 1 <= track.channels <= MAX_CHANNELS:
            raise InputError(f"{track.channels} channels, at most {MAX_CHANNELS} are read", path)
        if not track.samples:
            raise InputError("the sound has no samples", path)
        if not track.finite:
            raise InputError("the sound has NaN or infinite samples", path, "export it again")
        if track.peak.max() > MAX_VALUE:
            raise InputError("sample values far outside -1..1", path, "scale it to full scale 1")

    def _mix(self, channel: int) -> np.ndarray:
        """Weight of each channel in the result, float32 `[channels]`."""
        weights = np.eye(self.channels)[channel - 1] if channel else self._voice()
        peak = self._track.peak[weights > 0].max(initial=0.0)
        if peak > _LOUD:
            self.said.append(f"{self.path.name} has samples up to {peak:.1f}, full scale is 1: brought down to it")
        return (weights / max(peak, 1.0)).astype(np.float32)

    def _voice(self) -> np.ndarray:
        track, name = self._track, self.path.name
        size = np.sqrt(np.diag(track.gram))
        loudest = int(size.argmax())
        if track.center is not None and size[track.center] > _FAINT * size[loudest]:
            self.said.append(f"{name} has {track.channels} channels: the middle one is used")
            return np.eye(track.channels)[track.center]
        active = size > _FAINT * size[loudest] if size[loudest] else np.ones(track.channels, bool)
        mix = active / active.sum()
        alone = mix**2 @ np.diag(track.gram)  # what channels that have nothing in common would leave
        if mix @ track.gram @ mix < _CANCELS**2 * alone:
            self.said.append(f"{name}: its channels cancel each other, channel {loudest + 1} is used alone")
            return np.eye(track.channels)[loudest]
        if active.sum() < track.channels:
            used = " and ".join(str(number + 1) for number in np.flatnonzero(active))
            self.said.append(f"{name}: of its {track.channels} channels {used} carries sound, and is used")
        return mix


def read_audio(path: str | Path, rate: int = RATE, start: float | None = None, channel: int = 0) -> np.ndarray:
    """A whole sound file as float32 `[n]` in [-1, 1], mono; arguments and errors as for `SoundReader`.

    InputWarnings say what was decided.
    """
    reader = SoundReader(path, rate, start, channel=channel)
    for sentence in reader.said:
        warn(sentence, InputWarning, stacklevel=2)
    return np.concatenate(list(reader.blocks()))
