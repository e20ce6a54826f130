"""Windows of conversations: the arrays that a model is trained on."""

from dataclasses import dataclass

import grain
import numpy as np

from afjax.normalizer import Normalizer
from afjax.user_delay import delayed, exchanged
from data_pipeline.schema import Conversation

Window = dict[str, np.ndarray]


def scale(clip: Conversation, normalizer: Normalizer, user_delay: int = 0) -> Window:
    """Standardised float32 arrays of a clip: avatar_motion, user_motion `[T, D]`, avatar_audio, user_audio `[T, F]`.

    `*_audio` are features; `reference` `[D]` is the avatar's neutral face, zero in raw units where the record has none.
    Standardised means zero mean and unit deviation over the training split. The user's tracks come `user_delay` frames
    late, after silence and rest.
    """
    return {
        "avatar_motion": normalizer.scale_motion(clip.avatar_motion),
        "user_motion": normalizer.scale_motion(delayed(clip.user_motion, user_delay)),
        "avatar_audio": normalizer.scale_audio(clip.avatar_features.astype(np.float32)),
        "user_audio": normalizer.scale_audio(delayed(clip.user_features.astype(np.float32), user_delay)),
        "reference": normalizer.scale_motion(clip.rest),
    }


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
        total = len(element["avatar_motion"])
        start = int(rng.integers(total - self.frames + 1))
        if "losing_motion" in element:
            losing = element["losing_motion"]
            element = element | {"losing_motion": losing[rng.integers(len(losing))]}
        name = np.array(f"{element['window']}@{start}{'s' * swapped}")
        return cut(element, start, self.frames) | {"window": name}
