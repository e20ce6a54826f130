"""Windows of conversations: the arrays that a model is trained on."""

from dataclasses import dataclass
from operator import itemgetter

import grain
import numpy as np

from afjax.errors import InputError
from afjax.normalizer import Normalizer
from afjax.user_delay import delayed, exchanged
from data_pipeline.preferences import Losing
from data_pipeline.schema import EVENT_KINDS, Conversation
from data_pipeline.shards import Piece, Split

Window = dict[str, np.ndarray]


def tracks(clip: Conversation | Piece, user_delay: int = 0, silence: np.ndarray | float = 0.0) -> Window:
    """Arrays of a clip as stored: avatar_motion, user_motion `[t, d]`, avatar_features, user_features `[t, f]`.

    `cause_age` `[t, kinds]` is how many frames ago the user last gave each cause (`afjax.losses.causes`).
    `reference_motion` `[d]` is the avatar's neutral face, zero in raw units where it is not known. The user's tracks
    come `user_delay` frames late; before them are the features of `silence` and the motion of the avatar's face at
    rest.
    """
    return {
        "avatar_motion": clip.avatar_motion,
        "user_motion": delayed(clip.user_motion, user_delay, clip.rest),
        "avatar_features": clip.avatar_features,
        "user_features": delayed(clip.user_features, user_delay, silence),
        "cause_age": cause_age(clip, user_delay),
        "reference_motion": clip.rest,
    }


def scale(clip: Conversation | Piece, normalizer: Normalizer, user_delay: int = 0) -> Window:
    """`tracks`, float32 and standardised: zero mean and unit deviation over the training split."""
    return normalizer.scale(tracks(clip, user_delay, normalizer.audio_silence))


def cause_age(clip: Conversation | Piece, user_delay: int = 0) -> np.ndarray:
    """Frames since the user last gave each kind of cause, float32 `[t, kinds]`, by tracks that come `user_delay` late.

    inf before the first; nan throughout a clip without any, since recordings do not name them.
    """
    age = np.full((clip.frames, len(EVENT_KINDS)), np.inf if len(clip.event_kind) else np.nan, np.float32)
    for kind, frame in sorted(zip(clip.event_kind, clip.event_frame + user_delay, strict=True), key=itemgetter(1)):
        age[max(frame, 0) :, kind] = np.arange(max(-frame, 0), len(age) - frame)
    return age


def cut(clip: Window, start: int, frames: int) -> Window:
    """Frames `start .. start + frames - 1` of every track; arrays of the whole clip stay as they are."""
    return {name: array[start : start + frames] if array.ndim == 2 else array for name, array in clip.items()}


@dataclass(frozen=True)
class Clip:
    """A conversation of a split by its number, unread, with the split's losing motions, if there are any."""

    split: Split
    number: int
    name: str
    losing: Losing | None = None

    @property
    def frames(self) -> int:
        return int(self.split.frames[self.number])

    def piece(self, start: int, stop: int) -> Piece:
        """Frames `start .. stop - 1`."""
        return self.split.piece(self.number, start, stop)

    def losing_motion(self, which: int) -> np.ndarray:
        """One of its losing motions `[t, d]`. Raises InputError for one of another length."""
        motion = self.losing[self.number][which]
        if len(motion) != self.frames:
            what = f"{self.name}: losing samples of {len(motion)} frames, not {self.frames}"
            raise InputError(what, self.losing.folder)
        return motion


@dataclass(frozen=True)
class Place:
    """The place of a window: its `clip`, its first frame, and whether the roles are exchanged.

    `losing`: which of the losing motions, if there are any. The window's name is the clip's name with the first frame,
    and an `s` if it is swapped.
    """

    clip: Clip
    start: int
    swapped: bool
    losing: int | None

    @property
    def name(self) -> np.ndarray:
        return np.array(f"{self.clip.name}@{self.start}{'s' * self.swapped}")


@dataclass(frozen=True)
class RandomPlace(grain.transforms.RandomMap):
    """A place for a window of `frames` frames in a clip; the roles are exchanged in a share `swap` of them.

    First frames are multiples of `step`. Nothing is read.
    """

    frames: int
    swap: float = 0.0
    user_delay: int = 0
    step: int = 1

    def random_map(self, element: Clip, rng: np.random.Generator) -> Place:
        swapped = self.swap > 0 and rng.random() < self.swap
        total = element.frames - 2 * self.user_delay * swapped
        start = self.step * int(rng.integers((total - self.frames) // self.step + 1))
        return Place(element, start, swapped, int(rng.integers(element.losing.each)) if element.losing else None)


@dataclass(frozen=True)
class ReadWindow(grain.transforms.Map):
    """The window at a place, `tracks` of its frames with its name, `window`, read from disk.

    `earlier`: if not 0, the user's motion in as many frames before the window comes with it, `earlier_user_motion`
    `[earlier, d]`, as late as the window's own, and nan before the conversation.
    """

    frames: int
    user_delay: int = 0
    silence: np.ndarray | float = 0.0
    earlier: int = 0

    def map(self, element: Place) -> Window:
        first, end = element.start, element.start + self.frames
        if element.swapped:
            piece = element.clip.piece(first, end + 2 * self.user_delay)
            made = tracks(piece, self.user_delay, self.silence)
            found = made | exchanged(made, self.user_delay) | {"reference_motion": piece.user_rest}
            # the known causes are those of the person who has become the avatar
            found["cause_age"] = np.full((self.frames, len(EVENT_KINDS)), np.nan, np.float32)
        else:  # frames of a late user before the window
            begun = max(first - self.user_delay, 0)
            seen = tracks(element.clip.piece(begun, end), self.user_delay, self.silence)
            found = cut(seen, first - begun, self.frames)
        if element.losing is not None:
            found["losing_motion"] = element.clip.losing_motion(element.losing)[first:end]
        if self.earlier:
            found["earlier_user_motion"] = self._earlier(element, found["reference_motion"])
        return found | {"window": element.name}

    def _earlier(self, place: Place, rest: np.ndarray) -> np.ndarray:
        """The motion `[earlier, d]` of the window's user before it. A user who is late rests in the first frames."""
        name, late = ("avatar_motion", 0) if place.swapped else ("user_motion", self.user_delay)
        stop = max(place.start - late, 0)
        seen = place.clip.split.track(place.clip.number, name, max(stop - self.earlier, 0), stop)
        nothing = np.full((self.earlier, len(rest)), np.nan, seen.dtype)
        resting = np.broadcast_to(rest, (min(late, place.start), len(rest))).astype(seen.dtype)
        return np.concatenate([nothing, resting, seen])[-self.earlier :]
