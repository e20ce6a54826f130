"""Windows of conversations: the arrays that a model is trained on."""

from dataclasses import dataclass

import grain
import numpy as np

from afjax.normalizer import Statistics
from afjax.user_delay import delayed
from data_pipeline.schema import Conversation

Window = dict[str, np.ndarray]


def scale(clip: Conversation, statistics: Statistics, user_delay: int = 0) -> Window:
    """Standardised float32 arrays of a clip: avatar_motion, user_motion `[T, D]`, avatar_audio, user_audio `[T, F]`.

    `*_audio` are features; `reference` `[D]` is the avatar's neutral face, zero in raw units where the record has none.
    Standardised means zero mean and unit deviation over the training split. The user's tracks come `user_delay` frames
    late, after silence and rest.
    """
    return {
        "avatar_motion": statistics.scale_motion(clip.avatar_motion),
        "user_motion": statistics.scale_motion(delayed(clip.user_motion, user_delay)),
        "avatar_audio": statistics.scale_audio(clip.avatar_features.astype(np.float32)),
        "user_audio": statistics.scale_audio(delayed(clip.user_features.astype(np.float32), user_delay)),
        "reference": statistics.scale_motion(clip.rest),
    }


def cut(clip: Window, start: int, frames: int) -> Window:
    """Frames `start .. start + frames - 1` of every track; what belongs to the whole clip stays as it is."""
    return {name: array[start : start + frames] if array.ndim == 2 else array for name, array in clip.items()}


def swapped(clip: Window, user_delay: int = 0) -> Window:
    """User and avatar in each other's role, 2 * user_delay frames shorter, so that the user again comes as late.

    `reference` stays: each face's own neutral is zero in raw units.
    """
    frames = len(clip["avatar_motion"]) - 2 * user_delay
    exchanged = {f"avatar_{name}": clip[f"user_{name}"][2 * user_delay :] for name in ("motion", "audio")}
    exchanged |= {f"user_{name}": clip[f"avatar_{name}"][:frames] for name in ("motion", "audio")}
    return clip | exchanged


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
        exchanged = self.swap > 0 and rng.random() < self.swap
        if exchanged:
            element = swapped(element, self.user_delay)
        total = len(element["avatar_motion"])
        start = int(rng.integers(total - self.frames + 1))
        if "losing_motion" in element:
            losing = element["losing_motion"]
            element = element | {"losing_motion": losing[rng.integers(len(losing))]}
        name = np.array(f"{element['window']}@{start}{'s' * exchanged}")
        return cut(element, start, self.frames) | {"window": name}
