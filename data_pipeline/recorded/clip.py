"""One clip of a recorded conversation: from the frames and the voices of both people to a record."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from afjax.audio.envelope import envelope
from afjax.audio.framing import FPS, FRAME
from afjax.codec.base import Codec
from afjax.codec.face.channels import CHANNELS
from afjax.codec.face.codec import FaceCodec
from afjax.codec.face.track.coefficients import measure, neutral_of, relative, turned
from afjax.codec.face.track.template import load_template
from afjax.codec.face.track.tracker import FaceTracker
from afjax.codec.latent.crop import Square, crop
from afjax.errors import InputError
from data_pipeline.recorded import quality
from data_pipeline.recorded.metering import stage
from data_pipeline.recorded.pairs import ROLES, Pair
from data_pipeline.recorded.shots import FOUND, STRIDE
from data_pipeline.recorded.sync import mouth_speed
from data_pipeline.records import EXTRACTOR
from data_pipeline.schema import Conversation

SIZE = 512
"""Largest side of the pictures that faces are tracked in."""
HELD = 0.7
"""Share of a clip's frames that may repeat the frame before."""
SAME = 0.1
"""Mean difference, of 255, below which a frame repeats the one before."""
SPOKEN = 0.02
"""Share of a clip in which at least one of the two must speak."""
MOMENTS, THUMB = 6, 96
DESCRIBED = 2
"""Distance in moments between descriptions of the face."""
DESCRIPTOR = 128
"""Size of a description."""


@dataclass(frozen=True)
class Voice:
    """A person's sound `[s]` at 16 kHz over the whole conversation, and the frames `[t]` in which they speak."""

    wave: np.ndarray
    speaking: np.ndarray


@dataclass(frozen=True)
class Clip:
    """A record, and further data of its clip.

    Attributes:
      record: the conversation.
      mouths, loud: speed of the mouth and loudness of the voice `[t]` by role, for the sync check.
      pictures: a row of moments `[THUMB, MOMENTS * THUMB, 3]` by role.
      figures: figures for the table; quality: numbers by role (`recorded.quality`).
      faces: descriptors `[2, 128]` in the order of ROLES, nan where no face was described; None if not asked for.
    """

    record: Conversation
    mouths: dict[str, np.ndarray]
    loud: dict[str, np.ndarray]
    pictures: dict[str, np.ndarray]
    figures: dict[str, Any]
    quality: dict[str, dict[str, float | None]]
    faces: np.ndarray | None


def load_codec(weights: str) -> Codec:
    """The `face` codec, or the `latent` one of a folder of `experiments.convert` or `experiments.train_autoencoder`."""
    if not weights:
        return FaceCodec()
    if is_run(weights):
        from afjax.avatar.codecs import load_autoencoder

        return load_autoencoder(weights)
    from afjax.codec.latent.codec import LatentCodec
    from afjax.weights.convert import load

    part = load(weights).autoencoder
    return LatentCodec(part.config, part.params())


def is_run(weights: str) -> bool:
    """Whether a codec's folder is one of `experiments.train_autoencoder`."""
    return (Path(weights).expanduser() / "checkpoints").is_dir()


def make(
    pair: Pair,
    start: int,
    length: int,
    squares: dict[str, Square],
    frames: dict[str, Iterator[np.ndarray]],
    voices: dict[str, Voice],
    codec: Codec,
    identity: bool = False,
) -> Clip:
    """Frames `start .. start + length - 1` of a conversation as a record; its seed is 0.

    Args:
      squares, voices: by role; frames: by role, iterators whose next frame is `start`. They are always read to the
        clip's end, so that the next clip can follow.
      identity: whether faces are described.

    Raises InputError with what is wrong with the clip.
    """
    seen, faults = {}, []
    for role in ROLES:
        watched = Watched(frames[role], length, squares[role], codec.channels != CHANNELS, identity)
        try:
            with stage("clips: motion"):
                seen[role] = watched.encode(codec)
        except InputError as error:
            faults.append(f"{role}: {error}")
        finally:
            watched.finish()
    if faults:
        raise InputError(faults[0])
    span = slice(start, start + length)
    speaking = {role: voices[role].speaking[span] for role in ROLES}
    if max(speaking[role].mean() for role in ROLES) < SPOKEN:
        raise InputError("nobody speaks in it")
    sound = {role: voices[role].wave[span.start * FRAME : span.stop * FRAME] for role in ROLES}
    none = np.zeros(0, np.int32)
    with stage("features"):
        heard = {role: EXTRACTOR.clip(sound[role], length).astype(np.float16) for role in ROLES}
    record = Conversation(
        **{f"{role}_motion": seen[role].motion for role in ROLES},
        **{f"{role}_features": heard[role] for role in ROLES},
        **{f"{role}_speaking": speaking[role] for role in ROLES},
        **{f"{role}_wave": np.round(32767 * sound[role].clip(-1, 1)).astype(np.int16) for role in ROLES},
        event_kind=none, event_frame=none, event_responded=none.astype(bool), event_response=none,
        seed=0, avatar_voice=pair.avatar.person, user_voice=pair.user.person,
        **{f"{role}_reference": np.float32(seen[role].rest) if np.ndim(seen[role].rest) else None for role in ROLES},
    )  # fmt: skip
    figures = {f"{role}_face": round(seen[role].found, 3) for role in ROLES}
    figures |= {f"{role}_speaks": round(float(speaking[role].mean()), 3) for role in ROLES}
    with stage("quality"):
        loud = loudness(record)
        numbers = {role: _numbers(role, seen[role], loud[role], sound, speaking) for role in ROLES}
    faces = np.stack([seen[role].face for role in ROLES]) if identity else None
    mouths, pictures = {r: seen[r].mouth for r in ROLES}, {r: seen[r].pictures for r in ROLES}
    return Clip(record, mouths, loud, pictures, figures, numbers, faces)


def _numbers(role: str, seen: "Seen", loud: np.ndarray, sound: dict, speaking: dict) -> dict[str, float | None]:
    """Quality numbers of one person in a clip, except those that need more than the clip."""
    other = ROLES[1 - ROLES.index(role)]
    return {
        "face_share": seen.found,
        "sharpness": seen.sharpness,
        **seen.turned,
        "bleed": quality.bleed(sound[role], sound[other], speaking[role], speaking[other]),
        **quality.of_sync(seen.mouth, loud),
        "speech": float(speaking[role].mean()),
    }


def loudness(clip: Conversation) -> dict[str, np.ndarray]:
    """Loudness `[t]` of both voices by role."""
    return {role: envelope(getattr(clip, f"{role}_wave") / np.float32(32768), clip.frames) for role in ROLES}


@dataclass(frozen=True)
class Seen:
    """One person in one clip: `motion` `[t, d]` and its `rest`, `mouth` `[t]`, share of frames `found`, `pictures`.

    `sharpness`, `turned`: numbers of `recorded.quality`; `face`: descriptor `[128]`, nan if there is none.
    """

    motion: np.ndarray
    rest: np.ndarray | float
    mouth: np.ndarray
    found: float
    pictures: np.ndarray
    sharpness: float
    turned: dict[str, float | None]
    face: np.ndarray


@dataclass
class Watched:
    """The face's square of the next `length` frames, watched while a codec reads it.

    Moments for the contact sheet are kept and repeated frames counted. `mouth` also has the face measured for the sync
    check, where the codec's motion doesn't tell what the mouth does.
    """

    frames: Iterator[np.ndarray]
    length: int
    square: Square
    mouth: bool
    identity: bool = False
    read: int = 0
    held: int = 0
    moments: list[np.ndarray] = field(default_factory=list)
    raw: list[np.ndarray] = field(default_factory=list)
    sharp: list[float] = field(default_factory=list)
    faces: list[np.ndarray] = field(default_factory=list)

    def encode(self, codec: Codec) -> Seen:
        if self.mouth:
            side = min(SIZE, self.square.side)
            encoded = codec.encode(self, FPS, square=Square(0, 0, side))
            mouth = self._measured()
        else:
            encoded = codec.encode(self, FPS)
            mouth = mouth_speed(encoded.motion)
        if self.read < self.length:
            raise InputError(f"the video ends after {self.read} of {self.length} frames")
        found = float(encoded.found.mean())
        if found < FOUND:
            raise InputError(f"a face is seen in {found:.0%} of it")
        if self.held > HELD * self.length:
            raise InputError(f"the picture stands still in {self.held / self.length:.0%} of it")
        pictures, sharp = np.concatenate(self.moments, axis=1), float(np.median(self.sharp))
        angles = turned(np.stack(self.raw)) if self.raw else encoded.report
        face = np.median(self.faces, axis=0) if self.faces else np.full(DESCRIPTOR, np.nan)
        angles = {name: angles.get(name) for name in ("yaw", "pitch")}
        return Seen(encoded.motion, encoded.rest, mouth, found, pictures, sharp, angles, face)

    def __iter__(self) -> Iterator[np.ndarray]:
        wanted = set(np.linspace(0, self.length - 1, MOMENTS).astype(int).tolist())
        side, last = min(SIZE, self.square.side), None
        tracker, template = FaceTracker() if self.mouth else None, load_template()
        for _ in range(self.length - self.read):
            if (frame := next(self.frames, None)) is None:
                return
            picture = crop(frame, self.square, side)
            self.held += last is not None and np.abs(np.subtract(picture, last, dtype=np.int16)).mean() < SAME
            if self.read in wanted:
                if self.identity and len(self.moments) % DESCRIBED == 0:
                    with stage("identity"):
                        self.faces += [] if (face := _descriptor()(picture)) is None else [face]
                self.moments.append(crop(picture, Square(0, 0, side), THUMB))
            if self.read % STRIDE == 0:
                with stage("quality"):
                    self.sharp.append(quality.sharpness(picture))
            if tracker and (landmarks := tracker.step(picture)) is not None:
                self.raw.append(measure(landmarks, side, template))
            elif self.raw:
                self.raw.append(self.raw[-1])
            self.read, last = self.read + 1, picture
            yield picture

    def _measured(self) -> np.ndarray:
        """The mouth's speed `[t]`, 0 where no face is seen."""
        raw = np.stack(self.raw[:1] * (self.length - len(self.raw)) + self.raw)
        return mouth_speed(relative(raw, neutral_of(raw)))

    def finish(self):
        """Reads what is left of the clip."""
        while self.read < self.length and next(self.frames, None) is not None:
            self.read += 1


@lru_cache(1)  # once per process
def _descriptor():
    from afjax.metrics.pretrained.dlib_face import DlibFace

    return DlibFace()


def sheet(clip: Clip) -> bytes:
    """The clip's contact sheet as a JPEG file: the user above, the avatar below."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.concatenate([clip.pictures["user"], clip.pictures["avatar"]])).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
