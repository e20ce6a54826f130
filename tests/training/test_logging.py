"""Records: means since the last one, learning rates, the same in Weights & Biases as in the file."""

import importlib.machinery
import json
import sys
import types

import numpy as np
import pytest

from afjax.config import OptimizerConfig
from afjax.errors import InputError
from afjax.training.generator.train import train
from afjax.training.logging import Averages, MetricWriter, require_boards
from afjax.training.optimizer import in_stages, make_rates
from tests.training.test_training import Batches, quick


def records(workdir) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_means_are_over_the_steps_that_had_a_metric_and_go_on_from_a_state():
    steps = [{"loss": np.float32(0.1 * n), **({"grad_weight": np.float32(n)} if n > 2 else {})} for n in range(5)]
    straight, first = Averages(), Averages()
    for step in steps:
        straight.note(step)
    for step in steps[:3]:
        first.note(step)
    second = Averages(json.loads(json.dumps(first.state())))
    for step in steps[3:]:
        second.note(step)
    means = straight.take()
    assert means == second.take() and means["grad_weight"] == 3.5 and means["loss"] == pytest.approx(0.2)
    assert straight.take() == {}


def test_records_are_means_and_those_of_a_run_that_was_cut_off_are_the_same(tmp_path):
    every = quick(num_steps=20, log_every=1, save_every=20)
    train(every, tmp_path / "every", Batches(every), {})
    config = quick(num_steps=20, log_every=5, save_every=3)
    train(config, tmp_path / "straight", Batches(config), {})

    def cut_off(step, metrics):
        if step == 10:
            raise RuntimeError("the machine is gone")

    with pytest.raises(RuntimeError, match="gone"):
        train(config, tmp_path / "parts", Batches(config), {}, progress=cut_off)
    train(config, tmp_path / "parts", Batches(config), {})  # from step 9, in the middle of a record
    losses = [record["loss"] for record in records(tmp_path / "every")]
    for straight, parts in zip(*(records(tmp_path / name) for name in ("straight", "parts")), strict=True):
        wanted = float(np.mean(np.float64(losses[straight["step"] - 5 : straight["step"]])))
        assert straight["loss"] == pytest.approx(wanted, rel=1e-12)
        assert [straight[name] for name in ("step", "loss", "grad_norm")] == [
            parts[name] for name in ("step", "loss", "grad_norm")
        ]
    rate = in_stages(config.optimizer.learning_rate, config.optimizer, 20, 0)
    found = {record["step"]: record["learning_rate"] for record in records(tmp_path / "every")}
    assert found == {step: pytest.approx(float(rate(step - 1)), rel=1e-6) for step in range(1, 21)}
    assert found[20] < max(found.values())


def test_both_rates_of_muon_are_told():
    rates = make_rates(OptimizerConfig(kind="muon", learning_rate=0.5, muon_learning_rate=2.0, warmup_steps=2), 40)
    assert rates(2) == pytest.approx({"learning_rate": 0.5, "muon_learning_rate": 2.0})
    assert rates(39)["learning_rate"] < 0.1


class Run:
    """What `wandb.init` returns, as far as it is used."""

    def __init__(self):
        self.metrics, self.logged, self.finished = [], [], 0

    def define_metric(self, name, step_metric):
        self.metrics.append((name, step_metric))

    def log(self, values):
        self.logged.append(values)

    def finish(self):
        self.finished += 1


def test_weights_and_biases_gets_what_the_file_gets_and_goes_on_with_the_same_run(tmp_path, monkeypatch):
    runs, asked = [], []
    module = types.ModuleType("wandb")
    module.__spec__ = importlib.machinery.ModuleSpec("wandb", None)

    def init(**settings):
        asked.append(settings)
        runs.append(Run())
        return runs[-1]

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    (tmp_path / "config.json").write_text('{"name": "tiny"}')
    for start in (0, 5):
        writer = MetricWriter(tmp_path, start, wandb="project")
        writer.write(start + 5, loss=0.5 + start)
        writer.close()
    assert [run.logged for run in runs] == [[{"step": 5, "loss": 0.5}], [{"step": 10, "loss": 5.5}]]
    assert all(run.metrics == [("*", "step")] and run.finished == 1 for run in runs)
    first, second = asked
    assert first == second and first["project"] == "project" and first["config"] == {"name": "tiny"}
    assert first["resume"] == "allow" and first["name"] == tmp_path.name and len(first["id"]) == 8
    assert [record["loss"] for record in records(tmp_path)] == [0.5, 5.5]

    module.init = lambda **settings: (_ for _ in ()).throw(ValueError("no key"))
    with pytest.raises(InputError, match="Weights & Biases: no key; wandb login, or set WANDB_MODE=offline"):
        MetricWriter(tmp_path, 10, wandb="project")


@pytest.mark.parametrize(("asked", "package"), [({"tensorboard": True}, "tensorboardX"), ({"wandb": "p"}, "wandb")])
def test_a_missing_package_is_named(monkeypatch, asked, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=f"{package} is not installed; pip install {package}"):
        require_boards(**asked)
    require_boards()
