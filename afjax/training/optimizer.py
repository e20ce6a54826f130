"""The optimizer of a config."""

import jax
import optax

from afjax.config import OptimizerConfig


def schedule(config: OptimizerConfig, steps: int):
    """Learning rate by step: linear warm-up, cosine decay to `final_share` of the peak."""
    warmup = min(config.warmup_steps, max(steps // 4, 1))
    return optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, warmup, max(steps, warmup + 1), config.learning_rate * config.final_share
    )


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """Clipped AdamW; biases and other vectors are not decayed."""
    return optax.chain(
        optax.clip_by_global_norm(config.clip),
        optax.adamw(
            schedule(config, steps),
            b2=config.beta2,
            weight_decay=config.weight_decay,
            mask=lambda params: jax.tree.map(lambda p: p.ndim > 1, params),
        ),
    )
