"""Inputs of one step of the generator's training."""

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Float

from afjax.types import ConditionMask, FrameNoiseLevel, HostOrDevice, Motion

Batch = Mapping[str, Float[HostOrDevice, "b ..."]]
"""Standardised windows by name: avatar_motion, user_motion `[b, t, d]`, avatar_features, user_features `[b, t, f]`,
reference_motion `[b, d]`; losing_motion `[b, t, d]` and cause_age `[b, t, kinds]`, in frames, where they are needed."""


class RandomInputs(NamedTuple):
    """Random inputs of one step."""

    noise: Motion
    noise_level: FrameNoiseLevel
    history: Float[HostOrDevice, "b 1"]  # deviation of the noise that is added to frames of level 0
    condition_mask: ConditionMask
    reference_mask: Float[HostOrDevice, "b 1"] | float = 1.0  # 0 where the reference is dropped
