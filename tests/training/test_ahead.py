"""Batches read ahead of the step: in the same order, with the state of what was handed out, and left there; scaled on
the device as on the host."""

import threading

import jax
import numpy as np
import pytest

from afjax.normalizer import Normalizer
from afjax.training.ahead import Ahead
from afjax.training.generator.train import make_scale
from tests.small_model import small_config


class Numbers:
    """Counts, and says so in its state and its windows."""

    def __init__(self, broken: int = -1):
        self.next, self.broken, self.windows, self.threads = 0, broken, [], set()

    def __next__(self):
        if self.next == self.broken:
            raise ValueError("no such batch")
        self.threads.add(threading.get_ident())
        self.windows = [f"train-{self.next}"]
        self.next += 1
        return {"x": np.array(self.next - 1)}

    def get_state(self):
        return {"next": self.next}

    def set_state(self, state):
        self.next = state["next"]


def placed(batch):
    return {"x": int(batch["x"]) * 10}


def test_order_state_and_windows_are_those_of_what_was_handed_out():
    numbers = Numbers()
    with Ahead(numbers, placed, 9) as ahead:
        assert ahead.get_state() == {"next": 0}
        for count in range(4):
            assert next(ahead) == {"x": 10 * count}
            assert (ahead.windows, ahead.get_state()) == ([f"train-{count}"], {"next": count + 1})
    assert numbers.get_state() == {"next": 4} and threading.get_ident() not in numbers.threads


def test_nothing_is_read_beyond_the_last():
    numbers = Numbers(broken=3)
    with Ahead(numbers, placed, 3) as ahead:
        assert [next(ahead)["x"] for _ in range(3)] == [0, 10, 20]
        with pytest.raises(StopIteration):
            next(ahead)
    assert numbers.next == 3


def test_a_state_goes_on_from_elsewhere():
    numbers = Numbers()
    with Ahead(numbers, placed, 9) as ahead:
        next(ahead), next(ahead)
        ahead.set_state({"next": 7})
        assert ahead.get_state() == {"next": 7} and next(ahead) == {"x": 70}
    assert numbers.next == 8


def test_a_fault_is_raised_when_its_batch_is_asked_for():
    numbers = Numbers(broken=2)
    with Ahead(numbers, placed, 9) as ahead:
        next(ahead), next(ahead)
        with pytest.raises(ValueError, match="no such batch"):
            next(ahead)
    assert numbers.next == 2


def test_a_batch_is_standardised_on_the_device_to_the_bit_of_the_host():
    rng = np.random.default_rng(0)
    statistics = [rng.random(width).astype(np.float32) + 0.1 for width in (3, 3, 100, 100)]
    normalizer = Normalizer(*statistics)
    batch = {"avatar_motion": rng.random((4, 20, 3), np.float32), "reference_motion": rng.random((4, 3), np.float32)}
    batch["user_features"] = rng.standard_normal((4, 20, 100)).astype(np.float16)
    batch["cause_age"] = rng.random((4, 20, 5), np.float32)
    found = make_scale(small_config(), normalizer)(jax.device_put(batch))
    for name, wanted in normalizer.scale(batch).items():
        np.testing.assert_array_equal(found[name], wanted, err_msg=name)
    np.testing.assert_array_equal(found["cause_age"], batch["cause_age"])
