"""Live sessions: sound to motion in one step, slots that know nothing of one another, snapshots, no retrace."""

import dataclasses
import gc
import resource
from pathlib import Path

import jax
import numpy as np
import pytest

from afjax.audio import mel
from afjax.audio.feature_extractors import MelFeatures
from afjax.config import SamplerConfig
from afjax.config.earlier_names import STATE
from afjax.errors import InputError
from afjax.streaming import live_step
from afjax.streaming.engine import Engine
from afjax.streaming.generator import Generator
from tests.small_model import scrambled, small_config

SLOTS, BLOCKS = 4, 6


class Scales:
    """Statistics that standardise and give back."""

    motion_mean, motion_std = np.full(3, 0.5, np.float32), np.full(3, 2.0, np.float32)
    audio_mean, audio_std = np.full(mel.DIM, 0.1, np.float32), np.full(mel.DIM, 0.5, np.float32)
    audio_silence = 0.0

    def scale_motion(self, x):
        return (x - self.motion_mean) / self.motion_std

    def scale_audio(self, x):
        return (x - self.audio_mean) / self.audio_std

    def raw_motion(self, x):
        return x * self.motion_std + self.motion_mean


@pytest.fixture(scope="module")
def config():
    config = small_config(depth=1, convolutions=1, relative_frames=4)
    model = dataclasses.replace(config.model, audio_dim=mel.DIM)
    guided = SamplerConfig(nfe=2, guidance_avatar=-0.5, guidance_joint=1.5)
    return dataclasses.replace(config, model=model, sampler=guided)


@pytest.fixture(scope="module")
def params(config):
    s = Scales()
    return live_step.LiveParams(scrambled(config, 0.2), (), s.motion_mean, s.motion_std, s.audio_mean, s.audio_std)


@pytest.fixture(scope="module")
def engine(config, params):
    return Engine(config, params, MelFeatures(), SLOTS)


def blocks(config, seed: int, count: int = BLOCKS) -> list[live_step.Inputs]:
    """A noisy conversation of one session, block by block."""
    rng = np.random.default_rng(seed)
    block = config.layout.block
    return [
        live_step.Inputs(
            *(0.1 * rng.standard_normal((2, block * 640)).astype(np.float32)),
            rng.standard_normal((block, config.model.motion_dim)).astype(np.float32),
        )
        for _ in range(count)
    ]


def batch(config, sessions: int, given: dict[int, live_step.Inputs]) -> live_step.Inputs:
    """The inputs of a step in which only some slots have any."""
    full = live_step.Inputs(*(np.array(x) for x in live_step.silence(config, sessions)))
    for slot, one in given.items():
        for place, value in zip(full, one, strict=True):
            place[slot] = value
    return full


def run(engine, slot: int, inputs) -> np.ndarray:
    """Motion of a session whose neighbours hear nothing."""
    made = [np.asarray(engine.step(batch(engine.config, engine.sessions, {slot: one})))[slot] for one in inputs]
    return np.concatenate(made)


@pytest.fixture(scope="module")
def alone(config, engine):
    """Motion of session 7 in slot 0 while the other slots are empty."""
    assert engine.join(seed=7) == 0
    motion = run(engine, 0, blocks(config, 1))
    engine.leave(0)
    return motion


def test_a_live_stream_is_the_clip_after_silence(config, params, alone):
    """Rolling windows of sound give what features of the whole sound give."""
    given = blocks(config, 1)
    rest = np.zeros(mel.WINDOW * 640, np.float32)
    voices = [
        mel.features(np.concatenate([rest, *(one[side] for one in given)]))[mel.WINDOW :][None] for side in (0, 1)
    ]
    user = np.concatenate([one.user_motion for one in given])[None]
    generator = Generator(config, params.model, Scales())
    whole = generator.clips(*voices, user, seed=7)
    assert whole.shape == (1, *alone.shape)
    # a clip's key is folded from the seed: start the session with that one
    one = live_step.fresh(config, MelFeatures(), params, 7)
    key = jax.random.fold_in(jax.random.key(7), 0)[None]
    state, step = one.replace(stream=one.stream.replace(rng=key)), live_step.make_live_step(config, MelFeatures())
    made = []
    for block in given:
        state, motion = step(params, state, live_step.Inputs(*(x[None] for x in block)))
        made.append(np.asarray(motion))
    np.testing.assert_allclose(np.concatenate(made, axis=1), whole, atol=2e-5)


def test_no_slot_knows_of_another(config, engine, alone):
    """Bit-equal among busy neighbours that join, leave and are guided otherwise."""
    strong = dataclasses.replace(config.sampler, guidance_avatar=-1.0, guidance_joint=2.0)
    ours = engine.join(seed=7)
    others = [engine.join(seed=n, condition_set="avatar", scales=strong) for n in range(2)]
    made = []
    for number, one in enumerate(blocks(config, 1)):
        if number == 2:
            engine.leave(others[0])
        if number == 3:
            others.append(engine.join(seed=9, reference_motion=np.ones(3, np.float32)))
        noisy = {slot: blocks(config, 10 + slot + number, 1)[0] for slot in others}
        made.append(np.asarray(engine.step(batch(config, SLOTS, {**noisy, ours: one})))[ours])
    np.testing.assert_array_equal(np.concatenate(made), alone)
    for slot in list(engine.taken):
        engine.leave(slot)


def test_a_batch_of_one_gives_the_same(config, params, alone):
    single = Engine(config, params, MelFeatures(), 1)
    np.testing.assert_allclose(run(single, single.join(seed=7), blocks(config, 1)), alone, atol=1e-5)


@pytest.mark.parametrize(
    "scales, guided",
    [
        ({"guidance_avatar": -0.5, "guidance_joint": 1.5}, True), ({"guidance_joint": 1.5}, True),
        ({"guidance_joint": 1.0}, False),
        ({"guidance_avatar": 2.0, "guidance_user": 1.0, "guidance_joint": 0.0}, False),
        ({"guidance_avatar": -0.25, "guidance_joint": 1.5}, False), ({"guidance_reaction": 0.5}, True),
    ],
)  # fmt: skip
def test_a_step_of_all_conditions_beside_fewer_can_be_guided(config, scales, guided):
    engine = object.__new__(Engine)  # the property reads the configuration alone
    engine.config = dataclasses.replace(
        config, sampler=SamplerConfig(**{"guidance_avatar": 0.0, "guidance_user": 0.0, **scales})
    )
    assert engine.has_guidance is guided


def test_guidance_belongs_to_the_session(config, engine, alone):
    slot = engine.join(seed=7, scales=dataclasses.replace(config.sampler, guidance_avatar=-1.0, guidance_joint=2.0))
    assert np.abs(run(engine, slot, blocks(config, 1)) - alone).max() > 1e-3
    engine.leave(slot)
    with pytest.raises(ValueError, match="other branches"):
        engine.join(scales=SamplerConfig(guidance_user=1.0))


def test_a_snapshot_goes_on_to_the_same_bits_in_any_slot(config, engine, alone):
    given, first = blocks(config, 1), engine.join(seed=7)
    begun = run(engine, first, given[:3])
    stored = engine.snapshot(first)
    engine.leave(first)
    engine.join(seed=3)
    second = engine.restore(stored)
    assert second != first
    np.testing.assert_array_equal(np.concatenate([begun, run(engine, second, given[3:])]), alone)
    with pytest.raises(InputError, match="snapshot: it has no"):
        engine.restore({name: array for name, array in stored.items() if "cache_k" not in name})
    for slot in list(engine.taken):
        engine.leave(slot)


def test_a_snapshot_of_earlier_names_goes_on_to_the_same_bits(config, engine, alone):
    given, first = blocks(config, 1), engine.join(seed=7)
    begun, stored = run(engine, first, given[:3]), engine.snapshot(first)
    engine.leave(first)
    for earlier, today in STATE.items():
        (name,) = (name for name in stored if name.endswith(today))
        stored[name.removesuffix(today) + earlier] = stored.pop(name)
    again = engine.restore(stored)
    np.testing.assert_array_equal(np.concatenate([begun, run(engine, again, given[3:])]), alone)
    engine.leave(again)


def test_a_fork_gives_the_same_until_its_inputs_differ(config, engine):
    given, slot = blocks(config, 1), engine.join(seed=7)
    run(engine, slot, given[:2])
    other = engine.fork(slot)
    both = [np.asarray(engine.step(batch(config, SLOTS, {slot: one, other: one}))) for one in given[2:4]]
    for motion in both:
        np.testing.assert_array_equal(motion[slot], motion[other])
    changed = given[4]._replace(user_motion=given[4].user_motion + 1)
    motion = np.asarray(engine.step(batch(config, SLOTS, {slot: given[4], other: changed})))
    assert np.abs(motion[slot] - motion[other]).max() > 1e-4
    for slot in list(engine.taken):
        engine.leave(slot)


def test_slots_run_out_and_come_back(engine):
    slots = [engine.join(seed=n) for n in range(SLOTS)]
    assert sorted(slots) == list(range(SLOTS))
    with pytest.raises(InputError, match="all 4 slots are taken"):
        engine.join()
    engine.leave(2)
    assert engine.join() == 2
    for slot in list(engine.taken):
        engine.leave(slot)


def test_nothing_is_compiled_or_moved_while_it_runs(config, engine):
    engine.join(seed=1)
    before = engine.compilations
    with jax.transfer_guard("disallow"), jax.no_tracing():
        for one in blocks(config, 2):
            jax.device_get(engine.step(batch(config, SLOTS, {0: one})))
        engine.leave(0)
    assert engine.compilations == before


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", [120, 10_000])
def test_a_day_of_blocks(config, params, engine, count):
    """Sessions come and go around four that are each watched alone as well: in the same slot, equal to the bit, and as
    a batch of one, which computes in another order. What that does is fed back from block to block, and these weights
    are drawn at random: some blocks of ten thousand differ by more than rounding.

    Nothing is traced or moved but inputs and outputs, and memory does not grow.
    """
    rng = np.random.default_rng(0)
    given = batch(config, SLOTS, dict(enumerate(blocks(config, 100 + slot, 1)[0] for slot in range(SLOTS))))
    quiet, single = Engine(config, params, MelFeatures(), SLOTS), Engine(config, params, MelFeatures(), 1)
    assert [engine.join() for _ in range(SLOTS)] == list(range(SLOTS))

    def again(one: Engine, slot: int, seed: int):
        one.leave(slot)
        assert one.join(seed=seed) == slot

    compiled, used, apart, watched = engine.compilations, [], [], 0
    for number in range(count):
        if number % (count // 20) == 0:
            gc.collect()
            used.append((len(jax.live_arrays()), resident()))
        if number % 37 == 0:
            quiet.leave(watched)
            watched = int(rng.integers(SLOTS))
            before = [quiet.join() for _ in range(watched)]
            for one, slot in ((engine, watched), (quiet, watched), (single, 0)):
                again(one, slot, number)
            for slot in before:
                quiet.leave(slot)
        elif number % 11 == 0:
            again(engine, (watched + int(rng.integers(1, SLOTS))) % SLOTS, number)
        inputs = live_step.Inputs(*(np.roll(x, number, axis=1) for x in given))
        one = live_step.Inputs(*(x[watched] for x in inputs))
        with jax.transfer_guard("disallow"), jax.no_tracing():
            among = jax.device_get(engine.step(inputs))[watched]
            alone = jax.device_get(quiet.step(batch(config, SLOTS, {watched: one})))[watched]
            lone = jax.device_get(single.step(live_step.Inputs(*(x[None] for x in one))))[0]
        np.testing.assert_array_equal(among, alone)
        apart.append((np.abs(among - lone) / np.maximum(Scales.motion_std, np.abs(lone))).max())
        assert np.isfinite(among).all()
    assert np.percentile(apart, 98) < 1e-5 and max(apart) < 1e-3, np.percentile(apart, (50, 98, 99.9, 100))
    assert engine.compilations == compiled
    arrays, memory = np.array(used).T
    assert len(set(arrays[1:])) == 1
    assert np.median(memory[-5:]) - np.median(memory[5:10]) < 2**24, memory
    for slot in list(engine.taken):
        engine.leave(slot)


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
