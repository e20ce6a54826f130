"""One conversation in memory and on disk.

A conversation on disk is a zip of plain arrays (npz) plus one JSON string. Nothing in it is an object, so that reading
a record runs none of its code. T frames at 25 fps, D motion channels, F features, E events.
"""

import io
import json
import zipfile
from dataclasses import dataclass, fields

import numpy as np

from afjax.audio.framing import FRAME
from afjax.errors import InputError

VERSION = 2
EVENT_KINDS = (
    "smile", "nod", "hum", "rising_tone", "hidden_laugh", "surprise", "interruption", "laugh",
    "user_nod", "head_shake", "lean", "broad_laugh", "raised_brows", "knit_brows", "look_back",
)  # fmt: skip
"""Causes on the user's side. `nod` is the end of a phrase or an emphasised word, at which a listener nods; `user_nod`
is
the user's own nod, `broad_laugh` a laugh that is seen and not heard, `look_back` the end of a look away."""

_MAX_RECORD = 1 << 28


@dataclass(frozen=True)
class Conversation:
    """Two people for t frames: the avatar, who may react, and the user, whom the avatar does not affect.

    Motion is float32 `[t, d]` in raw channel units, features float16 `[t, f]`, speaking bool `[t]`. Events `[e]`: kind
    (index into EVENT_KINDS), frame of the cause, whether the avatar reacted, frame at which it begins to (-1: none).
    `avatar_reference` and `user_reference` `[d]` are the faces at rest, where the codec's motion isn't relative to
    them. None means zero; for the user beside a known avatar's, not known. Evaluation records also hold
    `avatar_oracle`, the avatar of the same conversation under other private noise, and the sound of both sides, int16
    `[t * 640]`.
    """

    avatar_motion: np.ndarray
    user_motion: np.ndarray
    avatar_features: np.ndarray
    user_features: np.ndarray
    avatar_speaking: np.ndarray
    user_speaking: np.ndarray
    event_kind: np.ndarray
    event_frame: np.ndarray
    event_responded: np.ndarray
    event_response: np.ndarray
    seed: int
    avatar_voice: str
    user_voice: str
    avatar_oracle: np.ndarray | None = None
    avatar_wave: np.ndarray | None = None
    user_wave: np.ndarray | None = None
    avatar_reference: np.ndarray | None = None
    user_reference: np.ndarray | None = None

    def __post_init__(self):
        check(self)

    @property
    def frames(self) -> int:
        return len(self.avatar_motion)

    @property
    def rest(self) -> np.ndarray:
        """The avatar's motion `[d]` at rest."""
        return np.zeros_like(self.avatar_motion[0]) if self.avatar_reference is None else self.avatar_reference

    @property
    def user_rest(self) -> np.ndarray:
        """The user's motion `[d]` at rest, zero where it isn't known."""
        return np.zeros_like(self.user_motion[0]) if self.user_reference is None else self.user_reference

    def event_frames(self) -> dict[str, np.ndarray]:
        """Frames of the events by kind."""
        return {kind: self.event_frame[self.event_kind == index] for index, kind in enumerate(EVENT_KINDS)}


EARLIER_ARRAYS = {"avatar_audio": "avatar_wave", "user_audio": "user_wave"}
"""Earlier name of an array of records, and its name today."""


META = ("seed", "avatar_voice", "user_voice")
_OPTIONAL = ("avatar_oracle", "avatar_wave", "user_wave", "avatar_reference", "user_reference")
ARRAYS = tuple(field.name for field in fields(Conversation) if field.name not in META)
DTYPES = {
    "avatar_motion": "float32",
    "user_motion": "float32",
    "avatar_features": "float16",
    "user_features": "float16",
    "avatar_speaking": "bool",
    "user_speaking": "bool",
    "event_kind": "int32",
    "event_frame": "int32",
    "event_responded": "bool",
    "event_response": "int32",
    "avatar_oracle": "float32",
    "avatar_wave": "int16",
    "user_wave": "int16",
    "avatar_reference": "float32",
    "user_reference": "float32",
}


def check(clip: Conversation) -> None:
    """Raises InputError if an array has the wrong type, shape or values."""
    frames, channels = np.shape(clip.avatar_motion) if np.ndim(clip.avatar_motion) == 2 else (0, 0)
    if not frames:
        raise InputError(f"avatar_motion has shape {np.shape(clip.avatar_motion)}", f"conversation {clip.seed}")
    features = np.shape(clip.user_features)[-1] if np.ndim(clip.user_features) == 2 else 0
    events = np.size(clip.event_kind)
    for name in ARRAYS:
        array = getattr(clip, name)
        if array is None and name in _OPTIONAL:
            continue
        shape = _shape(name, frames, channels, features, events)
        if not isinstance(array, np.ndarray) or array.dtype != DTYPES[name] or array.shape != shape:
            found = f"{getattr(array, 'dtype', type(array).__name__)}{list(np.shape(array))}"
            raise InputError(f"{name} is {found}, not {DTYPES[name]}{list(shape)}", f"conversation {clip.seed}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(f"{name} has numbers that are not finite", f"conversation {clip.seed}")
    if events and not (
        0 <= clip.event_kind.min() <= clip.event_kind.max() < len(EVENT_KINDS)
        and 0 <= clip.event_frame.min() <= clip.event_frame.max() < frames
    ):
        raise InputError("an event has no known kind or lies outside the clip", f"conversation {clip.seed}")


def _shape(name: str, frames: int, channels: int, features: int, events: int) -> tuple[int, ...]:
    if name.endswith("wave"):
        return (frames * FRAME,)
    if name.startswith("event"):
        return (events,)
    if name.endswith("speaking"):
        return (frames,)
    if name.endswith("reference"):
        return (channels,)
    return (frames, features if name.endswith("features") else channels)


def encode(clip: Conversation) -> bytes:
    """Conversation -> bytes of one record."""
    arrays = {name: getattr(clip, name) for name in ARRAYS if getattr(clip, name) is not None}
    meta = json.dumps({name: getattr(clip, name) for name in META})
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.frombuffer(meta.encode(), np.uint8), **arrays)
    return buffer.getvalue()


def decode(record: bytes) -> Conversation:
    """Bytes of one record -> Conversation. Raises InputError for anything that `encode` did not write."""
    try:
        with zipfile.ZipFile(io.BytesIO(record)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_RECORD:
                raise InputError("a record unpacks to more than 256 MiB")
        with np.load(io.BytesIO(record), allow_pickle=False) as archive:
            arrays = {EARLIER_ARRAYS.get(name, name): archive[name] for name in archive.files}
        meta = json.loads(arrays.pop("meta").tobytes())
        return Conversation(**arrays, **meta)
    except InputError:
        raise
    except Exception as error:  # zipfile, numpy and json raise a dozen kinds for broken bytes
        raise InputError(f"a record is no conversation ({error})", do="build the data again") from None
