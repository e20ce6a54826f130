"""What the released network's programs ask of a GPU, bounded on a small one, and programs that the bounds catch."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from experiments.live import released_counts
from experiments.live.lowered import counts, lower, operations
from experiments.live.released_programs import SMALL, Program, Sizes, live_config, programs
from experiments.live.roofline import H100, Device, roofline

ISLANDS = {
    # norms, softmax, rotations
    "nn.blocks.normalise", "nn.layer_norm.LayerNorm.__call__", "nn.attention.attend", "nn.rope.rotate",
    "audio.wav2vec2.network.attend.<locals>.rows",
    # levels, noise, guidance, the solver's state, how much the user moves
    "nn.embeddings.sinusoid", "nn.embeddings.LevelEmbedding.__call__", "nn.linear.Linear.__call__",
    "streaming.step.session_noise.<locals>.<lambda>", "diffusion.guidance.combine",
    "diffusion.solver._euler.<locals>.step", "nn.condition_encoder.ConditionEncoder.__call__", "streaming.step._encode",
    # what was heard so far, the first convolution's group norm, the positional kernel's norm
    "audio.wav2vec2.features.recent", "audio.wav2vec2.features.extend_past", "audio.wav2vec2.network.pool",
    "audio.wav2vec2.network.Wav2Vec2.rows", "audio.wav2vec2.network.Wav2Vec2.statistics.<locals>.stretch",
    "audio.wav2vec2.network.PositionalConv.__call__",
    "normalizer.Normalizer.scale_audio", "normalizer.Normalizer.scale_motion", "normalizer.Normalizer.raw_motion",
    # latents, styles, flow and coordinates, the picture so far
    "codec.latent.codec._signed", "codec.latent.codec.shown", "codec.latent.layers.linear",
    "codec.latent.layers.demodulation", "codec.latent.layers._warp", "codec.latent.layers._double",
    "codec.latent.layers.activate", "codec.latent.decoder.to_flow", "codec.latent.decoder.to_rgb",
}  # fmt: skip
WIDE = {
    "nn.linear.Linear.__call__ < nn.embeddings.LevelEmbedding.__call__",
    "audio.wav2vec2.network.Conv.__call__ < audio.wav2vec2.network.Wav2Vec2.statistics.<locals>.stretch",
    "codec.latent.layers.conv < codec.latent.encoder.encode",  # the 4x4 map to the identity
    "codec.latent.layers.linear < codec.latent.encoder.coefficients_of",
    "codec.latent.layers.linear < codec.latent.directions.motion_of",
    "codec.latent.layers.linear < codec.latent.decoder.styled",
    "codec.latent.layers.linear < codec.latent.layers.demodulation",
    "codec.latent.layers.linear < codec.latent.decoder.to_flow",
    "codec.latent.layers.linear < codec.latent.decoder.to_rgb",
}
"""Products that bfloat16 leaves wide."""
SHARE = 0.005
"""Of all work, in wide products of the full network."""


def faults(found: dict, transposes: int = 0) -> list[str]:
    """What a step of one graph in bfloat16 must not have."""
    wide = {name for name in found["wide_products"] if name not in WIDE}
    islands = {name for name in found["float32_islands"] if name not in ISLANDS}
    bounds = {
        "float64": found["float64"], "callbacks": found["callbacks"], "loops": found["loops"],
        "custom calls": found["custom_calls"], "scatters": found["scatters"]["ops"], "wide products": wide,
        "float32 islands": islands, "transposes": max(found["transposes"]["ops"] - transposes, 0),
    }  # fmt: skip
    return [name for name, value in bounds.items() if value]


def most(sizes: Sizes) -> dict[str, int]:
    """Transposes of attention, those of each layer: generator's evaluations with condition, and wav2vec2's."""
    generate, hear = 18 * sizes.flow.depth, 4 * sizes.speech.depth + 8
    return {"hear": hear, "see": 0, "generate": generate, "show": 0, "step": hear + generate}


@pytest.fixture(scope="module")
def stages():
    found = programs(live_config(SMALL, precision="bfloat16"), SMALL)
    return {name: released_counts.counted(program) for name, program in found.items()}


def test_a_step_in_bfloat16_is_one_graph_of_narrow_products(stages):
    limits = most(SMALL)
    assert {name: faults(found, limits[name]) for name, found in stages.items()} == dict.fromkeys(limits, [])
    for name, found in stages.items():
        assert found["products"]["bfloat16"]["ops"] > len(found["wide_products"]), name
    assert any(faults(found, limits[name] - 1) == ["transposes"] for name, found in stages.items())  # it can fail


def test_pictures_go_in_and_out_as_bytes(stages):
    side, dim, block = SMALL.codec.size, SMALL.codec.dim, 10
    see, show, step = (stages[name]["bytes"] for name in ("see", "show", "step"))
    assert (see["in"], see["out"]) == (block * side * side * 3, 4 * block * dim)
    assert show["out"] == block * side * side * 3
    wide = programs(live_config(SMALL, precision="tf32"), SMALL)["step"]
    assert step["weights"] < 0.8 * released_counts.bytes_of(wide.arguments[0])


def test_a_block_tells_the_network_its_levels_once(stages):
    """Products of a level's embedding and modulation: two tables, of the solver and of the clean pass."""
    (embedding,) = stages["generate"]["wide_products"].values()
    assert embedding["ops"] == 2 * 2


def test_what_the_bounds_are_for_is_found():
    x = jnp.ones((4, 4), jnp.bfloat16)

    def found(function, *arguments, platform="cuda"):
        return faults(counts(operations(lower(jax.jit(function), *arguments, platform=platform))))

    assert found(lambda x: x @ x, x) == []
    assert found(lambda x: x.astype(jnp.float32) @ x.astype(jnp.float32), x) == ["wide products"]
    assert found(lambda x: jnp.tanh(x.astype(jnp.float32)), x) == ["float32 islands"]
    assert found(lambda x: x.T, x) == ["transposes"]
    assert found(lambda x: lax.map(lambda row: row + 1, x), x) == ["loops"]
    assert found(lambda x: x.at[jnp.array([1, 2])].set(0), x) == ["scatters"]
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    assert "callbacks" in found(lambda x: jax.pure_callback(lambda y: y, shape, x), x, platform=None)
    with jax.enable_x64(True):
        assert "float64" in found(lambda x: x * 2, np.ones(3))


def test_operations_of_loops_and_calls_weigh_as_often_as_they_run():
    inner = jax.jit(lambda x: x @ x)

    def looped(x):
        return inner(lax.fori_loop(0, 3, lambda n, y: inner(y) + 1, x))

    x = jnp.ones((8, 8))
    found = counts(operations(lower(jax.jit(looped), x)))
    assert found["loops"] == [3] and found["products"]["tf32"]["ops"] == 4
    assert found["products"]["tf32"]["gflop"] == pytest.approx(4 * 2 * 8**3 / 1e9)
    assert found["products"]["tf32"]["bytes"] == 4 * 3 * 8 * 8 * 4
    endless = jax.jit(lambda x: lax.while_loop(lambda y: y.sum() < 9, lambda y: y + 1, x))
    assert counts(operations(lower(endless, x)))["loops"] == [None]


def test_work_of_products_is_known():
    kernel, images = jnp.ones((3, 3, 4, 6)), jnp.ones((2, 16, 16, 4))
    names = ("NHWC", "HWIO", "NHWC")

    def convolved(images, kernel):
        with jax.default_matmul_precision("highest"):
            return lax.conv_general_dilated(images, kernel, (2, 2), "SAME", dimension_numbers=names)

    batched = partial(jnp.einsum, "bij,bkj->bik")
    (first,) = (each for each in operations(lower(jax.jit(convolved), images, kernel)) if each.flops)
    assert (first.flops, first.precision) == (2 * (2 * 8 * 8 * 6) * 3 * 3 * 4, "float32")
    halves = [jnp.ones(shape, jnp.bfloat16) for shape in ((5, 2, 3), (5, 4, 3))]
    (second,) = (each for each in operations(lower(jax.jit(batched), *halves)) if each.flops)
    assert (second.flops, second.precision) == (2 * 5 * 2 * 4 * 3, "bfloat16")


def test_no_program_is_below_its_floor():
    slow = Device("slow", {"bfloat16": 1e6, "tf32": 1e5, "float32": 1e4}, 1e6, "here")
    x = jnp.ones((100, 100), jnp.bfloat16)
    found = roofline(operations(lower(jax.jit(jnp.matmul), x, x)), 3 * x.nbytes, slow)
    assert found["floor_ms"] == pytest.approx(1000 * 2 * 100**3 / 1e6) and found["bound"] == "products"
    assert roofline((), 5000, slow)["floor_ms"] == pytest.approx(5.0)
    assert found["expected_ms"] > found["floor_ms"]
    assert set(H100.flops) == {"bfloat16", "tf32", "float32"}


@pytest.mark.slow
def test_the_full_network_is_as_narrow(tmp_path):
    sizes = Sizes()
    summary = released_counts.measure(sizes, 10, ["bfloat16"])
    stages, limits = summary["precisions"]["bfloat16"]["stages"], most(sizes)
    for name, found in stages.items():
        assert faults(found, limits[name]) == [], name
        wide = sum(each["gflop"] for each in found["wide_products"].values())
        assert wide < SHARE * sum(each["gflop"] for each in found["products"].values()), name
        assert found["roofline"]["floor_ms"] < found["roofline"]["expected_ms"]
    released_counts.report(summary)


def test_a_program_is_counted_by_shapes_alone():
    shape = jax.ShapeDtypeStruct((1 << 20, 1 << 12), jnp.bfloat16)  # eight gigabytes
    program = Program(jax.jit(lambda w, x: x @ w), (shape, jax.ShapeDtypeStruct((1, 1 << 20), jnp.bfloat16)))
    found = released_counts.counted(program)
    assert found["bytes"]["weights"] == 2 << 32 and found["roofline"]["bound"] == "memory"
