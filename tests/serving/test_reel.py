"""Sound that is addressed by time."""

import numpy as np

from afjax.serving.reel import SECONDS, Reel

RATE = 1000


def test_sound_is_where_it_belongs_and_is_taken_once():
    reel = Reel(RATE, origin=5.0)
    reel.put(5.3, np.ones(100, np.float32))  # from 0.2 to 0.3 s
    assert not reel.take(0, 200).any()
    assert np.array_equal(reel.take(200, 150), np.repeat([1.0, 0.0], [100, 50]))
    assert not reel.take(350, len(reel._ring)).any()


def test_what_comes_late_is_left_out():
    reel = Reel(RATE, origin=0.0)
    reel.take(0, 250)
    reel.put(0.3, np.arange(100, dtype=np.float32))  # 50 of it are over
    assert np.array_equal(reel.take(250, 50), np.arange(50, 100))
    reel.put(0.2, np.ones(50, np.float32))
    assert not reel.take(300, 100).any()


def test_what_is_too_early_and_what_was_skipped_is_left_out():
    reel = Reel(RATE, origin=0.0)
    reel.put(SECONDS + 1.0, np.ones(2000, np.float32))
    assert reel.take(SECONDS * RATE - 1000, 1000).all() and not reel.take(SECONDS * RATE, 1000).any()
    reel.put(SECONDS + 2.0, np.ones(1000, np.float32))
    assert not reel.take((SECONDS + 4) * RATE, 2000).any()  # taken from later on: what lay before is forgotten


def test_a_cut_fades_at_once():
    reel = Reel(RATE, origin=0.0)
    reel.put(2.0, np.ones(2000, np.float32))
    reel.take(0, 500)
    reel.cut()
    rest = reel.take(500, 1500)
    assert np.allclose(rest[:5], [1.0, 0.8, 0.6, 0.4, 0.2]) and not rest[5:].any()
    reel.put(2.5, np.ones(100, np.float32))
    assert not reel.take(2000, 400).any() and reel.take(2400, 100).all()
