"""Input files of `experiments.stream`: reading, checks, tracking of the user."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from afjax.audio.framing import FPS, RATE
from afjax.codec.base import Encoded
from afjax.codec.latent.codec import LatentCodec
from afjax.codec.latent.crop import clip_square
from afjax.errors import InputError, InputWarning
from afjax.media.audio import SoundReader
from afjax.media.container import optional
from afjax.media.image import read_portrait
from afjax.media.video import VideoInfo, probe, read_frames
from experiments import cli

__all__ = ["Inputs", "fit", "identity_of", "named", "read_inputs", "track_user"]


TRACKING_SIDE = 960
"""Side to which frames are scaled down for tracking: the face models see at most 192 px of a face."""


REST = 8
"""Frames in which the user's face comes to rest after the end of its clip."""


@dataclass(frozen=True)
class Inputs:
    """The files of one talk, read or ready to be read; None for missing ones.

    Attributes:
      frames: number T of frames, that of the longer of user and avatar.
      portrait: uint8 `[h, w, 3]`.
      video: the user's video.
      user_path, user_start: file with the user's voice, and the time in it that belongs to frame 0.
      avatar_path: file with the avatar's voice.
      user_wave, avatar_wave: the voices as long as they are, float32 `[s]` at 16 kHz.
      notes, warnings: sentences for the summary.
    """

    frames: int
    portrait: np.ndarray
    video: VideoInfo | None
    user_path: Path | None
    user_start: float | None
    avatar_path: Path | None
    user_wave: np.ndarray | None
    avatar_wave: np.ndarray | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


@contextmanager
def named(where: str | Path):
    """Puts the file's name before errors that lack it."""
    try:
        yield
    except InputError as error:
        if str(where) in str(error):
            raise
        raise InputError(str(error), where) from None


def read_inputs(portrait: str, user_video: str, user_audio: str, avatar_audio: str) -> Inputs:
    """Reads and checks every input file; an empty name means that there is none. Raises InputError."""
    if not (user_video or user_audio or avatar_audio):
        raise InputError(
            "there is nothing to talk or listen to", do="give --user_video, --avatar_audio (or --avatar_text), or both"
        )
    notes, doubts = [], []
    video = probe(user_video) if user_video else None
    user_start = None
    if not user_audio and video and video.has_sound:
        user_audio, user_start = str(video.path), video.start
    user_wave = _voice("user", user_audio, user_start, notes, doubts)
    avatar_wave = _voice("avatar", avatar_audio, None, notes, doubts)
    if video and not user_audio:
        doubts.append("the user's video has no sound track: the user is silent")
    if video and abs(video.source_rate - FPS) > 0.01:
        notes.append(f"user video resampled from {video.source_rate:.2f} to {FPS} frames per second")

    heard = user_wave if video is None else None  # the user's sound does not set the length beside a video
    lengths = [_frames(wave) for wave in (heard, avatar_wave) if wave is not None]
    frames = max([*lengths, video.frames if video else 0])
    if video and video.frames < frames:
        doubts.append(f"the user's clip ends at {video.frames / FPS:.2f} s: held at rest to {frames / FPS:.2f} s")
    if avatar_wave is not None and _frames(avatar_wave) < frames:
        notes.append(f"the avatar's voice ends at {len(avatar_wave) / RATE:.2f} s: the avatar listens from there")
    return Inputs(
        frames=frames,
        portrait=read_portrait(portrait) if portrait else optional("skimage.data", "scikit-image").astronaut(),
        video=video,
        user_path=Path(user_audio) if user_audio else None,
        user_start=user_start,
        avatar_path=Path(avatar_audio) if avatar_audio else None,
        user_wave=user_wave,
        avatar_wave=avatar_wave,
        notes=tuple(notes),
        warnings=tuple(doubts),
    )


def _voice(who: str, path: str, start: float | None, notes: list[str], doubts: list[str]) -> np.ndarray | None:
    if not path:
        return None
    reader = SoundReader(path, start=start)
    doubts += reader.said
    if reader.source_rate != RATE or reader.channels > 1:
        mixed = f", {reader.channels} channels" if reader.channels > 1 else ""
        notes.append(f"{who} voice read at {reader.source_rate} Hz{mixed}, used at {RATE} Hz")
    wave = np.concatenate(list(reader.blocks()))
    if np.abs(wave).max() < 1e-4:
        doubts.append(f"the {who}'s voice is silent")
    return wave


def _frames(wave: np.ndarray) -> int:
    return -(-len(wave) * FPS // RATE)


def fit(wave: np.ndarray, frames: int) -> np.ndarray:
    """The sound of `frames` frames, cut or followed by silence."""
    samples = frames * RATE // FPS
    return np.pad(wave[:samples], (0, max(0, samples - len(wave))))


def identity_of(codec, portrait: np.ndarray, face: int, where: str, said: list[str]):
    """The codec's identity of a portrait; what it decided for the user goes to `said`."""
    with named(where), cli.quiet(), warnings.catch_warnings(record=True) as caught:  # face models greet on stderr
        warnings.simplefilter("always", InputWarning)
        identity = codec.identity(portrait, face)
    said += [str(each.message) for each in caught if issubclass(each.category, InputWarning)]
    return identity


def track_user(codec, video: VideoInfo, frames: int, doubts: list[str]):
    """Motion float32 `[frames, d]` of the user's video, at rest after its end, and the codec's report of the clip."""
    with named(video.path):
        encoded = _encode(codec, video)
    seen = int(encoded.found.sum())
    if seen < len(encoded.found):
        doubts.append(
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
        return codec.encode(_frames_of(video, "track"), causal=True)
    # the square is found from the whole clip, as in the authors' preprocessing
    square = clip_square(_frames_of(video, "place"), codec.config.margin)
    return codec.encode(_frames_of(video, "track"), square=square)


def _frames_of(video: VideoInfo, what: str) -> Iterator[np.ndarray]:
    """The clip from its start, with its progress."""
    with cli.Progress(video.frames, what) as progress:
        for frame in read_frames(video, TRACKING_SIDE):
            yield frame
            progress.update()
