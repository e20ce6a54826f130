"""Guidance over the branches none, avatar, user and joint, and how training drops conditions.

    v = v_none + a (v_avatar - v_none) + u (v_user - v_none) + j (v_joint - v_none) + r (v_joint - v_avatar)

This is classifier-free guidance (cfg). Avatar Forcing eq. 14 has a = `guidance_avatar` and u = `guidance_user`; j =
`guidance_joint` is 0, so that it never evaluates the joint branch. r = `guidance_reaction` emphasises what the user
adds to the avatar's own voice: j = 1 with r = .5 is the joint branch, guided against one that hears no user. Only
branches with a weight other than zero are computed: the plain conditional model is j = 1, one branch.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from afjax.config import CONDITION_MASKS, SamplerConfig
from afjax.types import ConditionMask, GuidanceWeights, HostOrDevice, typed


@typed
def guidance_branches(sampler: SamplerConfig) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k 3"]]:
    """Weights `[k]` and kept conditions `[k, 3]` of the branches that a sampler needs; the weights sum to 1."""
    r = sampler.guidance_reaction
    a, u, j = sampler.guidance_avatar - r, sampler.guidance_user, sampler.guidance_joint + r
    weight = {"none": 1 - a - u - j, "avatar": a, "user": u, "joint": j}
    used = [name for name, w in weight.items() if abs(w) > 1e-9]
    return np.array([weight[n] for n in used], np.float32), np.array([CONDITION_MASKS[n] for n in used], np.float32)


@typed
def combine(velocities: Float[HostOrDevice, " k *any"], weights: GuidanceWeights) -> Float[Array, "*any"]:
    """Classifier-free guidance: the weighted sum `[b, ...]` of velocities `[k, b, ...]` over the branches.

    `weights`: `[k]`, or `[k, b]` per session.
    """
    weights = jnp.asarray(weights, velocities.dtype)
    return (weights.reshape(weights.shape + (1,) * (velocities.ndim - weights.ndim)) * velocities).sum(0)


@typed
def sample_condition_mask(
    key: Key[Array, ""], clips: int, dropout: float, kept_conditions: Mapping[str, float]
) -> ConditionMask:
    """Which conditions each of b = `clips` clips keeps, `[b, 3]` of 0 and 1.

    Each condition is dropped with probability `dropout`, independently. `kept_conditions` that are not empty take its
    place: the probabilities of sets of conditions, which sum to 1.
    """
    if not kept_conditions:
        return (jax.random.uniform(key, (clips, 3)) >= dropout).astype(jnp.float32)
    kinds = jnp.array([CONDITION_MASKS[name] for name in kept_conditions], jnp.float32)
    edges = jnp.cumsum(jnp.array(list(kept_conditions.values())))[:-1]
    return kinds[jnp.searchsorted(edges, jax.random.uniform(key, (clips,)), side="right")]
