"""wav2vec2 over whole clips and in a stream: the same numbers wherever both see the same sound."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.audio.wav2vec2 import features, network
from afjax.audio.wav2vec2.config import Wav2Vec2Config, from_huggingface
from afjax.audio.wav2vec2.extractor import Wav2Vec2Features
from afjax.errors import InputError
from afjax.weights import names, wav2vec2_names
from afjax.weights import tiny_release as released
from afjax.weights.tiny_release import huggingface

CONFIG = released.SPEECH
FRAMES = 12


@pytest.fixture(scope="module")
def params():
    return names.to_tree(released.tensors(CONFIG), wav2vec2_names.names(CONFIG))


@pytest.fixture(scope="module")
def wave():
    return np.asarray(0.1 * jax.random.normal(jax.random.key(1), (FRAMES * 640,)) + 0.02, np.float32)


def call(params, method, *arguments):
    """A compiled method of the network."""
    return jax.jit(lambda p, *a: network.Wav2Vec2(CONFIG).apply({"params": p}, *a, method=method))(params, *arguments)


def near(a, b, tolerance=2e-5):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def test_interpolation_keeps_the_corners():
    rows = jnp.array([0.0, 1.0, 4.0])[None, :, None]
    near(features.interpolate(rows, 5)[0, :, 0], [0, 0.5, 1, 2.5, 4])
    near(features.interpolate(rows, 2)[0, :, 0], [0, 4])
    near(features.interpolate(rows, 1)[0, :, 0], [0])
    near(features.interpolate(rows, 3), rows)


def test_frames_are_the_interpolated_rows(params, wave):
    x = features.standardise(wave)[None]
    statistics = call(params, "statistics", x)
    rows = call(params, "rows", x, statistics)
    assert rows.shape == (1, 2 * FRAMES - 1, 4)
    near(call(params, "frames", x, statistics), features.interpolate(rows, FRAMES))


def test_statistics_of_parts_are_those_of_the_whole(params):
    wave = np.random.default_rng(2).normal(size=(2, 640 * 130 + 77)).astype(np.float32) + [[0], [3]]
    cut = np.lib.stride_tricks.sliding_window_view(wave, 10, axis=1)[:, ::5]
    rows = cut @ np.asarray(params["convs_0"]["kernel"])[:, 0].T
    found = call(params, "statistics", wave.astype(np.float32))
    assert found.count == rows.shape[1]
    near(found.mean, rows.mean(1))
    near(found.variance, rows.var(1), 1e-4)


def test_long_sound_in_parts(params, wave, monkeypatch):
    whole = features.features(params, CONFIG, wave)
    monkeypatch.setattr(network, "_FRAMES_AT_ONCE", 5)
    monkeypatch.setattr(network, "_QUERIES_AT_ONCE", 5)
    monkeypatch.setattr(network, "_FRAMES_OF_STATISTICS", 3)
    x = features.standardise(wave)[None]
    near(call(params, "__call__", x)[0], whole)


def test_short_last_frame_repeats_its_last_sample(params, wave):
    short = wave[:-300]
    standard = features.standardise(short)
    filled = np.concatenate([standard, np.full(300 + 2 * 640, standard[-1])])
    expected = features.encode(params, CONFIG, filled[None])[0]
    assert expected.shape == (FRAMES + 2, CONFIG.dim)
    near(features.features(params, CONFIG, short, FRAMES + 2), expected)
    with pytest.raises(InputError, match="does not fit 3"):
        features.fill(short, 3)


def test_sound_longer_than_the_clip_counts_in_the_standardisation(wave):
    loud = np.concatenate([wave, 5 * wave])
    np.testing.assert_array_equal(features.whole(loud, FRAMES), features.standardise(loud)[: len(wave)])


def test_stream_that_sees_everything_is_the_whole_clip(params, wave):
    past = features.extend_past(params, CONFIG, features.init_past(CONFIG), wave[None])
    near(features.recent(params, CONFIG, wave[None], past)[0], features.features(params, CONFIG, wave))
    near(features.latest(params, CONFIG, wave, 5, window=FRAMES), features.features(params, CONFIG, wave)[-5:])


def test_stream_reads_its_window_and_the_past_alone(params, wave):
    past = features.extend_past(params, CONFIG, features.init_past(CONFIG), wave[None])
    rows = features.latest(params, CONFIG, wave, 2, past, window=4)
    changed = wave.copy()
    changed[: -4 * 640] = 0
    near(features.latest(params, CONFIG, changed, 2, past, window=4), rows, 0)
    changed[-4 * 640] += 0.5
    assert np.abs(features.latest(params, CONFIG, changed, 2, past, window=4) - rows).max() > 1e-4


def test_past_is_kept_piece_by_piece(params, wave):
    whole = features.extend_past(params, CONFIG, features.init_past(CONFIG), wave[None])
    past = features.init_past(CONFIG)
    for piece in np.split(wave, 3):
        past = features.extend_past(params, CONFIG, past, piece[None])
    near(past.samples.mean, whole.samples.mean, 1e-6)
    near(past.samples.variance, whole.samples.variance, 1e-6)
    assert past.rows.count == whole.rows.count - 2  # rows that lie across two pieces aren't counted
    near(past.rows.variance, whole.rows.variance, 1e-3)


def test_silence_is_finite(params):
    assert np.isfinite(features.features(params, CONFIG, np.zeros(1000, np.float32))).all()
    assert np.isfinite(features.latest(params, CONFIG, np.zeros(640, np.float32), 1, window=4)).all()


@pytest.mark.parametrize(
    ("samples", "rows", "said"), [(700, 1, "not whole frames"), (640, 0, "window"), (640, 5, "window")]
)
def test_bad_requests(params, samples, rows, said):
    with pytest.raises(InputError, match=said):
        features.latest(params, CONFIG, np.ones(samples, np.float32), rows, window=4)


def test_config_of_hugging_face():
    assert from_huggingface({}) == Wav2Vec2Config()
    assert from_huggingface(huggingface(CONFIG)) == CONFIG
    for content, said in [
        ({"model_type": "hubert"}, "hubert"),
        ({"do_stable_layer_norm": True}, "do_stable_layer_norm"),
        ({"feat_extract_norm": "layer"}, "feat_extract_norm"),
        ({"hidden_size": 100}, "multiple of heads"),
        ({"hidden_size": "768"}, "not a size"),
        ({"conv_dim": 512}, "not a list"),
        ({"conv_stride": [5, 2, 2, 2, 2, 2, 3]}, "don't fit frames"),
        ([], "not a table"),
    ]:
        with pytest.raises(InputError, match=said):
            from_huggingface(content)


def test_bfloat16_hears_nearly_the_same_and_keeps_statistics_wide(params, wave):
    exact = Wav2Vec2Features(CONFIG, params, window=6)
    narrow = exact.at("bfloat16")
    assert narrow != exact == narrow.at("float32")
    found = []
    for extractor in (exact, narrow):
        state, rows = extractor.init(), []
        for sound in wave[: FRAMES // 3 * 3 * 640].reshape(-1, 3 * 640):
            state, made = jax.jit(extractor.step)(params, state, jnp.asarray(sound))
            rows.append(made)
        found.append((state, np.concatenate(rows)))
    jax.tree.map(np.testing.assert_array_equal, *(state for state, _ in found))
    (_, wide), (_, rounded) = found
    assert rounded.dtype == np.float32 and 1e-4 < np.sqrt(np.mean((wide - rounded) ** 2)) / wide.std() < 2e-2
    dots = str(jax.make_jaxpr(narrow.encode)(params, jnp.asarray(wave[None, : 640 * 2]))).count("bf16")
    assert dots > 20 and "bf16" not in str(jax.make_jaxpr(exact.encode)(params, jnp.asarray(wave[None, : 640 * 2])))


def test_an_extractor_gives_the_rows_of_a_stream(params, wave):
    """Two voices of different pasts in one mapped call."""
    extractor, block = Wav2Vec2Features(CONFIG, params, window=6), 3
    step = jax.jit(jax.vmap(lambda state, sound: extractor.step(params, state, sound)))
    voices = np.stack([wave, 0.3 * wave[::-1]])
    state = jax.tree.map(lambda x: jnp.stack([x, x]), extractor.init())
    past = features.init_past(CONFIG)
    for end in range(block, FRAMES + 1, block):
        sound = voices[:, (end - block) * 640 : end * 640]
        state, rows = step(state, jnp.asarray(sound))
        past = features.extend_past(params, CONFIG, past, sound[:1])
        near(rows[0], features.latest(params, CONFIG, wave[: end * 640], block, past, window=6))
    assert np.abs(rows[1] - rows[0]).max() > 1e-2


def test_recorded_sound_is_heard_as_a_stream_hears_it(params, wave):
    """Block by block, the last of them filled up with silence, and nothing of a block from what comes after it."""
    extractor, block = Wav2Vec2Features(CONFIG, params, window=6, block=5), 5
    rows = extractor.clip(wave, FRAMES)
    assert rows.shape == (FRAMES, CONFIG.dim)
    state, sound = extractor.init(), np.concatenate([wave, np.zeros(3 * 640, np.float32)])
    step = jax.jit(lambda state, sound: extractor.step(params, state, sound))
    for end in (5, 10, 15):
        state, made = step(state, jnp.asarray(sound[(end - block) * 640 : end * 640]))
        near(made[: FRAMES - end + block], rows[end - block : end], 1e-4)
    changed = wave.copy()
    changed[10 * 640 :] = 0.7
    np.testing.assert_array_equal(extractor.clip(changed, FRAMES)[:10], rows[:10])
    whole = Wav2Vec2Features(CONFIG, params)
    assert np.abs(whole.clip(changed, FRAMES) - whole.clip(wave, FRAMES))[:10].max() > 1e-2
    assert np.abs(rows[:5] - rows[5:10]).max() > 1e-2


def test_how_long_sound_is_does_not_matter_to_its_beginning(params):
    """A tenth block is computed beside others that fill up the programs' size."""
    wave = np.asarray(0.1 * jax.random.normal(jax.random.key(3), (40 * 640,)), np.float32)
    rows = features.streamed(params, CONFIG, wave, 4, 6)
    np.testing.assert_array_equal(features.streamed(params, CONFIG, wave[: 36 * 640], 4, 6), rows[:36])
    for block, window in ((3, 6), (8, 6)):
        with pytest.raises(InputError, match="in blocks of"):
            features.streamed(params, CONFIG, wave, block, window)
    with pytest.raises(InputError, match="longer than the window"):
        Wav2Vec2Features(CONFIG, params, window=6, block=8)


def test_weights_cast_once_give_the_rows_of_weights_cast_at_use(params, wave):
    params = jax.tree.map(jnp.asarray, params)
    once = features.narrowed(params, "bfloat16")
    assert sum(x.nbytes for x in jax.tree.leaves(once)) < 0.8 * sum(x.nbytes for x in jax.tree.leaves(params))
    assert features.narrowed(params, "tf32") is params
    extractor = Wav2Vec2Features(CONFIG, params, window=FRAMES, precision="bfloat16")
    rows = [
        jax.jit(extractor.step)(weights, extractor.init(), wave[: 5 * 640])[1]
        for weights in (params, extractor.live_params)
    ]
    np.testing.assert_array_equal(*rows)
    assert {x.dtype for x in jax.tree.leaves(extractor.live_params)} == {np.dtype(np.float32), np.dtype(jnp.bfloat16)}
