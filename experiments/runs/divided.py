"""Generation of many clips, divided over processes and their devices."""

import jax
import numpy as np

from afjax.streaming.generator import Generator
from afjax.training import sharding

__all__ = ["clips"]


def clips(
    generator: Generator,
    avatar_features,
    user_features,
    user_motion,
    reference_motion,
    seed: int = 0,
    condition_set: str = "joint",
    first: int = 0,
) -> np.ndarray:
    """The result of `Generator.clips`, in every process; all of them must call it.

    Each process generates its part of the clips on all its devices. Noise goes by a clip's number, so that the
    division changes nothing but rounding. Arguments are as for `Generator.clips`, with `reference_motion` [b, d] per
    clip; `first`: number of the first clip, where these are some of many.
    """
    tracks, generator = (avatar_features, user_features, user_motion), generator.on_devices(jax.local_devices())

    def part(rows: np.ndarray) -> np.ndarray:
        chosen = (np.asarray(track)[rows] for track in tracks)
        return generator.clips(*chosen, seed, condition_set, np.asarray(reference_motion)[rows], first + rows)

    return sharding.divided(part, len(user_motion))
