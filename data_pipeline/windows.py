"""Windows of conversations: the arrays that a model is trained on."""

from dataclasses import dataclass
from operator import itemgetter

import grain
import numpy as np

from afjax.normalizer import Normalizer
from afjax.user_delay import delayed, exchanged
from data_pipeline.schema import EVENT_KINDS, Conversation

Window = dict[str, np.ndarray]


def scale(clip: Conversation, normalizer: Normalizer, user_delay: int = 0) -> Window:
    """Standardised float32 arrays of a clip: avatar_motion, user_motion `[T, D]`, avatar_audio, user_audio `[T, F]`.

    `*_audio` are features; `cause_age` `[T, kinds]` is how many frames ago the user last gave each cause
    (`afjax.losses.causes`); `reference` `[D]` is the avatar's neutral face, zero in raw units where it is not known.
    Standardised means zero mean and unit deviation over the training split. The user's tracks come `user_delay` frames
    late, after silence and rest.
    """
    return {
        "avatar_motion": normalizer.scale_motion(clip.avatar_motion),
        "user_motion": normalizer.scale_motion(delayed(clip.user_motion, user_delay)),
        "avatar_audio": normalizer.scale_audio(clip.avatar_features.astype(np.float32)),
        "user_audio": normalizer.scale_audio(delayed(clip.user_features.astype(np.float32), user_delay)),
        "cause_age": cause_age(clip, user_delay),
        "reference": normalizer.scale_motion(clip.rest),
    }


def cause_age(clip: Conversation, user_delay: int = 0) -> np.ndarray:
    """Frames since the user last gave each kind of cause `[T, kinds]` float32, as tracks that come late show it.

    inf before the first; nan throughout a clip without any, since recordings do not name them.
    """
    age = np.full((clip.frames, len(EVENT_KINDS)), np.inf if len(clip.event_kind) else np.nan, np.float32)
    for kind, frame in sorted(zip(clip.event_kind, clip.event_frame + user_delay, strict=True), key=itemgetter(1)):
        age[frame:, kind] = np.arange(len(age) - frame) if frame < len(age) else ()
    return age


def cut(clip: Window, start: int, frames: int) -> Window:
    """Frames `start .. start + frames - 1` of every track; what belongs to the whole clip stays as it is."""
    return {name: array[start : start + frames] if array.ndim == 2 else array for name, array in clip.items()}


@dataclass(frozen=True)
class RandomWindow(grain.transforms.RandomMap):
    """A window of `frames` frames at a random place of the clip, and one of its losing motions there, if it has any.

    In a share `swap` of the windows the roles are exchanged. `window` is its name, the clip's own with the first frame
    added, and an `s` if it is swapped.
    """

    frames: int
    swap: float = 0.0
    user_delay: int = 0

    def random_map(self, element: Window, rng: np.random.Generator) -> Window:
        swapped = self.swap > 0 and rng.random() < self.swap
        if swapped:  # `reference` stays: each face's own neutral is zero in raw units
            element = element | exchanged(element, self.user_delay)
            whose = np.full((len(element["avatar_motion"]), len(EVENT_KINDS)), np.nan, np.float32)
            element["cause_age"] = whose  # they are causes of the one who has become the avatar
        total = len(element["avatar_motion"])
        start = int(rng.integers(total - self.frames + 1))
        if "losing_motion" in element:
            losing = element["losing_motion"]
            element = element | {"losing_motion": losing[rng.integers(len(losing))]}
        name = np.array(f"{element['window']}@{start}{'s' * swapped}")
        return cut(element, start, self.frames) | {"window": name}
