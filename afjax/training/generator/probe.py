"""Measurements on held-out windows while a generator trains: losses, and how it answers events.

**Losses.** Every window has a fixed noise. All its frames lie at one level, and the tokens that a layout feeds again
are clean. `loss_level_L` is the mean over tokens and channels at level L, `loss` the mean over LEVELS, and `loss_GROUP`
that mean over the channels of a group.

**Slopes.** A network at level 1 sees nothing of the motion that it makes. Its x0-prediction is its conditional mean:

    m(block) = noise - v(noise at level 1 | recorded motion before the block, conditions) = motion - error of v

m_e and r_e are the predicted and recorded tracks of the answering channel in the window around event e. They begin at
the event and are taken less their means over the five frames before it:

    slope_KIND      = sum_{e != f} m_e r_f / sum_{e != f} r_e r_f
    slope_KIND_user = the same of m - d and r - d                       d: m with both conditions of the user dropped

1 is an answer of the recorded size and shape, 0 none. It is the slope of `afjax.metrics.event_slope` without the
products of an event with itself, which would bias it for a few dozen events. The recorded past helps: a model that
never looks at its user still continues an answer that has begun. `slope_KIND_user` is what the user adds, as a share of
what the past and the avatar's own voice leave to add; it is the one to read. Neither a solver nor guidance is needed,
so that a change shows within minutes of training.

**The past of a block.** One forward gives all blocks where the layout holds clean copies of the frames before each.
Otherwise there is one forward per block, with all frames before it at level 0:

    blocks      0  1  2  3          levels, read at the block in brackets
    forward 0  [1] 1  1  1
            1   0 [1] 1  1
            2   0  0 [1] 1
            3   0  0  0 [1]
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float, Int

from afjax.config import CONDITION_MASKS, Config, ModelConfig
from afjax.metrics import event_slope
from afjax.metrics.events import WITHIN
from afjax.nn.token_layout import TokenLayout
from afjax.nn.transformer import ForcingTransformer
from afjax.training import sharding
from afjax.training.generator.inputs import RandomInputs
from afjax.training.generator.state import token_layout
from afjax.training.generator.step import velocity_error
from afjax.types import HostOrDevice, Params, typed

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
BATCH = 16
"""Windows of one forward."""

Windows = Mapping[str, np.ndarray]
"""Standardised windows as training has them: `avatar_motion`, `user_motion` `[w, t, d]`, `avatar_features`,
`user_features` `[w, t, f]`, `reference_motion` `[w, d]`, and `earlier_user_motion` `[w, n, d]` if the model
needs it."""
Tracks = Float[HostOrDevice, "w t"]
Kept = Float[np.ndarray, "3"] | Int[np.ndarray, "3"] | Sequence[int]
"""Conditions that are not dropped, 1 or 0: avatar audio, user audio, user motion."""


class EventWindows(NamedTuple):
    """Windows around events of one kind: the event's frame in each `[w]`, and the channel that answers."""

    windows: Windows
    place: Int[np.ndarray, " w"]
    channel: int


@typed
def places(frames: int, block: int, count: int) -> tuple[Int[np.ndarray, " w"], int]:
    """Frames of the events in each of `count` windows, `[w]`, and the number of frames after them that are measured.

    Events lie as late as the answer allows, at different frames of a block in turn, because a window starts with a
    block. Windows of fewer than 7 frames have no place.
    """
    after = min(WITHIN, frames - event_slope.BEFORE - 1)
    latest = frames - 1 - after
    turns = max(min(block, latest - event_slope.BEFORE + 1), 1)
    return latest - np.arange(count) % turns, after


def make_probe(
    config: Config, windows: Windows, answers: Mapping[str, EventWindows], groups: Mapping[str, np.ndarray]
) -> Callable[[dict], dict[str, float]]:
    """`probe(params) -> {"held_out/NAME": value}`, with one compiled forward. All processes must call it.

    Args:
      config: that of the training; windows have `data.window` frames.
      windows: windows for the losses.
      answers: windows for the slopes, by kind of event.
      groups: indices of channels by name of the group.
    """
    layout, norm = token_layout(config), config.objective.norm
    error_of = partial(velocity_errors, config, layout)
    whole, deaf = (np.multiply(CONDITION_MASKS[name], config.objective.ever_kept) for name in ("joint", "avatar"))

    def probe(params) -> dict[str, float]:
        params = jax.device_put(sharding.whole(params), _here(PartitionSpec()))
        found, by_group = {}, {name: [] for name in groups}
        shape = windows["avatar_motion"].shape[:2]
        for noise_level in LEVELS:
            error = error_of(params, windows, np.full(shape, noise_level, np.float32), whole)
            size = (np.abs if norm == "l1" else np.square)(error[:, ~layout.is_clean])
            found[f"loss_level_{noise_level}"] = float(size.mean())
            for name, channels in groups.items():
                by_group[name].append(float(size[..., channels].mean()))
        found |= {"loss": float(np.mean(list(found.values())))}
        found |= {f"loss_{name}": float(np.mean(each)) for name, each in by_group.items()}
        for kind, (cut, place, channel) in answers.items():
            recorded = cut["avatar_motion"][..., channel]
            first = max(int(np.min(place)) - event_slope.BEFORE, 0)
            means = partial(conditional_mean, partial(error_of, params), config, layout, cut, first=first)
            predicted = means(whole)[..., channel]
            found[f"slope_{kind}"] = slope(predicted, recorded, place)
            if (whole != deaf).any():
                dropped = means(deaf)[..., channel]
                found[f"slope_{kind}_user"] = slope(predicted - dropped, recorded - dropped, place)
        return {f"held_out/{name}": value for name, value in found.items()}

    return probe


@typed
def slope(predicted: Tracks, recorded: Tracks, place: Int[np.ndarray, " w"], after: int = WITHIN) -> float:
    """Slope of predicted on recorded tracks `[w, t]` around events at `place` `[w]`.

    It covers `after` frames after an event, or as many as all windows have; nan where recorded tracks have nothing in
    common.
    """
    after = min(after, predicted.shape[1] - 1 - int(np.max(place)))
    predicted, recorded = (_answers(tracks, place, after) for tracks in (predicted, recorded))
    above, below = ((one.sum(0) * recorded.sum(0)).sum() - (one * recorded).sum() for one in (predicted, recorded))
    return float(above / below) if below > 0 else float("nan")


def _answers(tracks: np.ndarray, place: np.ndarray, after: int) -> np.ndarray:
    rows = np.asarray(place)[:, None] + np.arange(-event_slope.BEFORE, after + 1)
    around = np.take_along_axis(np.asarray(tracks, np.float64), rows, axis=1)
    return around[:, event_slope.BEFORE :] - around[:, : event_slope.BEFORE].mean(axis=1, keepdims=True)


@typed
def conditional_mean(
    error_of: Callable[[Windows, np.ndarray, np.ndarray], np.ndarray], config: Config, layout: TokenLayout,
    windows: Windows, condition_mask: Kept | None, first: int = 0,
) -> Float[np.ndarray, "w t d"]:  # fmt: skip
    """Conditional mean `[w, t, d]` of every block after its recorded past; zero in blocks before that of frame `first`.

    `error_of(windows, noise_level, condition_mask)`: the velocity's error at every token `[w, n, d]` for levels `[w,
    t]`.
    """
    motion, block = np.asarray(windows["avatar_motion"]), config.layout.block
    shape, frames = motion.shape[:2], motion.shape[1]
    (token,) = np.nonzero(~layout.is_clean)
    token = token[np.argsort(layout.frame[token], kind="stable")]  # each frame's token that is not fed again
    found, first = np.zeros_like(motion), first // block * block
    for start in [first] if has_clean_past(layout, frames, block) else range(first, frames, block):
        noise_level = np.broadcast_to((np.arange(frames) >= start).astype(np.float32), shape)
        found[:, start:] = (motion - error_of(windows, noise_level, condition_mask)[:, token])[:, start:]
    return found


def has_clean_past(layout: TokenLayout, frames: int, block: int) -> bool:
    """Whether a layout feeds all frames before the last block again, so that no noisy token is any block's past."""
    return set(range(frames - block)) <= set(np.asarray(layout.frame)[np.asarray(layout.is_clean)].tolist())


@typed
def velocity_errors(
    config: Config,
    layout: TokenLayout,
    params: Params,
    windows: Windows,
    noise_level: Float[np.ndarray, "w t"],
    condition_mask: Kept,
) -> Float[np.ndarray, "w n d"]:
    """Error of the velocity at every token `[w, n, d]`, a host array, for levels `[w, t]`.

    Each window has its own noise, the same in every call. Windows are divided over processes and their devices.
    """
    count, frames, channels = windows["avatar_motion"].shape
    noise = np.random.default_rng(0).standard_normal((count, frames, channels)).astype(np.float32)
    batch = {name: np.asarray(windows[name]) for name in _NAMES if name in windows}
    zeros, condition_mask = (
        np.zeros((count, 1), np.float32),
        np.tile(np.asarray(condition_mask, np.float32), (count, 1)),
    )
    random = RandomInputs(noise, noise_level, zeros, condition_mask, zeros + 1)
    forward, devices = _jitted(config.model), len(jax.local_devices())
    size, place = -(-BATCH // devices) * devices, _here(PartitionSpec("windows"))

    def part(rows: np.ndarray) -> np.ndarray:
        found = []
        for first in range(0, len(rows), size):
            chosen = rows[np.arange(first, first + size) % len(rows)]  # filled up: one shape, one program
            given = jax.device_put(jax.tree.map(lambda x, at=chosen: x[at], (batch, random)), place)
            found.append(forward(params, *given, layout))
        return np.concatenate(jax.device_get(found))[: len(rows)]

    return sharding.divided(part, count)


def _here(spec: PartitionSpec):
    """Sharding over this process's devices, whose only axis is `windows`."""
    devices = jax.local_devices()
    if len(devices) == 1:
        return jax.sharding.SingleDeviceSharding(devices[0])
    return NamedSharding(Mesh(np.array(devices), ("windows",)), spec)


_NAMES = (
    "avatar_motion", "user_motion", "avatar_features", "user_features", "reference_motion", "earlier_user_motion",
)  # fmt: skip


@lru_cache(maxsize=8)
def _jitted(model: ModelConfig):
    network = ForcingTransformer(model)

    def forward(params, batch, random: RandomInputs, layout: TokenLayout):
        return velocity_error(network, params, batch, jnp.asarray(batch["avatar_motion"]), random, layout)[0]

    return jax.jit(forward)
