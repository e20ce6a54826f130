"""Slots of a running live step: sessions join, leave, are snapshot and restored while the others go on.

Every step computes all slots, also those without a session. The step is compiled once, when `Engine` is made.
"""

from collections.abc import Collection, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from afjax.audio.feature_extractors import FeatureExtractor
from afjax.config import CONDITION_MASKS, Config, SamplerConfig
from afjax.config.earlier_names import renamed_state
from afjax.diffusion.guidance import guidance_branches
from afjax.errors import InputError
from afjax.streaming import live_step
from afjax.streaming.state import require_reference_motion
from afjax.types import HostOrDevice

__all__ = ["Engine"]

_KEY = "key data of "


class Engine:
    """`sessions` slots of a model on one device.

    Attributes:
      config, params, extractor: the model, as for `afjax.streaming.live_step`.
      taken: slots that hold a session.
    """

    def __init__(
        self, config: Config, params: live_step.LiveParams, extractor: FeatureExtractor, sessions: int = 1,
        device: jax.Device | None = None,
    ):  # fmt: skip
        """`device`: by default this process's first."""
        self._device = device or jax.local_devices()[0]
        self.config, self.extractor, self.sessions = config, extractor, sessions
        self.params = jax.device_put(params, self._device)
        self.taken: set[int] = set()
        self._step = live_step.make_live_step(config, extractor)
        self._state = jax.device_put(live_step.init_live(config, extractor, sessions), self._device)
        self._empty = live_step.take(self._state, self._slot(0))
        self._state = live_step.put(self._state, self._slot(0), self._empty)
        jax.block_until_ready(self.step(live_step.silence(config, sessions)))
        for slot in range(sessions):
            self.leave(slot)

    def join(
        self, seed: int = 0, reference_motion: Float[HostOrDevice, " d"] | float | None = None,
        condition_set: str = "joint",
        scales: SamplerConfig | None = None,
    ) -> int:  # fmt: skip
        """Slot of a fresh session, which starts with the next block; arguments as for `live_step.fresh`.

        Raises InputError where all slots are taken, or where a latent codec's motion has no `reference_motion`.
        """
        slot, reference_motion = self._free(), require_reference_motion(reference_motion, bool(self.config.data.codec))
        one = live_step.fresh(self.config, self.extractor, self.params, seed, reference_motion, condition_set, scales)
        return self._occupy(slot, one)

    def fork(self, slot: int) -> int:
        """Slot of a copy of the session in `slot`, which will draw the same noise.

        Raises InputError where all slots are taken.
        """
        return self._occupy(self._free(), live_step.take(self._state, self._slot(slot)))

    def leave(self, slot: int):
        """Empties a slot."""
        self._state = live_step.put(self._state, self._slot(slot), self._empty)
        self.taken.discard(slot)

    def state(self, slot: int) -> live_step.LiveState:
        """The state of a session between two blocks, on the device; a slot put back to it goes on to the same bits."""
        return live_step.take(self._state, self._slot(slot))

    def rollback(self, slot: int, state: live_step.LiveState):
        """Puts a slot back to a state that `state` gave."""
        self._state = live_step.put(self._state, self._slot(slot), state)

    @property
    def has_guidance(self) -> bool:
        """Whether the step has the two branches that `set_guidance_scale` weighs: all conditions, and fewer or none."""
        masks = guidance_branches(self.config.sampler)[1]
        return len(masks) == 2 and masks[-1].tolist() == list(CONDITION_MASKS["joint"])

    def set_guidance_scale(self, slot: int, scale: float):
        """Sets a session's scale of classifier-free guidance (cfg) from the next block on; 1 is no guidance.

        v = v_less + scale (v_joint - v_less), with v_less the branch with fewer conditions or none. Raises InputError
        where the step's branches are not these two.
        """
        if not self.has_guidance:
            raise InputError("this model has no guidance", do="use one whose sampler has the joint and another branch")
        one = self.state(slot)
        weights = jnp.asarray([1 - scale, scale], one.stream.guidance_weights.dtype)[:, None]
        self.rollback(slot, one.replace(stream=one.stream.replace(guidance_weights=weights)))

    def step(self, inputs: live_step.Inputs, only: Collection[int] | None = None) -> Float[Array, "b t d"]:
        """Motion `[b, t, d]` of the next block of every slot, in raw units, on the device and not waited for.

        `only`: slots that go on; None: all. The other sessions keep their states, and their rows mean nothing.
        """
        others = [] if only is None else sorted(self.taken - set(only))
        waiting = [(slot, self.state(slot)) for slot in others]
        motion = self._all(inputs)
        for slot, state in waiting:
            self.rollback(slot, state)
        return motion

    def _all(self, inputs: live_step.Inputs) -> jax.Array:
        inputs = jax.device_put(live_step.Inputs(*(np.asarray(x, np.float32) for x in inputs)), self._device)
        self._state, motion = self._step(self.params, self._state, inputs)
        return motion

    def snapshot(self, slot: int) -> dict[str, np.ndarray]:
        """A session between two blocks as plain arrays by name; after `restore` it goes on to the same bits."""
        leaves, _ = jax.tree_util.tree_flatten_with_path(live_step.take(self._state, self._slot(slot)))
        return dict(_plain(jax.tree_util.keystr(path), leaf) for path, leaf in leaves)

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> int:
        """Slot in which a snapshot's session goes on. Raises InputError for another model's, or without a free slot."""
        slot, snapshot = self._free(), renamed_state(snapshot, _KEY)
        leaves, tree = jax.tree_util.tree_flatten_with_path(self._empty)
        names = [_plain(jax.tree_util.keystr(path), leaf) for path, leaf in leaves]
        for name, wanted in names:
            found = snapshot.get(name)
            if found is None or (np.shape(found), np.asarray(found).dtype) != (wanted.shape, wanted.dtype):
                raise InputError(
                    f"it has no {name} {wanted.dtype}{list(wanted.shape)}", "snapshot", "use its own model"
                )
        stored = [
            jax.random.wrap_key_data(jnp.asarray(snapshot[name])) if name.startswith(_KEY) else snapshot[name]
            for name, _ in names
        ]
        return self._occupy(slot, jax.tree.unflatten(tree, stored))

    @property
    def compilations(self) -> int:
        """Number of compiled steps: one, however long the engine runs."""
        return self._step._cache_size()

    def _slot(self, slot: int):
        return jax.device_put(np.int32(slot), self._device)

    def _free(self) -> int:
        for slot in range(self.sessions):
            if slot not in self.taken:
                return slot
        raise InputError(f"all {self.sessions} slots are taken", do="make an engine with more sessions")

    def _occupy(self, slot: int, one: live_step.LiveState) -> int:
        self._state = live_step.put(self._state, self._slot(slot), jax.device_put(one, self._device))
        self.taken.add(slot)
        return slot


def _plain(name: str, leaf) -> tuple[str, np.ndarray]:
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return _KEY + name, np.asarray(jax.random.key_data(leaf))
    return name, np.asarray(leaf)
