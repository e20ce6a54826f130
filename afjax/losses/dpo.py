"""Direct preference optimisation of a flow-matching model (Avatar Forcing eq. 12, after Diffusion-DPO).

    e(m) = || v(m_t, level, c) - (noise - m) ||                          one number per token, for policy and reference
    margin = (e(win) - e_ref(win)) - (e(lose) - e_ref(lose))             below 0: the policy prefers the winner
    loss = - log sigmoid(- beta * margin)

The implicit reward of a motion is -beta (e - e_ref): beta * margin is the loser's reward less the winner's. Winner and
loser share noise, noise levels and conditions. The paper's velocity is motion - noise, ours the negative; norms of
differences are the same. `PreferenceConfig.formula` says how the norm and the mean over tokens are read:

    formula         norm                              tokens averaged    factor of beta * margin
    diffusion_dpo   mean square over channels         before the sigmoid  1/2
    paper           sum of magnitudes over channels   after it            1

Motion is standardised, so that e is in variances of a channel. The sigmoid's argument, with `diffusion_dpo` and beta
1000, is 1 where the winner's error has fallen by .002 more than the loser's; with beta 300, by .007. The paper's
latents are not standardised, so that its figure of beta means another strength.

The gradient of a pair is its margin's, times beta * sigmoid(beta * margin). If that weight falls towards 0 for all
pairs, the sigmoid is saturated and the policy learns nothing.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from afjax.config import PreferenceConfig
from afjax.losses import flow
from afjax.types import BatchNoiseLevel, NoiseLevel, Scalar, Tokens, typed


class Errors(NamedTuple):
    """Errors of the velocity by token `[b, n]`, for the better and the worse motion."""

    win: NoiseLevel
    lose: NoiseLevel


@typed
def per_token(error: Tokens, formula: str) -> Float[Array, "b n"]:
    """|| error || per token: `[b, n, d]` -> `[b, n]`; `formula` as in `PreferenceConfig`."""
    return flow.per_token(error, "l2") if formula == "diffusion_dpo" else jnp.abs(error).sum(-1)


@typed
def loss(
    policy: Errors,
    ref: Errors,
    noise_level: NoiseLevel,
    config: PreferenceConfig,
    batch_noise_level: BatchNoiseLevel | None = None,
) -> tuple[Scalar, dict[str, Scalar]]:
    """The loss of a batch of pairs with errors and levels `[b, n]`, and numbers to watch.

    Tokens at level 0 count nowhere. The numbers are `margin`, its mean (without beta; below 0 where the policy prefers
    winners); `accuracy`, the share of pairs whose winner it prefers; `grad_weight`, the mean weight sigmoid(beta *
    margin) of a pair's gradient. `batch_noise_level`: levels `[w, n]` of the whole batch where this is a part of it;
    means are then its share.
    """
    counted, every = (
        (noise_level > 0).astype(noise_level.dtype),
        (noise_level if batch_noise_level is None else batch_noise_level) > 0,
    )
    margin = (policy.win - ref.win) - (policy.lose - ref.lose)
    clipwise = config.formula == "diffusion_dpo"
    if clipwise:
        margin = (margin * counted).sum(1) / jnp.maximum(counted.sum(1), 1)
        counted, every = (counted.sum(1) > 0).astype(noise_level.dtype), every.any(1)
    scaled = (0.5 if clipwise else 1.0) * config.beta * margin

    def mean(x):
        return (x * counted).sum() / jnp.maximum(every.sum(), 1)

    watched = {
        "margin": mean(margin),
        "accuracy": mean((margin < 0).astype(noise_level.dtype)),
        "grad_weight": mean(jax.nn.sigmoid(scaled)),
    }
    return mean(-jax.nn.log_sigmoid(-scaled)), watched
