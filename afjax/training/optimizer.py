"""The optimizer of a config."""

import jax
import jax.numpy as jnp
import optax
from optax import contrib

from afjax.config import OptimizerConfig


def schedule(peak: float, config: OptimizerConfig, steps: int):
    """Learning rate by step: linear warm-up, cosine decay to `final_share` of the peak."""
    warmup = min(config.warmup_steps, max(steps // 4, 1))
    return optax.warmup_cosine_decay_schedule(0.0, peak, warmup, max(steps, warmup + 1), peak * config.final_share)


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """Clipped AdamW, Muon for the matrices and Adam for the rest, or gradient descent; vectors are not decayed."""
    adam = schedule(config.learning_rate, config, steps)
    if config.kind == "muon":
        matrices = optax.chain(
            # three steps of Newton-Schulz: five cost a tenth of the quickstart's time on a CPU
            in_stacks(contrib.scale_by_muon(ns_steps=3, weight_dimension_numbers=_as_stacks)),
            optax.stateless_with_tree_map(lambda x, _: x * max(1.0, x.shape[1] / x.shape[0]) ** 0.5),
            optax.add_decayed_weights(config.weight_decay),
            optax.scale_by_learning_rate(schedule(config.muon_learning_rate, config, steps)),
        )
        others = optax.adamw(adam, b2=config.beta2, weight_decay=0.0, nesterov=True)  # as in `contrib.muon`
        chosen = optax.partition({"muon": matrices, "adam": others}, _kinds)
    elif config.kind == "sgd":
        chosen = optax.chain(optax.add_decayed_weights(config.weight_decay, _matrices), optax.sgd(adam))
    else:
        chosen = optax.adamw(adam, b2=config.beta2, weight_decay=config.weight_decay, mask=_matrices)
    return optax.chain(optax.clip_by_global_norm(config.clip), chosen)


def in_stacks(muon: optax.GradientTransformation) -> optax.GradientTransformation:
    """`contrib.scale_by_muon` with matrices of one shape computed together, on a stack `[n, rows, columns]`.

    A network has few shapes and many layers, and on a CPU the products of one small matrix cost less than starting
    them. The state is as without: a momentum for each matrix.
    """

    def update(updates, state, params=None):
        leaves, structure = jax.tree.flatten(updates)
        shapes = [leaf.shape for leaf in leaves]

        def stack(tree):
            arrays = jax.tree.leaves(tree)
            return {
                str(shape): jnp.stack([x for x, own in zip(arrays, shapes, strict=True) if own == shape])
                for shape in set(shapes)
            }

        def apart(stacks):
            rows = {name: iter(stacked) for name, stacked in stacks.items()}
            return jax.tree.unflatten(structure, [next(rows[str(shape)]) for shape in shapes])

        stacked, new = muon.update(stack(updates), state._replace(mu=stack(state.mu)), params)
        return apart(stacked), new._replace(mu=apart(new.mu))

    return optax.GradientTransformation(muon.init, update)


def _as_stacks(stacks):
    return jax.tree.map(lambda _: contrib.MuonDimensionNumbers(1, 2), stacks)


def _kinds(params):
    return jax.tree.map(lambda p: "muon" if p.ndim == 2 else "adam", params)


def _matrices(params):
    return jax.tree.map(lambda p: p.ndim > 1, params)
