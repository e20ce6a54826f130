"""What ends a run before its time: a signal, a loss that breaks. Nothing is lost, and it is said why."""

import hashlib
import os
import signal
import sys

import jax
import numpy as np
import pytest

from afjax import digests
from afjax.errors import InputError
from afjax.training.checkpoint import Checkpoints
from afjax.training.generator.state import init_state
from afjax.training.generator.train import train
from afjax.training.preemption import Preemption
from tests.training.test_training import Batches, quick, records


class Named(Batches):
    """Batches with names, one of which is multiplied by a number."""

    def __init__(self, config, bad=None, factor=1.0):
        super().__init__(config)
        self.bad, self.factor = bad, np.float32(factor)

    def __next__(self):
        self.windows = [f"train-{self.place:05d}@{row}" for row in range(2)]
        batch = super().__next__()
        if self.place - 1 == self.bad:
            batch["avatar_motion"] *= self.factor
        return batch


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("straight")
    config = quick(num_steps=20, save_every=10)
    return train(config, workdir, Named(config), {}), workdir


@pytest.fixture
def exits():
    """SIGTERM is an exception, as in every command."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def interruptible():
    """Python's own handler, which a process that was started in the background does not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_the_step_and_the_run_goes_on_from_there(
    interruptible, straight, tmp_path, capsys, number, exits
):
    config = quick(num_steps=20, save_every=10)

    def at_five(step, metrics):
        if step == 5:
            os.kill(os.getpid(), number)

    with pytest.raises((SystemExit, KeyboardInterrupt)):
        train(config, tmp_path, Named(config), {}, progress=at_five)
    assert capsys.readouterr().out == f"{number.name}: saved at step 6, the same command goes on from there\n"
    resumed = train(config, tmp_path, Named(config), {})
    assert all(map(np.array_equal, jax.tree.leaves(straight[0]), jax.tree.leaves(resumed)))
    assert records(tmp_path) == records(straight[1])


def test_a_validated_run_keeps_only_what_has_passed(interruptible, straight, tmp_path, capsys):
    """A signal between two validations takes it back to the last; failing does the same."""
    config, passed = quick(num_steps=20, save_every=10, sample_every=10), []

    def validate(step, params):
        passed.append(step)
        return step == 20 and fails

    def at_fifteen(step, metrics):
        if step == 15:
            signal.raise_signal(signal.SIGINT)

    fails = False
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "good", Named(config), {}, progress=at_fifteen, validate=validate)
    assert capsys.readouterr().out == "SIGINT: saved at step 10, the same command goes on from there\n"
    resumed = train(config, tmp_path / "good", Named(config), {}, validate=validate)
    assert passed == [0, 10, 20]
    assert all(map(np.array_equal, jax.tree.leaves(straight[0]), jax.tree.leaves(resumed)))

    fails, batches = True, Named(config)
    stopped = train(config, tmp_path / "bad", batches, {}, validate=validate)
    assert int(stopped.step) == batches.place == 10


def test_a_second_signal_ends_at_once(interruptible):
    with pytest.raises(KeyboardInterrupt), Preemption() as preemption:
        signal.raise_signal(signal.SIGINT)
        assert preemption.asked(1)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not reached")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("factor", "why"), [(np.nan, "the loss is nan with"), (1e4, r"the loss is \S+e\+\d+, after \S+ with")]
)
def test_a_loss_that_breaks_names_its_batch_and_keeps_the_checkpoint_before(tmp_path, factor, why):
    config = quick(num_steps=20, save_every=10, log_every=10)
    told = f"step 13: {why} the windows train-00012@0, train-00012@1; the checkpoint of step 10 is kept"
    with pytest.raises(InputError, match=told):
        train(config, tmp_path, Named(config, bad=12, factor=factor), {})
    with Checkpoints(tmp_path) as checkpoints:
        state, place = checkpoints.restore(init_state(config))
    assert int(state.step) == 10 and place == {"place": 10} and records(tmp_path)[-1]["step"] == 10
    assert np.isfinite(sum(float(leaf.sum()) for leaf in jax.tree.leaves(state)))


def test_hash_of_parameters_is_that_of_their_bytes():
    content = b"['a'] float32 (2,)\n" + np.array([1, 2], "<f4").tobytes() + b"['b']['c'] int32 ()\n\x07\0\0\0"
    tree = {"b": {"c": np.int32(7)}, "a": np.array([1, 2], np.float32)}
    assert digests.of_params(tree) == digests.of_params(jax.device_put(tree)) == hashlib.sha256(content).hexdigest()
