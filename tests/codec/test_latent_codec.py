"""The latent codec: sizes, names, one portrait for many frames, gradients, real pictures through a small network."""

import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.codec.latent import codec as latent_codec
from afjax.codec.latent import network
from afjax.codec.latent.codec import LatentCodec
from afjax.codec.latent.config import LatentConfig
from afjax.codec.latent.crop import clip_square
from afjax.errors import InputError
from afjax.weights.latent_names import names
from afjax.weights.names import from_tree, to_tree, tree_shapes
from afjax.weights.tensor_shapes import latent_config
from tests.parity import fixtures

TINY = LatentConfig(size=64, dim=16, directions=4, channels=(12, 12, 8, 8, 4))


@functools.cache
def tiny_params():
    return network.init_params(TINY, jax.random.key(0))


@functools.cache
def tiny_prepared():
    return jax.jit(network.prepare)(tiny_params())


def listed(manifest: str) -> dict[str, tuple[int, ...]]:
    entries = json.loads(fixtures.path(f"manifests/{manifest}.json").read_text())["parameters"]
    return {name: tuple(entry["shape"] if isinstance(entry, dict) else entry) for name, entry in entries.items()}


@pytest.mark.parametrize(
    "wrong", [{"size": 96}, {"size": 32}, {"size": 2048}, {"directions": 0}, {"dim": 8}, {"channels": (4, 4, 4)}]
)
def test_wrong_sizes_are_refused(wrong):
    with pytest.raises(InputError):
        LatentConfig(**wrong)


@pytest.mark.parametrize("size", [64, 128, 256, 512, 1024])
def test_every_size_has_its_maps(size):
    config = LatentConfig(size=size)
    assert config.sides[0] == 4 and config.sides[-1] == size and len(config.sides) == math.log2(size) - 1
    assert config.widths[-1] == {64: 256, 128: 128, 256: 64, 512: 32, 1024: 16}[size]


@pytest.mark.parametrize(("manifest", "size"), [("ae_small", 64), ("ae_full", 512)])
def test_names_and_shapes_are_the_released_ones(manifest, size):
    released = listed(manifest)
    config = latent_config({name: np.broadcast_to(np.float32(0), shape) for name, shape in released.items()}, manifest)
    assert (config.size, config.dim, config.directions) == (size, 512, 20)
    assert config.widths == LatentConfig(size=size).widths
    tree = jax.eval_shape(functools.partial(network.init_params, config), jax.random.key(0))
    assert tree_shapes(tree, names(config)) == released
    assert len({path for paths in names(config).values() for path in paths}) == len(jax.tree.leaves(tree))


def test_foreign_tensors_are_refused():
    with pytest.raises(InputError, match="another file"):
        latent_config({"flow_transformer.x": np.zeros((3, 4))}, "file")


def test_renaming_is_undone():
    table = names(TINY)
    tree = to_tree(from_tree(tiny_params(), table), table)
    jax.tree.map(np.testing.assert_array_equal, tree, jax.tree.map(np.asarray, tiny_params()))


def test_one_portrait_serves_every_frame():
    rng = np.random.default_rng(0)
    pictures = rng.uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    prepared = tiny_prepared()
    identity, coefficients, features = jax.jit(network.encode)(prepared, pictures)
    assert identity.shape == (1, 16) and coefficients.shape == (1, 4)
    assert [each.shape[1:] for each in features] == [(8, 8, 12), (16, 16, 8), (32, 32, 8), (64, 64, 4)]
    moved = identity + network.motion(prepared, rng.normal(size=(3, 4)).astype(np.float32))
    decode = jax.jit(network.decode)
    together = decode(prepared, moved, features)
    at_once = jax.jit(functools.partial(network.decode, together=64))  # as on a GPU
    np.testing.assert_allclose(at_once(prepared, moved, features), together, atol=2e-5)
    assert together.shape == (3, 64, 64, 3)
    tiled = decode(prepared, moved, [np.repeat(each, 3, 0) for each in features])
    np.testing.assert_allclose(together, tiled, atol=2e-5)
    np.testing.assert_allclose(together[::-1], decode(prepared, moved[::-1], features), atol=2e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_directions_are_orthonormal():
    directions = np.asarray(tiny_prepared()["directions"])
    np.testing.assert_allclose(directions.T @ directions, np.eye(4), atol=1e-6)


def test_the_network_declares_these_parameters():
    picture = jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32)
    declared = jax.eval_shape(network.LatentAutoencoder(TINY).init, jax.random.key(0), picture, picture)["params"]
    made = tiny_params()
    assert jax.tree.map(lambda x: (x.shape, x.dtype), declared) == jax.tree.map(lambda x: (x.shape, x.dtype), made)


@pytest.mark.slow
def test_every_parameter_in_use_has_a_gradient():
    rng = np.random.default_rng(1)
    source, driving = rng.uniform(-1, 1, (2, 1, 64, 64, 3)).astype(np.float32)
    module = network.LatentAutoencoder(TINY)

    @jax.jit
    @jax.grad
    def gradient(params):
        return (module.apply({"params": params}, source, driving) ** 2).mean()

    found = from_tree(gradient(tiny_params()), names(TINY))
    idle = {name for name, each in found.items() if not np.abs(each).max() > 0}
    assert all(np.isfinite(each).all() for each in found.values())
    assert all(name.endswith("noise.weight") or "to_rgb1" in name for name in idle), idle
    assert len(idle) == 3 + 9


def test_products_have_full_precision():
    picture, latents = np.zeros((64, 64, 3), np.uint8), np.zeros((10, 16), np.float32)
    prepared = tiny_prepared()
    identity = jax.eval_shape(latent_codec.identified, prepared, picture)
    for lowered in (
        latent_codec.seen.lower(prepared, picture[None]),
        latent_codec.identified.lower(prepared, picture),
        latent_codec.shown.lower(prepared, identity, latents),
    ):
        text = lowered.as_text()
        assert "HIGHEST" in text and "DEFAULT" not in text


def test_bfloat16_shows_and_sees_nearly_the_same():
    exact, rng = LatentCodec(TINY, tiny_params()), np.random.default_rng(0)
    narrow = exact.at("bfloat16")
    assert exact.at("float32").sha256 == exact.sha256 != narrow.sha256
    waves = np.sin(np.arange(64) / 9 + np.arange(9).reshape(3, 3, 1))  # as smooth as faces: warps move no noise
    pictures = np.uint8(127 + 60 * (waves[:, :, None, :] + waves[:, :, :, None]).transpose(0, 2, 3, 1))
    who = [latent_codec.identified(codec._ready, pictures[0], codec.precision) for codec in (exact, narrow)]
    assert who[1].features[0].dtype == jnp.bfloat16 and who[1].latent.dtype == np.float32
    motion = 0.3 * rng.standard_normal((5, 16)).astype(np.float32)
    wide, rounded = (
        codec.render(one, motion).astype(float) / 255 for codec, one in zip((exact, narrow), who, strict=True)
    )
    assert 0 < np.sqrt(np.mean((wide - rounded) ** 2)) < 4e-3 < wide.std()
    latents = [np.asarray(latent_codec.seen(c._ready, pictures, c.precision)) for c in (exact, narrow)]
    assert latents[1].dtype == np.float32
    assert 0 < np.sqrt(np.mean((latents[0] - latents[1]) ** 2)) < 1.5e-2 * latents[0].std()


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    pytest.importorskip("ai_edge_litert")
    return data.astronaut()


def test_real_pictures_go_through(astronaut):
    codec = LatentCodec(TINY, tiny_params())
    identity = codec.identity(astronaut)
    clip = [astronaut, np.zeros_like(astronaut), (astronaut * 0.8).astype(np.uint8)]
    encoded = codec.encode(iter(clip))
    assert encoded.motion.shape == (3, 16) == (3, len(codec.channels))
    assert encoded.found.tolist() == [True, False, True] and encoded.confidence[1] == 0
    np.testing.assert_allclose(encoded.motion[1], encoded.motion[[0, 2]].mean(0), atol=1e-6)
    assert np.abs(encoded.motion[0] - encoded.motion[2]).max() > 1e-4
    whole = codec.encode(iter(clip), square=clip_square(clip))
    np.testing.assert_allclose(whole.motion, encoded.motion, atol=1e-6)  # shorter than what places the square
    motion = np.concatenate([np.repeat(encoded.motion[:1], 10, 0), encoded.motion])
    frames = codec.render(identity, motion)
    assert frames.shape == (13, 64, 64, 3) and frames.dtype == np.uint8
    np.testing.assert_array_equal(frames[10], frames[0])
    latents = identity.latent + motion[-3:]
    raw = np.asarray(jax.jit(network.decode)(tiny_prepared(), latents, identity.features))
    assert np.abs(frames[-3:] - np.clip((raw + 1) / 2, 0, 1) * 255).max() <= 0.51


def test_the_face_rests_in_long_gaps(astronaut):
    codec = LatentCodec(TINY, tiny_params())
    blank, dim = np.zeros_like(astronaut), (astronaut * 0.8).astype(np.uint8)
    clip = [astronaut, *[blank] * 12, dim, *[blank] * 13, astronaut]
    encoded = codec.encode(clip)
    first, second, last = encoded.motion[[0, 13, 27]]
    np.testing.assert_allclose(encoded.rest, (first + second + last) / 3, atol=1e-6)
    np.testing.assert_allclose(encoded.motion[1:13], np.linspace(first, second, 14)[1:-1], atol=1e-6)  # half a second
    np.testing.assert_allclose(encoded.motion[18:23], np.tile(encoded.rest, (5, 1)), atol=1e-6)
    assert np.abs(encoded.motion[14] - encoded.rest).max() > 1e-4


def test_pictures_without_a_face_are_refused(astronaut):
    codec = LatentCodec(TINY, tiny_params())
    with pytest.raises(InputError, match="no face found in the portrait"):
        codec.identity(np.zeros_like(astronaut))
    with pytest.raises(InputError, match="no face found in 2 frames"):
        codec.encode(np.zeros_like(astronaut) for _ in range(2))
    with pytest.raises(InputError, match="no frames"):
        codec.encode([])
