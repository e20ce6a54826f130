"""One conversation partner from real files: what `experiments.stream` reads, and how it puts the video together."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from afjax.audio.envelope import envelope, speaking
from afjax.audio.framing import FPS, RATE
from afjax.codec.base import Encoded
from afjax.codec.latent.codec import LatentCodec
from afjax.codec.latent.crop import clip_square
from afjax.errors import InputError
from afjax.media.audio import SoundReader
from afjax.media.container import optional
from afjax.media.image import read_portrait
from afjax.media.video import VideoInfo, probe, read_frames
from afjax.media.writer import SOUND_RATE, VideoWriter
from afjax.metrics import lipsync
from experiments.cli import Progress, Watch

__all__ = ["Inputs", "mouth_figures", "named", "read_inputs", "track_user", "write_talk"]

BLOCK = 10
TRACKING_SIDE = 960
"""Frames are scaled down to this side for tracking: the face models see at most 192 px of a face."""
REST = 8
"""Frames in which the user's face comes to rest where its clip ends."""


@dataclass(frozen=True)
class Inputs:
    """The files of one talk, read or ready to be read; None where there is none.

    Attributes:
      frames: T, of the longer of user and avatar.
      portrait: uint8 `[H, W, 3]`.
      video: the user's video.
      user_sound, user_start: file with the user's voice, and the time in it that belongs to frame 0.
      avatar_sound: file with the avatar's voice.
      user_audio, avatar_audio: the voices as long as they are, float32 `[S]` at 16 kHz.
      notes, warnings: sentences for the summary.
    """

    frames: int
    portrait: np.ndarray
    video: VideoInfo | None
    user_sound: Path | None
    user_start: float | None
    avatar_sound: Path | None
    user_audio: np.ndarray | None
    avatar_audio: np.ndarray | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


@contextmanager
def named(where: str | Path):
    """Puts the file's name before errors that come without it."""
    try:
        yield
    except InputError as error:
        if str(where) in str(error):
            raise
        raise InputError(str(error), where) from None


def read_inputs(portrait: str, user_video: str, user_audio: str, avatar_audio: str) -> Inputs:
    """Reads and checks every input file; an empty name means that there is none. Raises InputError."""
    if not (user_video or user_audio or avatar_audio):
        raise InputError("there is nothing to talk or listen to", do="give --user_video, --avatar_audio or both")
    notes, warnings = [], []
    video = probe(user_video) if user_video else None
    user_start = None
    if not user_audio and video and video.has_sound:
        user_audio, user_start = str(video.path), video.start
    user_wave = _voice("user", user_audio, user_start, notes, warnings)
    avatar_wave = _voice("avatar", avatar_audio, None, notes, warnings)
    if video and not user_audio:
        warnings.append("the user's video has no sound track: the user is silent")
    if video and abs(video.source_rate - FPS) > 0.01:
        notes.append(f"user video resampled from {video.source_rate:.2f} to {FPS} frames per second")

    heard = user_wave if video is None else None  # beside a video the user's sound does not set the length
    lengths = [_frames(wave) for wave in (heard, avatar_wave) if wave is not None]
    frames = max([*lengths, video.frames if video else 0])
    if video and video.frames < frames:
        warnings.append(f"the user's clip ends at {video.frames / FPS:.2f} s: held at rest to {frames / FPS:.2f} s")
    if avatar_wave is not None and _frames(avatar_wave) < frames:
        notes.append(f"the avatar's voice ends at {len(avatar_wave) / RATE:.2f} s: the avatar listens from there")
    return Inputs(
        frames=frames,
        portrait=read_portrait(portrait) if portrait else optional("skimage.data", "scikit-image").astronaut(),
        video=video,
        user_sound=Path(user_audio) if user_audio else None,
        user_start=user_start,
        avatar_sound=Path(avatar_audio) if avatar_audio else None,
        user_audio=user_wave,
        avatar_audio=avatar_wave,
        notes=tuple(notes),
        warnings=tuple(warnings),
    )


def _voice(who: str, path: str, start: float | None, notes: list[str], warnings: list[str]) -> np.ndarray | None:
    if not path:
        return None
    reader = SoundReader(path, start=start)
    if reader.source_rate != RATE or reader.channels > 1:
        mixed = f", {reader.channels} channels mixed down" if reader.channels > 1 else ""
        notes.append(f"{who} voice read at {reader.source_rate} Hz{mixed}, used at {RATE} Hz")
    wave = np.concatenate(list(reader.blocks()))
    if np.abs(wave).max() < 1e-4:
        warnings.append(f"the {who}'s voice is silent")
    return wave


def _frames(wave: np.ndarray) -> int:
    return -(-len(wave) * FPS // RATE)


def _fit(wave: np.ndarray, frames: int) -> np.ndarray:
    """Cut or followed by silence."""
    samples = frames * RATE // FPS
    return np.pad(wave[:samples], (0, max(0, samples - len(wave))))


def track_user(codec, video: VideoInfo, frames: int, warnings: list[str]):
    """Motion float32 `[frames, D]` of the user's video, at rest after its end, and the codec's report of the clip."""
    with named(video.path):
        encoded = _encode(codec, video)
    seen = int(encoded.found.sum())
    if seen < len(encoded.found):
        warnings.append(
            f"the user's face is found in {seen} of {len(encoded.found)} frames: "
            "short gaps are bridged, the face rests in longer ones"
        )
    motion = np.zeros((frames, encoded.motion.shape[1]), np.float32) + encoded.rest
    motion[: len(encoded.motion)] = encoded.motion
    tail = motion[len(encoded.motion) :][:REST]
    share = np.linspace(1, 0, REST + 1)[1 : len(tail) + 1, None].astype(np.float32)
    tail += share * (encoded.motion[-1] - encoded.rest)
    return motion, {"tracked": len(encoded.found), "with_face": seen, **encoded.report}


def _encode(codec, video: VideoInfo) -> Encoded:
    if not isinstance(codec, LatentCodec):
        return codec.encode(_frames_of(video, "track"))
    # by all of the clip, as in the authors' preprocessing
    square = clip_square(_frames_of(video, "place"), codec.config.margin)
    return codec.encode(_frames_of(video, "track"), square=square)


def _frames_of(video: VideoInfo, what: str) -> Iterator[np.ndarray]:
    """The clip from its start, with its progress."""
    with Progress(video.frames, what) as progress:
        for frame in read_frames(video, TRACKING_SIDE):
            yield frame
            progress.update()


def write_talk(out: Path, inputs: Inputs, codec, identity, motion: np.ndarray, sound: str, beside: bool, watch: Watch):
    """Renders motion `[T, D]` block by block into a video file with both voices.

    `sound`: "mix" both voices in both channels, "split" user left and avatar right, "avatar" without the user.
    `beside`: the user's picture to the left of the avatar's.
    """
    side = codec.size
    user = _panel(inputs.video, side) if beside else None
    voices = _Voices(inputs, sound)
    with watch("compile"):
        codec.render(identity, np.zeros((BLOCK, motion.shape[1]), np.float32))
    with VideoWriter(out, width=2 * side if beside else side, height=side) as writer:
        with Progress(len(motion), "render") as progress:
            for first in range(0, len(motion), BLOCK):
                block = motion[first : first + BLOCK]
                count = len(block)
                with watch("render"):  # the last block is filled up, so that one shape is compiled
                    block = np.pad(block, [(0, BLOCK - count), (0, 0)], mode="edge")
                    pictures = np.asarray(codec.render(identity, block))[:count]
                with watch("write"):
                    if user is not None:
                        left = np.stack([next(user) for _ in range(count)])
                        pictures = np.concatenate([left, pictures], axis=2)
                    writer.frames(pictures)
                    writer.sound(voices.take(count * SOUND_RATE // FPS))
                progress.update(count)


class _Voices:
    """Both voices at the video's sample rate, read again from their files a block at a time."""

    def __init__(self, inputs: Inputs, sound: str):
        user, avatar = inputs.user_audio, inputs.avatar_audio
        use_user = user is not None and sound != "avatar"
        self._user = SoundReader(inputs.user_sound, SOUND_RATE, inputs.user_start) if use_user else None
        self._avatar = SoundReader(inputs.avatar_sound, SOUND_RATE) if avatar is not None else None
        self._split = sound == "split"
        mixed = self._user and self._avatar and not self._split
        both = _fit(user, inputs.frames) + _fit(avatar, inputs.frames) if mixed else None
        # A mix of two loud voices is turned down as a whole: clipping would crackle.
        self._gain = 1.0 if both is None else min(1.0, 0.95 / max(float(np.abs(both).max()), 1e-6))

    def take(self, samples: int) -> np.ndarray:
        """The next float32 `[samples, 2]`."""
        silence = np.zeros(samples, np.float32)
        user = self._user.take(samples) if self._user else silence
        avatar = self._avatar.take(samples) if self._avatar else silence
        if self._split:
            return np.stack([user, avatar], axis=1)
        return np.repeat((self._gain * (user + avatar))[:, None], 2, axis=1)


def _panel(video: VideoInfo, side: int) -> Iterator[np.ndarray]:
    """The user's frames fitted into a square, without end: the last one stays."""
    canvas = np.full((side, side, 3), 24, np.uint8)
    for frame in read_frames(video, side):
        height, width = frame.shape[:2]
        top, left = (side - height) // 2, (side - width) // 2
        canvas = np.full((side, side, 3), 24, np.uint8)
        canvas[top : top + height, left : left + width] = frame
        yield canvas
    while True:
        yield canvas


def mouth_figures(motion: np.ndarray, channels: tuple[str, ...], avatar_audio) -> dict[str, float | None]:
    """How the generated mouth goes with the avatar's speech.

    None where there is too little speech or silence, a mouth that never moves has no lag, or motion has no `jaw_open`.

    `lip_envelope_corr` is the correlation of `jaw_open` with the speech envelope over frames of speech, at lag 0;
    `lip_envelope_lag_ms` where it peaks. `mouth_motion_*` is the mean change of `jaw_open` per frame; silence keeps
    0.2 s of distance to speech, since a mouth opens early and closes late.
    """
    names = ("lip_envelope_corr", "lip_envelope_lag_ms", "mouth_motion_speech", "mouth_motion_silence", "mouth_ratio")
    figures: dict[str, float | None] = dict.fromkeys(names)
    if avatar_audio is None or "jaw_open" not in channels:
        return figures
    jaw, frames = motion[:, channels.index("jaw_open")], len(motion)
    voiced = speaking(avatar_audio, frames)
    loudness = envelope(avatar_audio, frames)
    curve = lipsync.curve(jaw[None], loudness[None], voiced[None])
    if np.isfinite(curve).all():
        figures["lip_envelope_corr"] = float(lipsync.corr(curve)[0])
        lag = float(lipsync.lag(curve)[0])
        figures["lip_envelope_lag_ms"] = lag * 1000 / FPS if np.isfinite(lag) else None
    change = np.abs(np.diff(jaw, prepend=jaw[:1]))
    near = np.convolve(voiced, np.ones(11), "same") > 0
    for name, where in (("mouth_motion_speech", voiced), ("mouth_motion_silence", ~near)):
        if where.sum() >= FPS:
            figures[name] = float(change[where].mean())
    speech, silence = figures["mouth_motion_speech"], figures["mouth_motion_silence"]
    if speech is not None and silence:
        figures["mouth_ratio"] = speech / silence
    return figures
