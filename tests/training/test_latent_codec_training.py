"""Training of the latent codec: what a step does, what it learns, what settings are refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.codec.latent import encoder, network
from afjax.codec.latent.config import LatentConfig
from afjax.config import ComputeConfig, TrainingConfig, from_dict, to_dict
from afjax.errors import InputError
from afjax.training.latent_codec import step
from afjax.training.latent_codec.config import AdamConfig, LatentTrainingConfig, LossConfig, PicturesConfig
from experiments.configs.autoencoder import get_config
from tests.training.test_compute import equations

TINY = LatentConfig(size=64, dim=8, directions=4, channels=(8, 8, 8, 8, 4))
ONLY_PIXELS = LossConfig(adversarial=0.0, part_adversarial=0.0, style=0.0, part_size=16)


def tiny(loss: LossConfig = ONLY_PIXELS, **adam) -> LatentTrainingConfig:
    return LatentTrainingConfig(codec=TINY, loss=loss, adam=AdamConfig(**adam), training=TrainingConfig(num_steps=60))


def one_pair() -> dict[str, np.ndarray]:
    """A bright square that moves by a few pixels."""
    pictures = np.full((1, 2, 64, 64, 3), 60, np.uint8)
    pictures[0, 0, 20:40, 16:36] = pictures[0, 1, 24:44, 26:46] = (220, 180, 90)
    boxes = np.tile(np.array([0.3, 0.3, 0.6, 0.6], np.float32), (1, 2, 3, 1))
    return {"pictures": pictures, "boxes": boxes}


@pytest.fixture(scope="module")
def state():
    """Before the first step, made as a run makes it."""
    return step.init_state(tiny())


# one program each for all tests
reconstruct = jax.jit(step.reconstruct)
centred_by = jax.jit(lambda pictures: step.init_state(tiny(), pictures).params)  # compiles far less than op by op


@jax.jit
def coefficients_of(params, pictures):
    return network.encode(network.prepare(params), pictures).coefficients


def test_a_codec_copies_its_source_at_first(state):
    """But for the half pixel by which zero flow magnifies, so a picture of slopes: half of 1/64 a pixel at the edge."""
    x, y = np.meshgrid(*[np.linspace(-0.9, 0.9, 64, dtype=np.float32)] * 2)
    pictures = np.stack([np.stack([x, y, -x], -1), np.stack([-y, x, 0.5 * y], -1)])[None]
    made = reconstruct(state.params, pictures)[0][0, ::-1]
    inside = (slice(None), slice(1, -1), slice(1, -1))  # zeros lie beyond the edge
    np.testing.assert_allclose(made[inside], pictures[0][inside], atol=0.015)
    assert state.critics == {} and jax.tree.all(
        jax.tree.map(lambda a, b: a is not b and bool((a == b).all()), state.params, state.ema_params)
    )


def test_coefficients_are_orthonormal_projections_at_first(state):
    identity = np.eye(TINY.dim, dtype=np.float32)
    read = jax.jit(lambda params: encoder.coefficients_of(network.prepare(params)["encoder"], identity))
    rows = np.asarray(read(state.params)).T
    np.testing.assert_allclose(rows @ rows.T, np.eye(TINY.directions), atol=1e-5)


def test_a_centred_codec_tells_pictures_apart_and_copies_as_before(state):
    """The coefficients of what it was centred by are white; blobs on one background, as faces are."""
    rng = np.random.default_rng(0)
    pictures = np.full((48, 64, 64, 3), 90, np.uint8)
    for picture in pictures:
        row, column = rng.integers(10, 40, 2)
        picture[row : row + 12, column : column + 12] += rng.integers(0, 120, 3).astype(np.uint8)
    plain, centred = state.params, centred_by(pictures)
    signed = pictures.astype(np.float32) / 127.5 - 1

    def spread(params):
        values = np.linalg.eigvalsh(np.cov(coefficients_of(params, signed), rowvar=False))
        return values[0], values[-1]

    assert spread(centred) == (pytest.approx(1, abs=0.02), pytest.approx(1, abs=0.02))
    assert spread(plain)[1] > 5 * spread(plain)[0]
    np.testing.assert_allclose(np.mean(coefficients_of(centred, signed), 0), 0, atol=1e-3)
    made = [reconstruct(params, signed[None, :2])[0] for params in (plain, centred)]
    np.testing.assert_allclose(*made, atol=1e-4)


def test_two_pictures_are_enough_to_be_centred_by():
    params = centred_by(np.tile(one_pair()["pictures"][0], (24, 1, 1, 1)))
    assert jax.tree.all(jax.tree.map(lambda leaf: bool(np.isfinite(leaf).all()), params))


@pytest.mark.slow
def test_the_encoder_alone_learns_known_motion():
    """A square's place as yaw: the decoder stays as it is, to the bit."""
    config = dataclasses.replace(
        tiny(learning_rate=1e-2, beta1=0.9, muon=0.05),
        codec=dataclasses.replace(TINY, dim=16, directions=15), encoder_steps=60,
    )  # fmt: skip
    motion = np.zeros((1, 2, 15), np.float32)
    motion[0, :, 0] = (-10, 15)
    batch = {**one_pair(), "motion": motion}
    state, train_step = jax.jit(lambda: step.init_state(config))(), step.make_encoder_step(config)
    before = jax.tree.map(np.array, state.params)
    errors = []
    for _ in range(60):
        state, metrics = train_step(state, batch)
        errors.append(float(metrics["known_motion"]))
    assert errors[-1] < 0.02 * errors[0]
    jax.tree.map(np.testing.assert_array_equal, before["decoder"], state.params["decoder"])
    seen = batch["pictures"][0].astype(np.float32) / 127.5 - 1
    found = np.asarray(coefficients_of(state.params, seen))
    np.testing.assert_allclose(found[:, 0], 3 * np.array([-10, 15]) / 25, atol=0.25)
    _, metrics = jax.eval_shape(step.make_step(config), state, batch)  # traced only: slow tests run it
    assert "known_motion" not in metrics, "it has no weight"


def test_muon_takes_whole_matrices():
    shapes = jax.eval_shape(lambda: step.init_state(LatentTrainingConfig()).params)
    decoder, encoder_ = shapes["decoder"], shapes["encoder"]
    found = {
        shape.shape: step._as_matrix(shape)
        for shape in (
            decoder["level0"]["styled"]["conv"]["weight"], decoder["level0"]["flow"]["conv"]["weight"],
            encoder_["block0"]["conv2"]["weight"], encoder_["block0"]["conv2"]["bias"], encoder_["input"]["weight"],
            encoder_["head0"]["weight"], decoder["constant"]["value"],
        )
    }  # fmt: skip
    chosen = {shape: (axes.output_axis, axes.reduction_axis) for shape, axes in found.items() if axes}
    assert chosen == {
        (1, 512, 512, 3, 3): (1, (2, 3, 4)), (64, 32, 3, 3): (0, (1, 2, 3)), (512, 512): (0, (1,)),
    }  # fmt: skip


def test_motion_is_known_of_drawn_people_only():
    known, few = LossConfig(known_motion=0.1), LatentConfig(size=64, dim=8, directions=4, channels=TINY.channels)
    with pytest.raises(InputError, match="known of drawn people only"):
        LatentTrainingConfig(loss=known, pictures=PicturesConfig(videos="somewhere"))
    with pytest.raises(InputError, match="15 channels, the codec 4 coefficients"):
        LatentTrainingConfig(loss=known, codec=few)
    with pytest.raises(InputError, match=r"encoder_steps must lie in \[0, training.num_steps\]"):
        LatentTrainingConfig(encoder_steps=61, training=TrainingConfig(num_steps=60))


def test_bfloat16_is_for_maps_and_float32_for_places_latents_and_pictures():
    params = jax.eval_shape(lambda: step.init_state(tiny()).params)
    pictures = jax.ShapeDtypeStruct((1, 2, 64, 64, 3), np.float32)
    traced = jax.make_jaxpr(lambda params, pictures: step.reconstruct(params, pictures, jnp.bfloat16))(params, pictures)
    dtypes = {}
    for equation in equations(traced.jaxpr):
        dtypes.setdefault(equation.primitive.name, []).append(equation.invars[0].aval.dtype)
    assert dtypes["conv_general_dilated"].count(np.float32) == 1  # the identity latent's
    assert set(dtypes["conv_general_dilated"]) == {np.dtype(np.float32), jnp.dtype(jnp.bfloat16)}
    for name in ("floor", "tanh", "logistic", "rsqrt"):
        assert set(dtypes[name]) == {np.dtype(np.float32)}, name
    assert {out.dtype for out in traced.out_avals} == {np.dtype(np.float32)}
    plain = jax.make_jaxpr(step.reconstruct)(params, pictures)
    assert jnp.bfloat16 not in {x.aval.dtype for equation in equations(plain.jaxpr) for x in equation.invars}


@pytest.mark.slow
def test_bfloat16_trains_float32_weights_to_nearly_the_same_loss(state):
    losses = {}
    for dtype in ("float32", "bfloat16"):
        config = dataclasses.replace(tiny(), compute=ComputeConfig(precision=dtype))
        one, train_step, losses[dtype] = jax.tree.map(jnp.copy, state), step.make_step(config), []
        for _ in range(4):
            one, metrics = train_step(one, one_pair())
            losses[dtype].append(float(metrics["loss"]))
        assert {leaf.dtype for leaf in jax.tree.leaves(one.params)} == {np.dtype(np.float32)}
    assert losses["float32"] != losses["bfloat16"]
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.05)


def test_of_compute_there_are_devices_and_precision():
    with pytest.raises(InputError, match="the latent codec has data and precision alone"):
        dataclasses.replace(tiny(), compute=ComputeConfig(fsdp=2))
    sizes = dataclasses.replace(TINY, dim=16, directions=15)
    config = dataclasses.replace(tiny(LossConfig(part_size=16), muon=0.5), codec=sizes, encoder_steps=10)
    rates = step.make_rates(config)
    assert set(rates(0)) == {"learning_rate", "muon"} and set(rates(10)) == {"learning_rate", "muon", "critic_rate"}


def test_critics_are_those_with_a_weight():
    state = jax.eval_shape(lambda: step.init_state(tiny(LossConfig(part_size=16))))
    assert set(state.critics) == {"picture", "eyes", "mouth"}
    only = LossConfig(part_adversarial=0.0, style=0.0)
    assert set(jax.eval_shape(lambda: step.init_state(tiny(only))).critics) == {"picture"}


@pytest.mark.slow
def test_a_pair_is_learnt_from_one_another():
    config = tiny(learning_rate=1e-2, beta1=0.9)
    state, train_step = step.init_state(config), step.make_step(config)
    scores = []
    for _ in range(200):
        state, metrics = train_step(state, one_pair())
        scores.append(float(metrics["psnr"]))
    assert scores[-1] > max(scores[0] + 6, 20)
    made = jax.jit(step.reconstruct)(state.params, one_pair()["pictures"].astype(np.float32) / 127.5 - 1)[0]
    prepared = network.prepare(state.params)
    source, driver = one_pair()["pictures"][0].astype(np.float32)[:, None] / 127.5 - 1
    identity, _, features = network.encode(prepared, source)
    latents = identity + network.motion(prepared, network.encode(prepared, driver).coefficients)
    np.testing.assert_allclose(made[0, 1], network.decode(prepared, latents, features)[0], atol=1e-4)


@pytest.mark.slow
def test_critics_learn_and_are_penalised_lazily():
    config = tiny(LossConfig(part_pixels=1.0, part_size=16, r1_every=2))
    state, train_step = step.init_state(config), step.make_step(config)
    before = jax.tree.map(np.array, state.critics)
    penalties = []
    for _ in range(4):
        state, metrics = train_step(state, one_pair())
        penalties.append(float(metrics["r1"]))
        assert all(np.isfinite(float(value)) for value in metrics.values())
    assert [penalty > 0 for penalty in penalties] == [True, False, True, False]
    assert {"pixels", "part_pixels", "adversarial", "part_adversarial", "style", "critics"} <= set(metrics)
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), before, state.critics)
    assert all(changed[name]["output"]["weight"] for name in ("picture", "eyes", "mouth"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"perceptual": 1.0}, "need weights of VGG-16"),
        ({"part_adversarial": 0.0}, "loss.style compares maps"),
        ({"r1": -1.0}, "loss.r1 must not be negative"),
        ({"part_size": 48}, "loss.part_size must be"),
        ({"pixels": 0.0, "adversarial": 0.0, "part_adversarial": 0.0, "style": 0.0}, "all weights"),
    ],
)
def test_losses_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(LossConfig(), **wrong)


def test_configurations_survive_their_file():
    config = from_dict(get_config("small").to_dict(), LatentTrainingConfig)
    stored = to_dict(config)
    stored["codec"]["channels"] = list(stored["codec"]["channels"])
    assert from_dict(stored, LatentTrainingConfig) == config
    stored["codec"]["channels"] = [64, "wide"]
    with pytest.raises(InputError, match=r"codec.channels\[1\]: 'wide' is not of type int"):
        from_dict(stored, LatentTrainingConfig)
    with pytest.raises(InputError, match="need weights of VGG-16"):
        from_dict(get_config().to_dict(), LatentTrainingConfig)
    with pytest.raises(ValueError, match="no variant"):
        get_config("huge")
