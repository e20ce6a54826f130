"""The `latent` codec on real pictures: face crops to motion latents, and latents to pictures."""

from collections.abc import Iterable, Mapping
from copy import copy
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from afjax import digests
from afjax.codec.base import FPS, Encoded
from afjax.codec.face.track.portraits import portrait_face
from afjax.codec.face.track.smoothing import BRIDGE, FADE, fill_gaps
from afjax.codec.face.track.tracker import FaceTracker
from afjax.codec.latent.config import LatentConfig
from afjax.codec.latent.crop import Square, box_of, crop, square_of
from afjax.codec.latent.network import decode, encode, motion, narrowed, prepare
from afjax.errors import InputError
from afjax.nn.precision import activation_dtype, matmul_precision

__all__ = ["Identity", "LatentCodec", "LiveLatent", "identified", "ready", "ready_at", "seen", "shown"]

BLOCK = 10
"""Frames that are rendered by one call of the compiled decoder."""
SETTLE = 2.0
"""Seconds of a clip whose faces place the square of the whole clip."""


class Identity(NamedTuple):
    """One person.

    Attributes:
      latent: `[dim]` identity.
      motion: `[dim]` motion latent of the portrait itself, the generator's reference.
      features: maps `[1, h, w, c]`, coarse first.
    """

    latent: jax.Array
    motion: jax.Array
    features: tuple[jax.Array, ...]


@jax.jit
@matmul_precision("float32")
def ready(params: Mapping[str, Any]) -> dict:
    """Parameters as `afjax.weights` loads them -> what `identified`, `seen` and `shown` take."""
    return prepare(params)


@partial(jax.jit, static_argnames="precision")
def ready_at(ready, precision: str) -> dict:
    """Parameters of `ready`, cast for a precision."""
    return narrowed(ready, activation_dtype(precision))


@partial(jax.jit, static_argnames="precision")
def identified(ready, picture, precision: str = "float32") -> Identity:
    """The identity of a picture uint8 `[size, size, 3]`."""
    with matmul_precision(precision):
        identity, coefficients, features = encode(ready, _signed(picture[None], precision))
        return Identity(identity[0], motion(ready, coefficients)[0], features)


@partial(jax.jit, static_argnames="precision")
def seen(ready, pictures, precision: str = "float32"):
    """Motion latents `[n, dim]` of pictures uint8 `[n, size, size, 3]`."""
    with matmul_precision(precision):
        return motion(ready, encode(ready, _signed(pictures, precision)).coefficients)


@partial(jax.jit, static_argnames="precision")
def shown(ready, identity: Identity, latents, precision: str = "float32"):
    """Pictures uint8 `[n, size, size, 3]` of an identity under motion latents `[n, dim]`."""
    with matmul_precision(precision):
        pictures = decode(ready, identity.latent + latents, identity.features)
    return jnp.round(jnp.clip((pictures + 1) / 2, 0, 1) * 255).astype(jnp.uint8)


def _signed(pictures: jax.Array, precision: str) -> jax.Array:
    """Pictures uint8, scaled to [-1, 1]."""
    return (pictures.astype(jnp.float32) / 127.5 - 1).astype(activation_dtype(precision))


class LatentCodec:
    """Frames to motion latents `[t, dim]` and back.

    Attributes:
      size: side of identities and rendered frames in pixels.
      channels: names of the motion's columns.
      precision: that of its computation (`afjax.nn.precision`).
    """

    def __init__(self, config: LatentConfig, params: Mapping[str, Any]):
        """Prepares parameters as `afjax.weights` loads them or `init_params` makes them."""
        self.config, self.precision = config, "float32"
        self.size = config.size
        self.channels = tuple(f"latent_{n}" for n in range(config.dim))
        self._ready = ready(params)

    def at(self, precision: str) -> "LatentCodec":
        """The same codec in another precision; ValueError if its weights have been rounded."""
        if self.precision == "bfloat16" != precision:
            raise ValueError("weights in bfloat16 are no others")
        made = copy(self)
        made.precision, made._ready = precision, ready_at(self._ready, precision)
        return made

    @property
    def sha256(self) -> str:
        """Digest of the weights as they are used."""
        return digests.of_params(self._ready)

    def identity(self, portrait: np.ndarray, face: int = 0) -> Identity:
        """The identity of a portrait, uint8 `[h, w, 3]` RGB; InputError where it shows no face or a tiny one.

        `face` as in `FaceCodec.identity`.
        """
        image, landmarks = portrait_face(portrait, face)
        square = square_of(box_of(landmarks.mesh)[None], *image.shape[:2], self.config.margin)
        return identified(self._ready, crop(image, square, self.size), self.precision)

    def encode(
        self, frames: Iterable[np.ndarray], fps: float = FPS, causal: bool = False, square: Square | None = None
    ) -> Encoded:
        """Motion latents of a clip, absolute; frames uint8 `[h, w, 3]` RGB, read once and in order.

        Without a `square` the first two seconds in which a face is seen place it, and their frames are held until then;
        `crop.clip_square` measures that of a whole clip. Short gaps without a face are bridged, in longer ones the face
        rests at its mean, as in the `face` codec. Latents are absolute: `causal` changes nothing. Raises InputError
        where there is no frame at all or no face in any.
        """
        del causal
        tracker, settle = FaceTracker(), max(1, round(SETTLE * fps))
        rows, confidence, held, boxes = {}, [], [], []
        for n, frame in enumerate(frames):
            landmarks = tracker.step(frame)
            confidence.append(0.0 if landmarks is None else landmarks.confidence)
            if landmarks is None:
                continue
            held.append((n, frame))
            if square is None:
                boxes.append(box_of(landmarks.mesh))
                if len(boxes) < settle:
                    continue
                square = square_of(np.stack(boxes), *frame.shape[:2], self.config.margin)
            rows |= self._rows(held, square)
            held.clear()
        if not confidence:
            raise InputError("the video has no frames", do="check that it plays in a video player")
        if held:
            square = square_of(np.stack(boxes), *held[-1][1].shape[:2], self.config.margin)
            rows |= self._rows(held, square)
        if not rows:
            do = "use a video that shows one face from the front"
            raise InputError(f"no face found in {len(confidence)} frames", do=do)
        found = np.isin(np.arange(len(confidence)), list(rows))
        latents = np.zeros((len(found), self.config.dim), np.float32)
        latents[found] = [rows[n] for n in np.flatnonzero(found)]
        rest = latents[found].mean(axis=0)
        latents = rest + fill_gaps(latents - rest, found, round(BRIDGE * fps), max(1, round(FADE * fps)))
        report = {
            "frames": len(found),
            "frames_with_face": int(found.sum()),
            "detections": tracker.detections,
            "cuts": len(tracker.cuts),
            "mean_confidence": float(np.mean(confidence)),
            "square": [square.left, square.top, square.side],
        }
        return Encoded(latents, found, np.array(confidence, np.float32), report, rest)

    def _rows(self, held: list[tuple[int, np.ndarray]], square: Square) -> dict[int, np.ndarray]:
        """Motion latents `[dim]` by frame number."""
        return {n: self.read(frame, square) for n, frame in held}

    def read(self, frame: np.ndarray, square: Square) -> np.ndarray:
        """The motion latent `[dim]` of a frame uint8 `[h, w, 3]` whose face is known to be in the square."""
        return np.asarray(seen(self._ready, crop(frame, square, self.size)[None], self.precision))[0]

    def tracker(self) -> "LiveLatent":
        """A tracker of a live camera, whose square the first face places."""
        return LiveLatent(self)

    def reference_motion(self, identity: Identity) -> np.ndarray:
        """The motion latent `[dim]` of the portrait."""
        return np.asarray(identity.motion)

    def coefficients(self, motion: np.ndarray) -> np.ndarray:
        """Coefficients `[..., k]` of motion latents `[..., dim]`; what lies outside of the directions' span is lost."""
        return np.asarray(motion) @ np.asarray(self._ready["directions"])

    def render(self, identity: Identity, motion: np.ndarray) -> np.ndarray:
        """Frames uint8 `[t, size, size, 3]` of an identity under motion latents `[t, dim]`, decoded by blocks of 10."""
        pictures = np.empty((len(motion), self.size, self.size, 3), np.uint8)
        for first in range(0, len(motion), BLOCK):
            block = np.asarray(motion[first : first + BLOCK], np.float32)
            count = len(block)
            block = np.pad(block, [(0, BLOCK - count), (0, 0)], mode="edge")
            pictures[first : first + count] = np.asarray(shown(self._ready, identity, block, self.precision))[:count]
        return pictures


class LiveLatent:
    """Motion latents of one person as the frames come."""

    def __init__(self, codec: LatentCodec):
        self._codec, self._faces, self._square = codec, FaceTracker(), None

    def step(self, frame: np.ndarray) -> np.ndarray | None:
        """Motion latent float32 `[dim]` of the next frame, uint8 `[h, w, 3]` RGB; None where no face is found."""
        landmarks = self._faces.step(frame)
        if landmarks is None:
            return None
        if self._square is None:
            box = box_of(landmarks.mesh)[None]
            self._square = square_of(box, *frame.shape[:2], self._codec.config.margin)
        return self._codec.read(frame, self._square)
