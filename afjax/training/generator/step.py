"""One step of training.

`make_random_inputs` makes the random inputs (noise, noise levels, masks). They are, like the token layout, inputs of
the train step, so that one compiled step serves every mask, level scheme and drop pattern. All randomness comes from
the run's seed and the step's number: a resumed run draws what an unbroken one would have.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import optax

from afjax.config import ComputeConfig, Config, ModelConfig, OptimizerConfig, PreferenceConfig, SamplerConfig
from afjax.diffusion import guidance, noise_levels, path
from afjax.losses import causes, dpo, flow
from afjax.nn.token_layout import TokenLayout
from afjax.nn.transformer import Answer, ForcingTransformer
from afjax.training import sharding
from afjax.training.generator import distillation
from afjax.training.generator.inputs import Batch, RandomInputs, conditions_of
from afjax.training.generator.state import TrainState
from afjax.training.optimizer import make_optimizer
from afjax.types import BatchNoiseLevel, Motion, NoiseLevel, Params, Scalar, Tokens, typed

Loss = tuple[Scalar, dict[str, Scalar]]
"""The loss, and what to log beside it."""


def make_random_inputs(config: Config) -> Callable[[int], RandomInputs]:
    """`random_inputs(step) -> RandomInputs`, a pure function of the seed and the step, divided as the batch is."""
    c, o = config, config.objective
    shape = (c.data.batch, c.data.window)

    @partial(jax.jit, out_shardings=sharding.batch_sharding(c.compute, c.data.batch))
    def random_inputs(step):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(c.training.seed), 1), step)
        k_noise, k_level, k_keep = jax.random.split(key, 3)
        return RandomInputs(
            jax.random.normal(k_noise, (*shape, c.model.motion_dim)),
            noise_levels.sample_noise_level(
                k_level, *shape, c.layout.block, o.noise_level_per, o.clean_prefix, o.noise_level_power
            ),
            noise_levels.sample_history_noise(jax.random.fold_in(key, 3), shape[0], o.history_noise),
            guidance.sample_condition_mask(k_keep, shape[0], o.condition_dropout, o.kept_conditions),
            _sample_reference_mask(jax.random.fold_in(key, 4), shape[0], o.reference_dropout),
        )

    return random_inputs


def _sample_reference_mask(key, clips: int, dropout: float):
    """Mask `[b, 1]` of the reference: 0, in a share `dropout`, puts the mean in its place; else 1."""
    return (jax.random.uniform(key, (clips, 1)) >= dropout).astype(jnp.float32)


@typed
def token_level(random: RandomInputs, layout: TokenLayout) -> NoiseLevel:
    """Level of every token `[b, n]`."""
    return jnp.where(layout.is_clean, 0.0, random.noise_level[:, layout.frame])


ANSWER = 0.5
"""Weight of the answer's squared error beside the velocity's. It teaches the condition encoder, without noise, what the
conditions tell of the motion, above all the user's cues. The transformer then finds it there."""

CAUSES = 2.5
"""Weight of the loss of the user's causes. They are rare: soon after the start the weighted loss is about as large as
the answer's."""

LISTENING = ("condition_encoder", "answer_head", "cause_head")
"""Parts of the network that learn in the listening steps."""


@typed
def velocity_errors(
    model: ForcingTransformer, params: Params, batch: Batch, motion: Motion, random: RandomInputs, layout: TokenLayout
) -> tuple[Tokens, NoiseLevel, Answer]:
    """Velocity's error `[b, n, d]` for motion `[b, t, d]` on a token layout, levels `[b, n]`, and the Answer."""
    conditions = conditions_of(batch, model.config)
    motion, noise = motion[:, layout.frame], random.noise[:, layout.frame]
    noise_level = token_level(random, layout)
    history = jnp.where(noise_level > 0, 0.0, random.history)
    x = path.interpolate(motion, noise, noise_level[..., None]) + history[..., None] * noise
    given = (
        x,
        noise_level,
        batch["reference_motion"] * random.reference_mask,
        conditions,
        random.condition_mask,
        layout,
    )
    velocity, answer = model.apply(params, *given, method="forward_and_answer")
    return velocity - path.velocity(motion, noise), noise_level, answer


@typed
def velocity_error(
    model: ForcingTransformer, params: Params, batch: Batch, motion: Motion, random: RandomInputs, layout: TokenLayout
) -> tuple[Tokens, NoiseLevel]:
    """The first two results of `velocity_errors`."""
    return velocity_errors(model, params, batch, motion, random, layout)[:2]


@typed
def generator_loss(
    model: ForcingTransformer, norm: str, params: Params, batch: Batch, random: RandomInputs, layout: TokenLayout,
    batch_noise_level: BatchNoiseLevel | None = None,
) -> Loss:  # fmt: skip
    """Loss of a batch of windows, and other numbers to log.

    It is flow matching by a `norm` (`l1` or `l2`), plus `condition_losses`. `batch_noise_level`: levels `[w, n]` of the
    whole batch where this is a part of it; the parts' losses add up to that batch's.
    """
    error, noise_level, answer = velocity_errors(model, params, batch, batch["avatar_motion"], random, layout)
    fit = flow.masked_mean(flow.per_token(error, norm), noise_level, batch_noise_level)
    more, watched = condition_losses(
        answer, batch, layout, 1.0 if batch_noise_level is None else len(noise_level) / len(batch_noise_level)
    )
    return fit + more, {"flow": fit, **watched} if watched else {}


@typed
def condition_losses(
    answer: Answer, batch: Batch, layout: TokenLayout, share: float = 1.0
) -> tuple[Scalar | float, dict[str, Scalar]]:
    """Loss of the predictions from the condition alone, and its parts, times this part's `share` of the whole batch.

    It is ANSWER times the mean square of the answer's error plus CAUSES times the loss of the causes, `cause_age` in
    the batch, each if the network has its head.
    """
    loss, parts = 0.0, {}
    if answer.motion is not None:
        parts["answer"] = share * jnp.square(answer.motion - batch["avatar_motion"][:, layout.condition_frame]).mean()
        loss += ANSWER * parts["answer"]
    if answer.causes is not None:
        parts["causes"] = share * causes.cross_entropy(answer.causes, batch["cause_age"][:, layout.condition_frame])
        loss += CAUSES * parts["causes"]
    return loss, parts


@typed
def answer_loss(
    model: ForcingTransformer, params: Params, batch: Batch, random: RandomInputs, layout: TokenLayout,
    batch_noise_level: BatchNoiseLevel | None = None,
) -> tuple[Scalar | float, dict[str, Scalar]]:  # fmt: skip
    """`condition_losses` without the transformer, whose weights have no gradient in them."""
    conditions = conditions_of(batch, model.config)
    answer = model.apply(params, conditions, random.condition_mask, layout, method="answer")
    return condition_losses(
        answer, batch, layout, 1.0 if batch_noise_level is None else len(random.noise_level) / len(batch_noise_level)
    )


@typed
def preference_loss(
    c: PreferenceConfig, ref_params: Params, model: ForcingTransformer, norm: str, params: Params, batch: Batch,
    random: RandomInputs, layout: TokenLayout, batch_noise_level: BatchNoiseLevel | None = None,
) -> Loss:  # fmt: skip
    """Flow matching of the winners plus `weight` times the loss of preferring them to `losing_motion`.

    `ref_params`: parameters of the frozen model. Logged beside the numbers of `dpo.loss`: both losses, and `drift`, the
    mean squared distance of the winners' velocities from the reference's. `batch_noise_level` is as in
    `generator_loss`.
    """
    # the two of a pair lie side by side, so that a divided batch stays where it lies
    both, drawn = jax.tree.map(lambda x: jnp.repeat(x, 2, axis=0), (batch, random))
    motion = jnp.stack([batch["avatar_motion"], batch["losing_motion"]], 1).reshape(-1, *drawn.noise.shape[1:])
    error, noise_level = velocity_error(model, params, both, motion, drawn, layout)
    frozen = jax.lax.stop_gradient(velocity_error(model, ref_params, both, motion, drawn, layout)[0])

    def pair(x):
        return jnp.moveaxis(x.reshape(-1, 2, *x.shape[1:]), 1, 0)

    policy, ref = (dpo.Errors(*pair(dpo.per_token(e, c.formula))) for e in (error, frozen))
    win, noise_level = pair(error)[0], pair(noise_level)[0]
    fit = flow.masked_mean(flow.per_token(win, norm), noise_level, batch_noise_level)
    preferred, watched = dpo.loss(policy, ref, noise_level, c, batch_noise_level)
    watched |= {
        "flow": fit,
        "preference": preferred,
        "drift": flow.masked_mean(jnp.square(win - pair(frozen)[0]).mean(-1), noise_level, batch_noise_level),
    }
    return fit + c.weight * preferred, watched


def make_train_step(
    config: Config, ref_params: Params | None = None, listening: bool = False, teacher: SamplerConfig | None = None
) -> Callable:
    """Jitted `step(state, batch, random, layout) -> (state, {loss, grad_norm, ...})`; `state` is donated.

    `ref_params`, the (whole) parameters of a frozen model, make it tune by preferences or, with the sampler of a
    `teacher`, by distillation. `listening` makes it change LISTENING alone, the parts that hear and see, by
    `answer_loss`. Configurations share one program if they differ in nothing that is compiled.
    """
    c, lengths = config, (config.training.num_steps, config.training.listening_steps)
    tuned = None if ref_params is None else c.preference if teacher is None else (teacher, c.sampler)
    compiled = _jitted(c.model, c.optimizer, lengths, c.objective.norm, tuned, c.compute, listening)
    return partial(compiled, sharding.put(c.compute, ref_params))


@lru_cache(maxsize=8)
def _jitted(
    model: ModelConfig,
    optimizer: OptimizerConfig,
    lengths: tuple[int, int],
    norm: str,
    tuned: PreferenceConfig | tuple[SamplerConfig, SamplerConfig] | None,
    compute: ComputeConfig,
    listening: bool,
):
    network = ForcingTransformer(model, compute.precision, compute.remat)
    update_rule = make_optimizer(optimizer, *lengths)

    def step(frozen, state: TrainState, batch, random: RandomInputs, layout: TokenLayout):
        gather = partial(sharding.gathered, compute)
        if listening:
            loss_fn = partial(answer_loss, network)
        elif tuned is None:
            loss_fn = partial(generator_loss, network, norm)
        elif isinstance(tuned, PreferenceConfig):
            loss_fn = partial(preference_loss, tuned, gather(frozen), network, norm)
        else:
            loss_fn = partial(distillation.loss, *tuned, norm, gather(frozen), network)

        def gradient(part):
            def total(params):
                return loss_fn(gather(params), *part, layout, token_level(random, layout))

            return jax.value_and_grad(total, has_aux=True)(state.params)

        (loss, watched), grads = _summed(gradient, (batch, random), compute)
        updates, opt_state = update_rule.update(grads, state.opt_state, state.params)
        if listening:  # nothing else decays meanwhile
            parts = updates["params"].items()
            masked = {name: part if name in LISTENING else jax.tree.map(jnp.zeros_like, part) for name, part in parts}
            updates = {"params": masked}
        params = optax.apply_updates(state.params, updates)
        # the average is short at first, and again after listening, so that initial weights are forgotten
        age = jnp.where(state.step < lengths[1], state.step, state.step - lengths[1])
        decay = jnp.minimum(optimizer.ema, (1 + age) / (10 + age))
        ema = optax.incremental_update(params, state.ema_params, 1 - decay)
        metrics = {"loss": loss, "grad_norm": optax.tree.norm(grads), **watched}
        return sharding.constrain(compute, TrainState(state.step + 1, params, ema, opt_state)), metrics

    return jax.jit(step, donate_argnums=(1,))


def _summed(function, batch, compute: ComputeConfig):
    """Sum of `function(part)` over the parts of a batch, one after the other.

    A part is every n-th clip, so that each device goes through its own.
    """
    if compute.accumulate == 1:
        return function(batch)
    parts = jax.tree.map(lambda x: x.reshape(-1, compute.accumulate, *x.shape[1:]).swapaxes(0, 1), batch)
    shapes = jax.eval_shape(function, jax.tree.map(lambda x: x[0], parts))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    def add(total, part):
        return sharding.constrain(compute, jax.tree.map(jnp.add, total, function(part))), None

    return jax.lax.scan(add, zeros, parts)[0]
