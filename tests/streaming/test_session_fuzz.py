"""A session under hostile input: it does not raise, its output keeps its form, its memory its bounds, and nobody
else notices."""

import numpy as np
import pytest

from afjax.streaming.session import Counts, Session

BLOCK, DELAY, D = 5, 5, 15
RATES = [8_000, 11_025, 16_000, 16_000, 16_000, 22_050, 44_100, 48_000, 96_000]
ODDITIES = [
    None, "", "face", b"\x00", True, -1, 0, 1e300, -1e300, 10**400, np.nan, np.inf, -np.inf, 1j, [], [0.0] * D, {},
    object(), np.float64(np.nan), np.int64(2**62), np.array(0.0), np.array([None]), np.array(["a"]), np.zeros(0),
    np.zeros((0, 4)), np.ma.masked_all(8), np.array([(1, 2.0)], "i4,f4"), np.array([np.datetime64("2020")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("samples", "rate", "at"),
    [
        (np.array([0, np.nan], np.float32), 16_000, 0.0),
        (np.array([np.inf], np.float32), 16_000, 0.0),
        (np.array([1e300]), 16_000, 0.0),
        (np.zeros((2, 8), np.float32), 16_000, 0.0),
        (np.float32(0), 16_000, 0.0),
        (np.zeros(8, np.int64), 16_000, 0.0),
        (np.zeros(8, complex), 16_000, 0.0),
        (np.array(["a"]), 16_000, 0.0),
        (np.array([None, {}]), 16_000, 0.0),
        ([0.0, 0.0], 16_000, 0.0),
        (None, 16_000, 0.0),
        ("sound", 16_000, 0.0),
        (np.zeros(8, np.float32), 7_999, 0.0),
        (np.zeros(8, np.float32), 96_001, 0.0),
        (np.zeros(8, np.float32), 44_100.5, 0.0),
        (np.zeros(8, np.float32), np.nan, 0.0),
        (np.zeros(8, np.float32), 10**400, 0.0),
        (np.zeros(8, np.float32), "48000", 0.0),
        (np.zeros(8, np.float32), None, 0.0),
        (np.zeros(8, np.float32), 16_000, np.nan),
        (np.zeros(8, np.float32), 16_000, -1e300),
        (np.zeros(8, np.float32), 16_000, "now"),
        (np.zeros(8, np.float32), 16_000, True),
    ],
)
def test_corrupt_sound_is_refused_and_counted(samples, rate, at):
    session = Session(BLOCK, DELAY, D)
    session.user_sound(samples, rate, at)
    assert session.counts == Counts(corrupt=1)


@pytest.mark.parametrize(
    ("motion", "at"),
    [
        (np.full(D, np.nan), 0.0),
        (np.full(D, 1e30), 0.0),
        (np.zeros(D + 1), 0.0),
        (np.zeros((1, D)), 0.0),
        (np.zeros(D, int), 0.0),
        ("face", 0.0),
        ([0.0] * D, 0.0),
        (np.zeros(D), None),
        (np.zeros(D), np.inf),
        (None, "now"),
    ],
)
def test_corrupt_motion_is_refused_and_counted(motion, at):
    session = Session(BLOCK, DELAY, D)
    session.user_motion(motion, at)
    assert session.counts == Counts(corrupt=1)


def odd(random):
    return ODDITIES[random.integers(len(ODDITIES))]


def cast(array, dtype) -> np.ndarray:
    with np.errstate(all="ignore"):
        return array.astype(dtype)


def length(random, rate: int) -> int:
    """Samples of a chunk: mostly up to 60 ms, sometimes none, rarely up to 10 s."""
    kind = random.random()
    if kind < 0.03:
        return 0
    return int(random.integers(10 * rate)) if kind < 0.033 else int(random.integers(1, rate * 0.06))


def chunk(random) -> tuple:
    """(samples, rate), good or bad."""
    kind = random.random()
    if kind < 0.06:
        return odd(random), 16_000
    rate = int(random.choice(RATES)) if kind < 0.995 else int(random.integers(-1000, 200_000))
    sound = random.standard_normal(length(random, max(rate, 8_000)), np.float32)
    if 0.1 < kind < 0.14 and sound.size:
        sound[random.integers(sound.size)] = random.choice([np.nan, np.inf, -np.inf, 1e30, 40.0])
    if 0.14 < kind < 0.2:
        sound = cast(sound, random.choice(["f2", "f8", ">f4", "i2", "i4", "u1", "c8", "?", "O", "U8"]))
    if 0.2 < kind < 0.22:
        sound = sound[None] if random.random() < 0.5 else np.stack([sound, sound], axis=1)
    return sound, rate if kind < 0.97 or kind > 0.995 else odd(random)


def face(random):
    """A row of motion, good or bad."""
    kind = random.random()
    if kind < 0.1:
        return odd(random)
    row = random.normal(size=D if kind > 0.2 else random.integers(0, 40))
    if 0.2 < kind < 0.3:
        row[random.integers(D)] = random.choice([np.nan, np.inf, -1e30, 1e300, 2000.0])
    return cast(row, random.choice(["f2", "f8", "i4", "O"]) if kind < 0.5 else "f4")


def stamp(random, clock: float):
    """A time stamp about `clock`: mostly near, at times repeated, backwards, far off or none at all."""
    kind = random.random()
    if kind < 0.04:
        return odd(random)
    if kind < 0.06:
        return clock + random.choice([-1e9, -100.0, -3.0, -0.3, 0.1, 1.0, 30.0, 1e9]) * random.random()
    if kind < 0.3:
        return round(clock, 2) if kind < 0.2 else None
    return clock + random.normal(0, 0.002)


def disturb(session: Session, random, clock: float) -> None:
    """One mutated input."""
    kind = random.integers(10)
    if kind < 4:
        samples, rate = chunk(random)
        session.user_sound(samples, rate, stamp(random, clock))
    elif kind < 8:
        session.user_motion(face(random), stamp(random, clock))
    elif kind < 9 or random.random() < 0.9:
        session.say(*chunk(random))
    else:
        session.interrupt()


def calm_block(session: Session, n: int):
    """Block n of a conversation without faults, 44.1 kHz in chunks of 40 ms."""
    random = np.random.default_rng(n)
    for frame in range(BLOCK * n, BLOCK * (n + 1)):
        session.user_sound(random.uniform(-1, 1, 1764).astype(np.float32), 44_100, frame / 25)
        session.user_motion(random.normal(size=D), (frame + 1) / 25)
        session.say(random.uniform(-1, 1, 960).astype(np.float32), 24_000)
    return session.take(n / 5)


def check_form(block) -> None:
    for array, shape in zip(block, [(BLOCK * 640,), (BLOCK * 640,), (BLOCK, D)], strict=True):
        assert array.shape == shape and array.dtype == np.float32 and np.isfinite(array).all()
    assert max(np.abs(block.avatar_wave).max(), np.abs(block.user_wave).max()) <= 1
    assert np.abs(block.user_motion).max() <= 1000


def check_memory(session: Session) -> None:
    sizes = {name: value.nbytes for name, value in session.snapshot().items() if isinstance(value, np.ndarray)}
    assert sizes.pop("speech.queue") <= 4 * 600 * 16_000
    assert sum(sizes.values()) < 500_000


def fuzz(inputs: int, seed: int) -> Session:
    """Runs `inputs` mutated inputs beside a calm session, checks both, gives the hostile one back."""
    random = np.random.default_rng(seed)
    hostile, calm = Session(BLOCK, DELAY, D), Session(BLOCK, DELAY, D)
    clock, seen, alone = 0.0, [], Session(BLOCK, DELAY, D)
    for n in range(inputs):
        disturb(hostile, random, clock)
        clock += random.exponential(0.01) if random.random() < 0.999 else random.choice([-0.5, 0.5, 20.0])
        if random.random() < 0.001:
            hostile = Session.restore(hostile.snapshot())
        while hostile.due(clock):
            check_form(hostile.take(clock))
        if n % 100 == 0:
            seen.append(calm_block(calm, n // 100))
        if n % 1000 == 0:
            check_memory(hostile)
    for n, block in enumerate(seen):
        for beside, without in zip(block, calm_block(alone, n), strict=True):
            np.testing.assert_array_equal(beside, without)
    assert calm.counts == alone.counts and not (calm.counts.corrupt or calm.counts.late)
    return hostile


def test_fuzz():
    counts = fuzz(5_000, seed=0).counts
    assert all(vars(counts).values()), counts


@pytest.mark.slow
def test_fuzz_at_length():
    fuzz(100_000, seed=1)
