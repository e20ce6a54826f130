"""The optimizer of a config."""

from collections.abc import Callable
from functools import partial

import jax
import optax
from optax import contrib

from afjax.config import OptimizerConfig


def schedule(peak: float, config: OptimizerConfig, steps: int) -> optax.Schedule:
    """Learning rate by step: linear warm-up, cosine decay to `final_share` of the peak."""
    warmup = min(config.warmup_steps, max(steps // 4, 1))
    return optax.warmup_cosine_decay_schedule(0.0, peak, warmup, max(steps, warmup + 1), peak * config.final_share)


def in_stages(peak: float, config: OptimizerConfig, steps: int, first: int) -> optax.Schedule:
    """`schedule` for `first` steps and again for the rest: what begins to learn then needs the whole rate."""
    if not first:
        return schedule(peak, config, steps)
    return optax.join_schedules([schedule(peak, config, n) for n in (first, steps - first)], [first])


def make_rates(config: OptimizerConfig, steps: int, first: int = 0) -> Callable[[int], dict[str, float]]:
    """`rates(step)`: the rates of `make_optimizer` at a step, by name for the log."""
    peaks = {"learning_rate": config.learning_rate}
    if config.kind == "muon":
        peaks["muon_learning_rate"] = config.muon_learning_rate
    compiled = jax.jit(lambda step: {name: in_stages(peak, config, steps, first)(step) for name, peak in peaks.items()})
    return lambda step: {name: float(rate) for name, rate in compiled(step).items()}


def make_optimizer(config: OptimizerConfig, steps: int, first: int = 0) -> optax.GradientTransformation:
    """Clipped AdamW, Muon for the matrices and Adam for the rest, or gradient descent; vectors are not decayed.

    The `first` of the `steps` are a stage of their own (`TrainingConfig.listening_steps`).
    """
    adam = in_stages(config.learning_rate, config, steps, first)
    if config.kind == "muon":
        chosen = contrib.muon(
            in_stages(config.muon_learning_rate, config, steps, first),
            ns_steps=3,  # of Newton-Schulz; five cost a tenth of the quickstart's time on a CPU
            weight_decay=config.weight_decay,
            adam_b2=config.beta2,
            adam_learning_rate=adam,
            muon_weight_dimension_numbers=partial(jax.tree.map, _as_matrix),
        )
    elif config.kind == "sgd":
        chosen = optax.chain(optax.add_decayed_weights(config.weight_decay, _matrices), optax.sgd(adam))
    else:
        chosen = optax.adamw(adam, b2=config.beta2, weight_decay=config.weight_decay, mask=_matrices)
    return optax.chain(optax.clip_by_global_norm(config.clip), chosen)


def _as_matrix(weight) -> contrib.MuonDimensionNumbers | None:
    """How Muon reads a kernel, stored (out, in): its step grows with sqrt(out / in) where that is above 1."""
    return contrib.MuonDimensionNumbers(reduction_axis=1, output_axis=0) if weight.ndim == 2 else None


def _matrices(params):
    return jax.tree.map(lambda p: p.ndim > 1, params)
