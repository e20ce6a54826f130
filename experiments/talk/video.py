"""The video of a conversation: rendered block by block, with both voices."""

import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator

from afjax.audio.framing import FPS
from afjax.codec.face.codec import FaceCodec
from afjax.codec.face.render.paste import Paste
from afjax.codec.face.render.portrait import without_background
from afjax.codec.face.track.portraits import portrait_face
from afjax.errors import InputError, InputWarning
from afjax.media.audio import SoundReader
from afjax.media.video import VideoInfo, read_frames
from afjax.media.writer import SOUND_RATE, VideoWriter
from experiments.cli import Progress, Watch, quiet
from experiments.talk.inputs import Inputs, fit

BLOCK = 10


def pasted(codec, identity, portrait: np.ndarray, face: int) -> Paste:
    """The whole photograph of an identity. Raises InputError for a codec that can't put it back."""
    if not isinstance(codec, FaceCodec):
        raise InputError("the model's codec has no photograph to go back to", "--paste_back", "leave it out")
    with quiet(), warnings.catch_warnings():  # said when the identity was made
        warnings.simplefilter("ignore", InputWarning)
        return Paste(portrait_face(portrait, face).image, identity)


def at_rate(motion: np.ndarray, fps: int) -> np.ndarray:
    """Motion `[t, d]` of 25 frames per second at another rate, `[t * fps / 25, d]`, without overshoot."""
    if fps == FPS or len(motion) < 2:
        return motion
    at = np.arange(-(-len(motion) * fps // FPS)) * FPS / fps
    return PchipInterpolator(np.arange(len(motion)), motion)(np.minimum(at, len(motion) - 1)).astype(np.float32)


def cut_out(codec, identity, motion: np.ndarray) -> np.ndarray:
    """Pictures with opacity uint8 `[t, h, w, 4]` of a person without background (`without_background`).

    A picture is p + (1 - a) B for a background B: black and white backgrounds together give p and a.
    """
    plate = np.asarray(identity.plate)
    over = [
        np.asarray(codec.render(identity._replace(plate=np.full_like(plate, level)), motion)).astype(np.float32)
        for level in (0.0, 255.0)
    ]
    opacity = np.clip(1 - (over[1] - over[0]).mean(axis=-1, keepdims=True) / 255, 0, 1)
    colour = np.clip(over[0] / np.maximum(opacity, 1 / 255), 0, 255)
    return np.round(np.concatenate([colour, 255 * opacity], axis=-1)).astype(np.uint8)


def write_talk(
    out: Path, inputs: Inputs, codec, identity, motion: np.ndarray, sound: str, beside: bool, watch: Watch,
    whole: Paste | None = None, fps: int = FPS, alpha: bool = False,
):  # fmt: skip
    """Renders motion `[t, d]` block by block into a video file with both voices.

    `sound`: "mix" both voices in both channels, "split" user left and avatar right, "avatar" without the user.
    `beside`: whether the user's picture is left of the avatar's; `whole`: photograph into which the avatar's picture is
    put back; `fps`: frames per second of the video; `alpha`: whether the background is left out.
    """
    height, width = whole.shape if whole else (codec.size, codec.size)
    user = _at_rate(_panel(inputs.video, height), fps) if beside else None
    motion = at_rate(motion, fps)
    identity = without_background(identity) if alpha else identity
    render = partial(cut_out, codec) if alpha else codec.render
    voices = _Voices(inputs, sound)
    with watch("compile"):
        render(identity, np.zeros((BLOCK, motion.shape[1]), np.float32))
    with VideoWriter(out, width=height + width if beside else width, height=height, fps=fps, alpha=alpha) as writer:
        with Progress(len(motion), "render") as progress:
            for first in range(0, len(motion), BLOCK):
                block = motion[first : first + BLOCK]
                count = len(block)
                with watch("render"):  # the last block is filled up, so that one shape is compiled
                    block = np.pad(block, [(0, BLOCK - count), (0, 0)], mode="edge")
                    pictures = np.asarray(render(identity, block))[:count]
                with watch("write"):
                    pictures = whole.frames(pictures) if whole else pictures
                    if user is not None:
                        left = np.stack([next(user) for _ in range(count)])
                        pictures = np.concatenate([left, pictures], axis=2)
                    writer.frames(pictures)
                    writer.sound(voices.take(count * SOUND_RATE // fps))
                progress.update(count)


class _Voices:
    """Both voices at the video's sample rate, read again from their files block by block."""

    def __init__(self, inputs: Inputs, sound: str):
        user, avatar = inputs.user_wave, inputs.avatar_wave
        use_user = user is not None and sound != "avatar"
        self._user = SoundReader(inputs.user_path, SOUND_RATE, inputs.user_start) if use_user else None
        self._avatar = SoundReader(inputs.avatar_path, SOUND_RATE) if avatar is not None else None
        self._split = sound == "split"
        mixed = self._user and self._avatar and not self._split
        both = fit(user, inputs.frames) + fit(avatar, inputs.frames) if mixed else None
        # a mix of two loud voices is turned down as a whole: clipping would crackle
        self._gain = 1.0 if both is None else min(1.0, 0.95 / max(float(np.abs(both).max()), 1e-6))

    def take(self, samples: int) -> np.ndarray:
        """The next float32 `[samples, 2]`."""
        silence = np.zeros(samples, np.float32)
        user = self._user.take(samples) if self._user else silence
        avatar = self._avatar.take(samples) if self._avatar else silence
        if self._split:
            return np.stack([user, avatar], axis=1)
        return np.repeat((self._gain * (user + avatar))[:, None], 2, axis=1)


def _at_rate(frames: Iterator[np.ndarray], fps: int) -> Iterator[np.ndarray]:
    """Endless frames of 25 per second at another rate: each is shown until the next one comes."""
    for n, frame in enumerate(frames):
        first, after = (-(-k * fps // FPS) for k in (n, n + 1))
        for _ in range(first, after):
            yield frame


def _panel(video: VideoInfo, side: int) -> Iterator[np.ndarray]:
    """The user's frames fitted into a square, endless: the last one stays."""
    canvas = np.full((side, side, 3), 24, np.uint8)
    for frame in read_frames(video, side):
        height, width = frame.shape[:2]
        top, left = (side - height) // 2, (side - width) // 2
        canvas = np.full((side, side, 3), 24, np.uint8)
        canvas[top : top + height, left : left + width] = frame
        yield canvas
    while True:
        yield canvas
