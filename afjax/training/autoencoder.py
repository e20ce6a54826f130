"""Training of the latent codec: the two pictures of a pair are made from one another.

    made_k = decode(identity_j + motion_k, features_j),    j the other one of the pair

so that every picture is encoded once and serves as source and as driver. One step updates the codec and then the
discriminators on what the codec made before its update; the gradient penalty joins every `r1_every` steps.
"""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import flax.struct
import jax
import jax.numpy as jnp
import optax

from afjax.codec.latent import autoencoder, parts
from afjax.codec.latent.discriminator import discriminate, init_discriminator, prepare_discriminator
from afjax.losses import autoencoder as losses
from afjax.nn.vgg import vgg_features
from afjax.training.autoencoder_config import AdamConfig, AutoencoderConfig
from afjax.training.loop import Task, run
from afjax.training.throughput import Meter

__all__ = ["AutoencoderState", "init_state", "make_step", "reconstruct", "train"]

SCALES = 4
"""Of the perceptual losses: the picture, and halved up to three times."""
SMALLEST = 32
"""Side of the smallest picture that the perceptual network sees."""
OPEN = 2.0
"""The finest mask's logit at first."""


@flax.struct.dataclass
class AutoencoderState:
    step: jax.Array  # int32
    params: dict
    ema_params: dict
    opt_state: tuple
    critics: dict  # discriminators by name: `picture`, and PARTS with one for both eyes
    critics_opt_state: tuple


def init_state(config: AutoencoderConfig) -> AutoencoderState:
    """State before the first step, from the config's seed alone: a codec that copies the source."""
    key = jax.random.fold_in(jax.random.key(config.training.seed), 2)
    params = copying(autoencoder.init_params(config.codec, key))
    channels, critics = config.codec.channels, {}
    if config.loss.adversarial:
        critics["picture"] = init_discriminator(config.codec.size, channels, jax.random.fold_in(key, 1))
    if config.loss.part_adversarial:
        for n, name in enumerate(("eyes", "mouth")):
            critics[name] = init_discriminator(config.loss.part_size, channels, jax.random.fold_in(key, 2 + n))
    ema = jax.tree.map(jnp.copy, params)
    rules = _optimizers(config.adam, config.training.num_steps)
    return AutoencoderState(jnp.int32(0), params, ema, rules[0].init(params), critics, rules[1].init(critics))


def copying(params: dict) -> dict:
    """Fresh parameters, changed in place so that every picture made is its source, whatever the latent.

    What is left to learn is then motion, not pictures. All flow is still, so that what it magnifies by (half a pixel at
    the edges, `layers.grid`) stays. Of the finest map three channels hold the picture, and the finest picture head
    alone shows them; the mask lets most of them pass:

        feature = sqrt(2) (x + 1),    image = sqrt(2) weight mask feature - 1,    weight = 1 / (2 mask)
    """
    levels = [level for name, level in sorted(params["decoder"].items()) if name.startswith("level")]
    for level in levels:
        level["flow"]["conv"]["weight"] *= 0
        level["rgb"]["weight"] *= 0
    entry, finest = params["encoder"]["input"], levels[-1]
    # stored weights are divided by the root of their fan-in when used
    colours = jnp.eye(3)[:, :, None, None]
    entry["weight"] = entry["weight"].at[:3].set(math.sqrt(3) * colours)
    entry["bias"] = entry["bias"].at[:, :3].set(1.0)
    finest["flow"]["bias"] = finest["flow"]["bias"].at[:, 2].set(OPEN)
    width = finest["rgb"]["weight"].shape[1]
    weight = math.sqrt(width) / (2 * jax.nn.sigmoid(OPEN))
    finest["rgb"]["weight"] = finest["rgb"]["weight"].at[:, :3].set(weight * colours)
    finest["rgb"]["bias"] -= 1.0
    return params


def _optimizers(config: AdamConfig, steps: int) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    """Of the codec and of the discriminators."""

    def adam(peak, beta1):
        rate = optax.warmup_cosine_decay_schedule(
            0.0 if config.warmup_steps else peak, peak, config.warmup_steps, max(steps, config.warmup_steps + 1),
            config.final_share * peak,
        )  # fmt: skip
        return optax.adam(rate, beta1, config.beta2)

    return adam(config.learning_rate, config.beta1), adam(config.critic_rate, 0.0)


def reconstruct(params: Mapping, pictures: jax.Array) -> jax.Array:
    """Each picture of pairs `[n, 2, size, size, 3]` in [-1, 1], made from the other one of its pair."""
    prepared = autoencoder.prepare(params)
    flat = pictures.reshape(-1, *pictures.shape[2:])
    identity, coefficients, features = autoencoder.encode(prepared, flat)
    latents = _other(identity) + autoencoder.motion(prepared, coefficients)
    made = autoencoder.decode(prepared, latents, [_other(each) for each in features], together=flat.shape[1])
    return made.reshape(pictures.shape)


def _other(x: jax.Array) -> jax.Array:
    """`[2 n, ...]` of pairs with the two of each pair exchanged."""
    return x.reshape(-1, 2, *x.shape[1:])[:, ::-1].reshape(x.shape)


def _views(names, images: jax.Array, boxes: jax.Array, size: int) -> dict[str, jax.Array]:
    """What each discriminator sees of pictures `[n, s, s, 3]` with `boxes` `[n, 3, 4]`."""
    views = {}
    for name in names:
        if name == "picture":
            views[name] = images
        else:
            chosen = [n for n, part in enumerate(parts.PARTS) if part.endswith(name.removesuffix("s"))]
            views[name] = jnp.concatenate([parts.cut(images, boxes[:, n], size) for n in chosen])
    return views


def codec_losses(
    config: AutoencoderConfig, vgg, critics, made: jax.Array, targets: jax.Array, boxes: jax.Array
) -> dict:
    """The losses in use by name, unweighted, of pictures `[n, s, s, 3]` in [-1, 1] with `boxes` `[n, 3, 4]`."""
    weights, found = config.loss, {"pixels": losses.distance(made, targets)}
    if weights.part_pixels:
        found["part_pixels"] = _in_parts(made, targets, boxes)
    if weights.perceptual or weights.part_perceptual:
        found["perceptual"] = found["part_perceptual"] = 0.0
        for a, b in zip(_scales(made), _scales(targets), strict=True):
            for x, y in zip(vgg_features(vgg, a), vgg_features(vgg, b), strict=True):
                found["perceptual"] += losses.distance(x, y)
                found["part_perceptual"] += _in_parts(x, y, boxes)
    if critics:
        views, real = (_views(critics, each, boxes, weights.part_size) for each in (made, targets))
        judged = {name: discriminate(critics[name], view) for name, view in views.items()}
        if weights.adversarial:
            found["adversarial"] = losses.adversarial(judged["picture"][0])
        if weights.part_adversarial:
            found["part_adversarial"] = sum(losses.adversarial(judged[name][0]) for name in judged if name != "picture")
        if weights.style:
            wanted = {name: discriminate(critics[name], real[name])[1] for name in judged if name != "picture"}
            found["style"] = sum(losses.style(judged[name][1], wanted[name]) for name in wanted)
    return found


def _in_parts(found: jax.Array, wanted: jax.Array, boxes: jax.Array) -> jax.Array:
    """Mean over PARTS of the distance inside their boxes."""
    masks = parts.mask(boxes, found.shape[1])
    return sum(losses.distance(found, wanted, masks[:, n]) for n in range(len(parts.PARTS))) / len(parts.PARTS)


def _scales(images: jax.Array) -> list[jax.Array]:
    scales = [images]
    while len(scales) < SCALES and scales[-1].shape[1] > SMALLEST:
        n, height, width, channels = scales[-1].shape
        scales.append(scales[-1].reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4)))
    return scales


def critic_losses(config: AutoencoderConfig, critics, made, targets, boxes, penalise) -> tuple[jax.Array, dict]:
    """Sum of the discriminators' losses and, where `penalise`, of their weighted gradient penalties; and both."""
    ready = {name: prepare_discriminator(each) for name, each in critics.items()}
    fakes, reals = (_views(critics, each, boxes, config.loss.part_size) for each in (made, targets))
    told = sum(
        losses.discriminator(discriminate(each, reals[name])[0], discriminate(each, fakes[name])[0])
        for name, each in ready.items()
    )

    def penalty():
        return sum(losses.r1(lambda x, e=each: discriminate(e, x)[0], reals[name]) for name, each in ready.items())

    r1 = jax.lax.cond(penalise, penalty, lambda: jnp.zeros(()))
    return told + config.loss.r1 * config.loss.r1_every * r1, {"critics": told, "r1": r1}


def make_step(config: AutoencoderConfig, vgg: Mapping | None = None):
    """`step(state, batch) -> (state, metrics)`, jitted; `batch` as `data_pipeline.frames` gives it.

    `vgg`: weights of `afjax.nn.vgg`, needed where a perceptual loss has a weight.
    """
    rule, critics_rule = _optimizers(config.adam, config.training.num_steps)

    @partial(jax.jit, donate_argnums=1)
    def step(vgg, state: AutoencoderState, batch):
        pictures = batch["pictures"].astype(jnp.float32) / 127.5 - 1
        boxes = batch["boxes"].reshape(-1, *batch["boxes"].shape[2:])
        targets = pictures.reshape(-1, *pictures.shape[2:])
        critics = {name: prepare_discriminator(each) for name, each in state.critics.items()}

        def total(params):
            made = reconstruct(params, pictures).reshape(targets.shape)
            found = codec_losses(config, vgg, critics, made, targets, boxes)
            return sum(getattr(config.loss, name) * each for name, each in found.items()), (found, made)

        (loss, (metrics, made)), grads = jax.value_and_grad(total, has_aux=True)(state.params)
        updates, opt_state = rule.update(grads, state.opt_state)
        params = optax.apply_updates(state.params, updates)
        # a short average at first, so that the initial weights are forgotten
        decay = jnp.minimum(config.adam.ema, (1 + state.step) / (10 + state.step))
        ema = optax.incremental_update(params, state.ema_params, 1 - decay)
        error = ((jnp.clip(made, -1, 1) - targets) ** 2).mean((1, 2, 3))
        metrics |= {"loss": loss, "grad_norm": optax.tree.norm(grads), "psnr": -10 * jnp.log10(error / 4).mean()}
        critics, critics_opt_state = state.critics, state.critics_opt_state
        if critics:
            penalise = state.step % config.loss.r1_every == 0
            told = partial(critic_losses, config, made=made, targets=targets, boxes=boxes, penalise=penalise)
            (_, found), grads = jax.value_and_grad(told, has_aux=True)(critics)
            updates, critics_opt_state = critics_rule.update(grads, critics_opt_state)
            critics, metrics = optax.apply_updates(critics, updates), metrics | found
        return AutoencoderState(state.step + 1, params, ema, opt_state, critics, critics_opt_state), metrics

    return partial(step, jax.device_put(vgg))


def train(
    config: AutoencoderConfig, workdir: Path, batches: Iterator, meta: dict, vgg: Mapping | None = None, **around
) -> AutoencoderState:
    """Trains a codec by `afjax.training.loop.run`; `batches`: of `data_pipeline.frames.batches`."""
    step = make_step(config, vgg)
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shapes = jax.eval_shape(lambda: init_state(config))
    task = Task(
        init=lambda: init_state(config),
        abstract=jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), shapes),
        step=lambda state, batch, _: step(state, batch),
        meter=Meter(2 * config.pictures.batch),
    )
    return run(task, config.training, workdir, batches, meta, **around)
