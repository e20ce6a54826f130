"""Inputs of one step of the generator's training."""

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Float

from afjax.config import ModelConfig
from afjax.nn import relative_motion
from afjax.nn.condition_encoder import Conditions
from afjax.types import ConditionMask, FrameNoiseLevel, HostOrDevice, Motion

Batch = Mapping[str, Float[HostOrDevice, "b ..."]]
"""Standardised windows by name: avatar_motion, user_motion `[b, t, d]`, avatar_features, user_features `[b, t, f]`,
reference_motion `[b, d]`; losing_motion `[b, t, d]`, cause_age `[b, t, kinds]`, in frames, and earlier_user_motion
`[b, e, d]`, nan before a conversation, where they are needed."""


class RandomInputs(NamedTuple):
    """Random inputs of one step."""

    noise: Motion
    noise_level: FrameNoiseLevel
    history: Float[HostOrDevice, "b 1"]  # deviation of the noise that is added to frames of level 0
    condition_mask: ConditionMask
    reference_mask: Float[HostOrDevice, "b 1"] | float = 1.0  # 0 where the reference is dropped


def conditions_of(batch: Batch, model: ModelConfig) -> Conditions:
    """The conditions of a batch of windows, as a network of this config takes them."""
    user_motion = batch["user_motion"]
    if model.relative_frames:
        user_motion = relative_motion.told_after(batch["earlier_user_motion"], user_motion, model.relative_frames)
    return Conditions(batch["avatar_features"], batch["user_features"], user_motion)
