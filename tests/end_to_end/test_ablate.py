"""A suite runs, goes on where it was stopped, and survives a cell that fails."""

import json

import pytest

from experiments.ablation import suite as suites
from experiments.configs.ablations.suite import Cell, Suite

SMALL = {"training.num_steps": 4, "training.log_every": 2}
STUDENT = {
    "training.num_steps": 1, "training.log_every": 1,
    "layout.tokens": "stream", "objective.clean_prefix": 0.0, "sampler.nfe": 1, "sampler.solver": "euler",
    "sampler.guidance_avatar": 0.0, "sampler.guidance_user": 0.0, "sampler.guidance_joint": 1.0,
}  # fmt: skip
SUITE = Suite(
    smiles=1,
    cells=(
        Cell("base", config="smoke", changes=SMALL),
        Cell("base by another name", config="smoke", changes=SMALL),
        Cell("fast", samples="base", changes={"sampler.nfe": 1}),
        Cell("student", config="smoke", changes=STUDENT, taught_by="base"),
        Cell("broken", config="smoke", changes=SMALL | {"model.motion_dim": 3}),
        Cell("needs broken", samples="broken", changes={"sampler.nfe": 1}),
    ),
)


@pytest.fixture
def suite(monkeypatch):
    monkeypatch.setattr(suites, "load_suite", lambda name: SUITE)


@pytest.mark.slow
def test_cells_are_made_once_and_failures_are_named(suite, config, tmp_path, capsys, monkeypatch):
    summary = suites.ablate("small", tmp_path, seeds=1, data=config.data.path)
    stored = json.loads((tmp_path / "small.json").read_text())
    assert stored["failed"] == summary["failed"] == 2
    assert "3 " in stored["cells"]["broken"]["failed"]["0"] or "motion" in stored["cells"]["broken"]["failed"]["0"]
    assert "'broken', which failed" in stored["cells"]["needs broken"]["failed"]["0"]
    assert stored["cells"]["base by another name"]["rows"] == stored["cells"]["base"]["rows"]
    estimate = stored["cells"]["fast"]["rows"]["model"]["fd"]
    assert set(estimate) == {"mean", "low", "high", "n"} and estimate["mean"] > 0
    assert stored["cells"]["fast"]["reactions"]["0"]["people"]["n"] > 0 and not stored["cells"]["broken"]["reactions"]
    pictures = (f"small_{name}.png" for name in ("responses", "jitter", "drift", "faces", "frontier", "evaluations"))
    for name in ("small.md", "small.tex", *pictures):
        assert (tmp_path / name).stat().st_size > 100

    def times(pattern):
        return {path: path.stat().st_mtime_ns for path in tmp_path.glob(f"cells/*/{pattern}")}

    cells, smiles = times("cell.json"), times("reaction_1.json")
    next(iter(smiles)).unlink()
    suites.ablate("small", tmp_path, seeds=1, data=config.data.path)
    assert times("cell.json") == cells and len(cells) == 3, "made once"
    again = times("reaction_1.json")
    assert set(again) == set(smiles) and len(set(again.items()) - set(smiles.items())) == 1 < len(smiles), "the missing"
