"""Inputs of one step of the generator's training."""

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Float

from afjax.config import Config, ModelConfig
from afjax.nn import relative_motion
from afjax.nn.condition_encoder import Conditions
from afjax.types import ConditionMask, FrameNoiseLevel, HostOrDevice, Motion

Batch = Mapping[str, Float[HostOrDevice, "b ..."]]
"""Standardised windows by name: avatar_motion, user_motion `[b, t, d]`, avatar_features, user_features `[b, t, f]`,
reference_motion `[b, d]`; losing_motion `[b, t, d]`, cause_age `[b, t, kinds]`, in frames, and earlier_user_motion
`[b, n, d]`, nan before a conversation, where they are needed."""


class RandomInputs(NamedTuple):
    """Random inputs of one step."""

    noise: Motion
    noise_level: FrameNoiseLevel
    history: Float[HostOrDevice, "b 1"]  # deviation of the noise that is added to frames of level 0
    condition_mask: ConditionMask
    reference_mask: Float[HostOrDevice, "b 1"] | float = 1.0  # 0 where the reference is dropped


def batch_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Shapes of a batch's arrays by name, for training without losing motions."""
    c, windows = config.model, (config.data.batch, config.data.window)
    shapes = dict.fromkeys(("avatar_motion", "user_motion"), (*windows, c.motion_dim))
    shapes |= dict.fromkeys(("avatar_features", "user_features"), (*windows, c.audio_dim or c.condition_width))
    shapes |= {"cause_age": (*windows, c.cause_kinds), "reference_motion": (windows[0], c.motion_dim)}
    if c.relative_frames:
        shapes["earlier_user_motion"] = (windows[0], c.earlier_frames, c.motion_dim)
    return shapes


def conditions_of(batch: Batch, model: ModelConfig) -> Conditions:
    """The conditions of a batch of windows, as a network of this config takes them."""
    given = Conditions(batch["avatar_features"], batch["user_features"], batch["user_motion"])
    if not model.relative_frames:
        return given
    earlier = batch["earlier_user_motion"]
    return given._replace(relative=relative_motion.of_windows(earlier, given.user_motion, model.relative_frames))
