"""Training of the latent codec: the two pictures of a pair are made from one another.

    made_k = decode(identity_j + motion_k, features_j),    j the other one of the pair

Every picture is thus encoded once and serves as source and as driver. One step updates the codec and then the
discriminators, on what the codec made before its update. The gradient penalty joins every `r1_every` steps.

The first coefficients can be trained to give known motion. The encoder alone learns it in the first `encoder_steps`
steps, each of which costs a fraction of a whole step; the decoder then need not wait for meaningful latents.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, UInt8
from optax.contrib import MuonDimensionNumbers

from afjax.codec.face.channels import USUAL_HIGH
from afjax.codec.latent import network, parts
from afjax.codec.latent.discriminator import discriminate, init_discriminator, prepare_discriminator
from afjax.losses import latent_codec as losses
from afjax.nn.precision import activation_dtype, matmul_precision
from afjax.nn.vgg import vgg_features
from afjax.training import sharding
from afjax.training.latent_codec.config import LatentTrainingConfig
from afjax.training.latent_codec.init import centred, copying, reading
from afjax.training.loop import Task, run
from afjax.training.throughput import Meter
from afjax.types import HostOrDevice, Params, Scalar, typed

__all__ = ["AutoencoderState", "init_state", "make_step", "reconstruct", "train"]

SCALES = 4
"""Scales of the perceptual losses: the picture, and halved up to three times."""
SMALLEST = 32
"""Side of the smallest picture that the perceptual network sees."""
THIN = 16
"""Rows or columns below which a matrix is left to Adam."""
DEVIATIONS = 3.0
"""Coefficient of known motion at a channel's end (0 is rest), so that coefficients are about normal."""


Pictures = Float[HostOrDevice, "n h w 3"]
Boxes = Float[HostOrDevice, "n 3 4"]
Pairs = Float[HostOrDevice, "b 2 h w 3"]
Critics = Mapping[str, Params]
"""Parameters of discriminators by name."""


@flax.struct.dataclass
class AutoencoderState:
    """A latent codec and its discriminators in training."""

    step: Int[Array, ""]  # number of steps taken
    params: dict
    ema_params: dict  # the codec's running average
    opt_state: tuple
    critics: dict  # discriminators by name: `picture`, and PARTS with one for both eyes
    critics_opt_state: tuple


def init_state(
    config: LatentTrainingConfig, pictures: UInt8[HostOrDevice, "n h w 3"] | None = None
) -> AutoencoderState:
    """State before the first step, from the config's seed: a codec that copies the source.

    `pictures`: uint8 `[n, h, w, 3]` of many people, which centre the encoder.
    """
    key = jax.random.fold_in(jax.random.key(config.training.seed), 2)
    params = reading(copying(network.init_params(config.codec, key)))
    if pictures is not None:
        params = centred(params, _signed(pictures))
    channels, critics = config.codec.channels, {}
    if config.loss.adversarial:
        critics["picture"] = init_discriminator(config.codec.size, channels, jax.random.fold_in(key, 1))
    if config.loss.part_adversarial:
        for n, name in enumerate(("eyes", "mouth")):
            critics[name] = init_discriminator(config.loss.part_size, channels, jax.random.fold_in(key, 2 + n))
    ema = jax.tree.map(jnp.copy, params)
    rules = _optimizers(config)
    return AutoencoderState(jnp.int32(0), params, ema, rules[0].init(params), critics, rules[1].init(critics))


def _signed(pictures: jax.Array) -> jax.Array:
    return pictures.astype(jnp.float32) / 127.5 - 1


def make_rates(config: LatentTrainingConfig) -> Callable[[int], dict[str, float]]:
    """`rates(step)`: learning rates at a step, by name for the log."""
    schedules, critics = _schedules(config)
    compiled = jax.jit(lambda step: {name: schedule(step) for name, schedule in schedules.items()})
    discriminated = config.loss.adversarial or config.loss.part_adversarial

    def rates(step: int) -> dict[str, float]:
        found = compiled(step)
        if discriminated and step >= config.encoder_steps:
            found["critic_rate"] = critics(step - config.encoder_steps)
        return {name: float(rate) for name, rate in found.items()}

    return rates


def _schedules(config: LatentTrainingConfig) -> tuple[dict[str, optax.Schedule], optax.Schedule]:
    """Schedules of the codec's rates by name, and of the discriminators', which begin with the second stage."""
    adam, first = config.adam, config.encoder_steps

    def rate(peak, steps):
        return optax.warmup_cosine_decay_schedule(
            0.0 if adam.warmup_steps else peak, peak, adam.warmup_steps, max(steps, adam.warmup_steps + 1),
            adam.final_share * peak,
        )  # fmt: skip

    whole = config.training.num_steps - first

    def staged(peak):
        return optax.join_schedules([rate(peak, first), rate(peak, whole)], [first])

    schedules = {"learning_rate": staged(adam.learning_rate)} | ({"muon": staged(adam.muon)} if adam.muon else {})
    return schedules, rate(adam.critic_rate, whole)


def _optimizers(config: LatentTrainingConfig) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    """Optimizers of the codec and of the discriminators; the rate rises and falls in each stage."""
    adam, (schedules, critics) = config.adam, _schedules(config)
    critics = optax.adam(critics, 0.0, adam.beta2)
    if not adam.muon:
        return optax.adam(schedules["learning_rate"], adam.beta1, adam.beta2), critics
    codec = optax.contrib.muon(
        schedules["muon"], adam_b1=adam.beta1, adam_b2=adam.beta2, adam_learning_rate=schedules["learning_rate"],
        muon_weight_dimension_numbers=partial(jax.tree.map, _as_matrix),
    )  # fmt: skip
    return codec, critics


def _as_matrix(weight: jax.Array) -> MuonDimensionNumbers | None:
    """How a stored weight `[(1,) out, in, ...]` is read as a matrix; None where it is none, or a thin one."""
    first = 1 if weight.ndim == 5 else 0
    if weight.ndim < 2 or min(weight.shape[first], math.prod(weight.shape[first + 1 :])) < THIN:
        return None
    return MuonDimensionNumbers(tuple(range(first + 1, weight.ndim)), first)


@typed
def reconstruct(
    params: Mapping, pictures: Pairs, dtype: DTypeLike = jnp.float32
) -> tuple[Pairs, Float[Array, "b 2 c"]]:
    """Each picture of pairs `[b, 2, h, w, 3]` in [-1, 1], made from the other, and the coefficients `[b, 2, c]`.

    `dtype`: that of maps; results are float32.
    """
    prepared, flat = _ready(params, pictures, dtype)
    identity, coefficients, features = network.encode(prepared, flat)
    latents = _other(identity) + network.motion(prepared, coefficients)
    made = network.decode(prepared, latents, [_other(each) for each in features], together=flat.shape[1])
    return made.reshape(pictures.shape), coefficients.reshape(*pictures.shape[:2], -1)


def _ready(params: Mapping, pictures: jax.Array, dtype) -> tuple[dict, jax.Array]:
    """Parameters and pictures `[n, h, w, 3]`, prepared for maps of a dtype."""
    flat = pictures.reshape(-1, *pictures.shape[2:])
    return network.narrowed(network.prepare(params), dtype), flat.astype(dtype)


def _other(x: jax.Array) -> jax.Array:
    """`[2 * b, ...]` of pairs with the two of each pair exchanged."""
    return x.reshape(-1, 2, *x.shape[1:])[:, ::-1].reshape(x.shape)


def _views(names, images: jax.Array, boxes: jax.Array, size: int) -> dict[str, jax.Array]:
    """What each discriminator sees of pictures `[n, h, w, 3]` with `boxes` `[n, 3, 4]`."""
    views = {}
    for name in names:
        if name == "picture":
            views[name] = images
        else:
            chosen = [n for n, part in enumerate(parts.PARTS) if part.endswith(name.removesuffix("s"))]
            views[name] = jnp.concatenate([parts.cut(images, boxes[:, n], size) for n in chosen])
    return views


@typed
def codec_losses(
    config: LatentTrainingConfig, vgg: Mapping | None, critics: Critics, made: Pictures, targets: Pictures, boxes: Boxes
) -> dict:
    """The losses in use by name, unweighted, of pictures `[n, h, w, 3]` in [-1, 1] with `boxes` `[n, 3, 4]`.

    `critics` are prepared; `boxes` are those of PARTS, in pixels.
    """
    weights, found = config.loss, {"pixels": losses.distance(made, targets)}
    dtype = activation_dtype(config.compute.precision)
    if weights.part_pixels:
        found["part_pixels"] = _in_parts(made, targets, boxes)
    if weights.perceptual or weights.part_perceptual:
        found["perceptual"] = found["part_perceptual"] = 0.0
        for a, b in zip(_scales(made), _scales(targets), strict=True):
            maps = ([each.astype(a.dtype) for each in vgg_features(vgg, images.astype(dtype))] for images in (a, b))
            for x, y in zip(*maps, strict=True):
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


@typed
def critic_losses(
    config: LatentTrainingConfig, critics: Critics, made: Pictures, targets: Pictures, boxes: Boxes,
    penalise: Bool[HostOrDevice, ""] | bool,
) -> tuple[Scalar, dict]:  # fmt: skip
    """Sum of the discriminators' losses and, where `penalise`, of their weighted gradient penalties; and both by name.

    Pictures and boxes are as in `codec_losses`; `critics` are not prepared.
    """
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


def make_step(config: LatentTrainingConfig, vgg: Mapping | None = None) -> Callable:
    """`step(state, batch) -> (state, metrics)`, jitted; `batch` as `data_pipeline.face_crops` gives it.

    `vgg`: weights of `afjax.nn.vgg`, needed where a perceptual loss has a weight.
    """
    (rule, critics_rule), precision = _optimizers(config), config.compute.precision
    dtype = activation_dtype(precision)

    @partial(jax.jit, donate_argnums=1)
    @matmul_precision(precision)
    def step(vgg, state: AutoencoderState, batch):
        pictures = _signed(batch["pictures"])
        boxes = batch["boxes"].reshape(-1, *batch["boxes"].shape[2:])
        targets = pictures.reshape(-1, *pictures.shape[2:])
        critics = {name: prepare_discriminator(each) for name, each in state.critics.items()}

        def total(params):
            made, coefficients = reconstruct(params, pictures, dtype)
            made = made.reshape(targets.shape)
            found = codec_losses(config, vgg, critics, made, targets, boxes)
            if config.loss.known_motion:
                found["known_motion"] = losses.known_motion(coefficients, _wanted(batch))
            return sum(getattr(config.loss, name) * each for name, each in found.items()), (found, made)

        (loss, (metrics, made)), grads = jax.value_and_grad(total, has_aux=True)(state.params)
        updated = _updated(config, rule, state, grads)
        error = ((jnp.clip(made, -1, 1) - targets) ** 2).mean((1, 2, 3))
        metrics |= {"loss": loss, "grad_norm": optax.tree.norm(grads), "psnr": -10 * jnp.log10(error / 4).mean()}
        critics, critics_opt_state = state.critics, state.critics_opt_state
        if critics:
            penalise = state.step % config.loss.r1_every == 0
            told = partial(critic_losses, config, made=made, targets=targets, boxes=boxes, penalise=penalise)
            (_, found), grads = jax.value_and_grad(told, has_aux=True)(critics)
            updates, critics_opt_state = critics_rule.update(grads, critics_opt_state)
            critics, metrics = optax.apply_updates(critics, updates), metrics | found
        updated = updated.replace(critics=critics, critics_opt_state=critics_opt_state)
        return sharding.constrain(config.compute, updated), metrics

    ready = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), vgg)
    return partial(step, sharding.put(config.compute, ready))


def make_encoder_step(config: LatentTrainingConfig) -> Callable:
    """`step(state, batch) -> (state, metrics)`, jitted, by which the encoder alone learns known motion."""
    rule, _ = _optimizers(config)
    dtype = activation_dtype(config.compute.precision)

    @partial(jax.jit, donate_argnums=0)
    @matmul_precision(config.compute.precision)
    def step(state: AutoencoderState, batch):
        pictures = _signed(batch["pictures"])

        def error(params):
            coefficients = network.encode(*_ready(params, pictures, dtype)).coefficients
            return losses.known_motion(coefficients, _wanted(batch).reshape(len(coefficients), -1))

        loss, grads = jax.value_and_grad(error)(state.params)
        metrics = {"loss": loss, "known_motion": loss, "grad_norm": optax.tree.norm(grads)}
        return sharding.constrain(config.compute, _updated(config, rule, state, grads)), metrics

    return step


def _wanted(batch) -> jax.Array:
    """Known motion `[b, 2, 15]` as coefficients."""
    return batch["motion"] * (DEVIATIONS / USUAL_HIGH)


def _updated(config: LatentTrainingConfig, rule, state: AutoencoderState, grads) -> AutoencoderState:
    """The state after a step of the codec."""
    updates, opt_state = rule.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    # the average is short at first, so that the initial weights are forgotten
    decay = jnp.minimum(config.adam.ema, (1 + state.step) / (10 + state.step))
    ema = optax.incremental_update(params, state.ema_params, 1 - decay)
    return state.replace(step=state.step + 1, params=params, ema_params=ema, opt_state=opt_state)


def train(
    config: LatentTrainingConfig, workdir: Path, batches: Iterator, meta: dict, vgg: Mapping | None = None,
    pictures: np.ndarray | None = None, **around,
) -> AutoencoderState:  # fmt: skip
    """Trains a codec by `afjax.training.loop.run`.

    `batches`: those of `data_pipeline.face_crops.batches`; `pictures`: as for `init_state`.
    """
    first, whole, compute = make_encoder_step(config), make_step(config, vgg), config.compute
    mesh = sharding.make_mesh(compute)
    shapes = jax.eval_shape(lambda: init_state(config))
    wanted = sharding.shardings(compute, shapes)
    if wanted is None:
        wanted = jax.tree.map(lambda _: jax.sharding.SingleDeviceSharding(jax.devices()[0]), shapes)
    task = Task(
        init=lambda: (
            init_state(config, pictures) if mesh is None else sharding.put(compute, init_state(config, pictures))
        ),
        abstract=jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, wanted),
        step=lambda state, batch, number: (first if number < config.encoder_steps else whole)(state, batch),
        meter=Meter(2 * config.pictures.batch, devices=1 if mesh is None else mesh.size),
        rates=make_rates(config),
        place=sharding.make_place(compute, config.pictures.batch),
    )
    return run(task, config.training, workdir, batches, meta, **around)
