"""The table of a suite: known answers of intervals and marks, failures that stay visible, plans that fit a budget."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from afjax.errors import InputError
from experiments.ablation import cells, runner
from experiments.ablation import suite as suites
from experiments.ablation.plan import FIXED_SECONDS, fit, seconds_of
from experiments.ablation.suite import SUITES, ablate
from experiments.ablation.table import _paired_p, holm, latex, markdown
from experiments.ablation.table import aggregate as table_of
from experiments.configs.ablations.suite import Cell, Suite


def record(cell, seed, fd, **more):
    estimate = {"mean": fd, "low": fd - 0.1, "high": fd + 0.1, "n": 64}
    metrics = {"recorded": {"fd": estimate | {"mean": 0.0}}, "model": {"fd": estimate}}
    return {"cell": cell, "seed": seed, "steps": 1200, "metrics": metrics} | more


def aggregate(records, **against):
    names = dict.fromkeys(record["cell"] for record in records)
    return table_of(Suite(tuple(Cell(name, against=against.get(name, "")) for name in names)), records)


def test_seeds_give_student_s_interval():
    table = aggregate([record("base", seed, fd) for seed, fd in enumerate((1.0, 2.0, 3.0))])
    estimate = table["base"]["rows"]["model"]["fd"]
    assert estimate["mean"] == 2.0 and estimate["n"] == 3
    np.testing.assert_allclose(estimate["high"] - 2.0, 4.302652730 * 1 / np.sqrt(3), rtol=1e-8)


def test_differences_are_paired_by_seed():
    """Seeds differ by far more than the cells do, and in each the second is better by a third."""
    base = [record("base", seed, fd) for seed, fd in enumerate((1.0, 5.0, 9.0))]
    better = [record("better", seed, fd - 0.33 - 0.01 * seed) for seed, fd in enumerate((1.0, 5.0, 9.0))]
    noise = [record("noise", seed, fd) for seed, fd in enumerate((2.0, 4.0, 9.5))]
    table = aggregate(base + better + noise)
    assert table["better"]["difference"]["fd"]["marked"] and not table["noise"]["difference"]["fd"]["marked"]
    np.testing.assert_allclose(table["better"]["difference"]["fd"]["mean"], -0.34)
    text = markdown(table)
    assert "4.660* ±" in text and "5.167 ±" in text
    assert r"$^{*}$ $\pm$" in latex(table)


def test_holm_s_correction():
    """.005 x 4, .01 x 3, .03 x 2, and .04, which may not fall below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_lags_in_whole_frames_are_no_more_often_starred():
    """Three seeds that all show one frame more, which rounding does by itself, and figures that are all the same."""
    assert _paired_p(np.full(3, 40.0), 40.0) > 0.02 and _paired_p(np.full(5, 40.0), 40.0) < 0.01
    assert _paired_p(np.full(3, 0.5)) == 0.25 and _paired_p(np.zeros(3)) == 1.0
    values = np.array([0.2, 0.3, 0.7])
    assert _paired_p(values) == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue)


def test_stars_on_nothing_are_rare():
    """19 cells of five seeds that differ from the base by noise alone: columns with a star, and stars without Holm."""
    rng, starred, uncorrected = np.random.default_rng(0), 0, 0
    for _ in range(30):
        figures = rng.normal(size=(20, 5))
        table = aggregate(
            [record(f"cell {n}", seed, fd) for n, row in enumerate(figures) for seed, fd in enumerate(row)]
        )
        found = [entry["difference"]["fd"] for entry in table.values() if entry["difference"]]
        starred += any(estimate["marked"] for estimate in found)
        uncorrected += sum(estimate["low"] > 0 or estimate["high"] < 0 for estimate in found)
    assert starred <= 4 and 10 <= uncorrected <= 60


def test_a_control_of_its_own():
    figures = {"first": (9.0, 9.0), "control": (1.0, 2.0), "tuned": (1.5, 2.25)}
    records = [record(name, seed, fd) for name, pair in figures.items() for seed, fd in enumerate(pair)]
    table = aggregate(records[::-1], tuned="control", control="first", first="first")
    assert table["tuned"]["difference"]["fd"]["values"] == [0.5, 0.25]
    assert table["control"]["difference"]["fd"]["values"] == [-8.0, -7.0]
    lines = [line for line in markdown(table).splitlines() if line.startswith("| tuned | control")]
    assert len(lines) == 1 and "+0.5 +0.25" in lines[0]


def test_one_seed_keeps_the_clips_interval_and_marks_nothing():
    table = aggregate([record("base", 0, 1.0), record("other", 0, 9.0)])
    assert table["base"]["rows"]["model"]["fd"]["n"] == 64
    assert not table["other"]["difference"]["fd"]["marked"]


def test_failures_and_short_cells_are_named():
    records = [record("base", 0, 1.0, steps=100), {"cell": "broken", "seed": 0, "error": "InputError: no luck"}]
    text = markdown(aggregate(records))
    assert "base (smoke only)" in text and "- broken, seed 0, failed: InputError: no luck" in text


def test_reactions_are_shown_seed_by_seed_beside_the_people_s():
    def found(p50, own):
        rows = {"model": {"p50": p50, "p95": 700.0, "seen": 0.84}, "own": {"p50": own}}
        return rows | {"headroom_ms": 100.0, "offset_ms": 300.0, "people": {"p50": 280.0, "p95": 320.0, "seen": 1.0}}

    waits = [(580, 280), (None, None), (1860, -1240)]
    records = [record("base", seed, 1.0, reaction=found(*each)) for seed, each in enumerate(waits)]
    records += [record("other", 0, 1.0, reaction_error="no room"), record("other", 1, 1.0, reaction=found(500, 200))]
    text = markdown(aggregate([*records, {"cell": "broken", "seed": 0, "error": "no luck"}]))
    assert "Smiles of seeds 0, 1, 2, a block computed in 100 ms:" in text and "- other, seed 0, smiles: no room" in text
    ours = "580 - 1860 | 700 700 700 | 0.84 0.84 0.84 | 280 - -1240"
    assert f"| base | {ours} | 280 280 280 | 320 320 320 | 1 1 1 | 300 |" in text
    assert "| other | - 500 - | - 700 - | - 0.84 - | - 200 - | - 280 - |" in text
    assert "Smiles" not in markdown(aggregate([record("base", 0, 1.0)]))


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("90s", 90), ("40m", 2400), ("1.5h", 5400)])
def test_budgets(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["40", "m", "-3m", "0m", "4 0m"])
def test_odd_budgets_are_refused(text):
    with pytest.raises(InputError, match="is no time"):
        seconds_of(text)


SUITE = Suite(
    (Cell("a"), Cell("b", changes={"layout.look_ahead": 2}), Cell("c", samples="b", changes={"sampler.nfe": 3}))
)


def test_seeds_fall_before_steps_do():
    per_token = 1e-3
    tokens = sum(cells.tokens_per_step(SUITE, cell) for cell in SUITE.cells)

    def plan(steps, seeds):
        budget = seeds * (3 * FIXED_SECONDS + per_token * tokens * steps) + 1
        return fit("x", SUITE, 3, budget, per_token)

    assert (plan(700, 3).seeds, plan(700, 3).steps) == (3, 700)
    assert plan(700, 2).seeds == 2 and plan(700, 2).steps == 700
    assert plan(300, 1).seeds == 1 and plan(300, 1).steps == 300


def test_suites_that_measure_smiles_refuse_recorded_conversations_and_leave_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(runner.eval_set, "held_out", lambda data: [SimpleNamespace(avatar_oracle=None)])
    with pytest.raises(InputError, match="records: how people answer is known of simulated conversations only"):
        ablate("delay", tmp_path, data="records")
    assert not list(tmp_path.iterdir())
    runner.check_data(cells.load_suite("paper"), "records")


def test_what_a_cell_needs_comes_first():
    suite = Suite((Cell("dpo", config="dpo", tunes="base", losing="talker"), Cell("base"), Cell("talker")))
    names = [cell.name for cell in cells.order(suite)]
    assert names.index("dpo") == 2
    with pytest.raises(InputError, match="wait for"):
        cells.order(Suite((Cell("a", samples="b"), Cell("b", samples="a"))))


def test_folders_are_named_by_what_decides_the_figures():
    def name(cell, seed=0, steps=600, data="d"):
        return cells.digest(SUITE, cell, seed, steps, data)

    a, b, c = SUITE.cells
    assert name(a) == name(Cell("renamed"))
    others = [name(b), name(c), name(a, seed=1), name(a, steps=700), name(a, data="e")]
    assert len({name(a), *others}) == 6


def test_shares_of_listening_have_data_of_their_own(monkeypatch, tmp_path):
    """Cells that differ in nothing but what they are trained on are told apart, and each set is made once."""
    made = []
    monkeypatch.setattr(suites, "build", lambda folder, *_, listening: made.append((folder.name, listening)))
    loaded = cells.load_suite("imbalance")
    data = suites._simulated(tmp_path, loaded)
    assert made == [("data_listening_0.6", 0.6), ("data_listening_0.2", 0.2), ("data_listening_0.1", 0.1)]
    folders = {cell.listening: cells.data_of(data, cell) for cell in loaded.cells}
    assert folders == {share: tmp_path / name for name, share in made} and data == folders[0.6]
    assert cells.data_of(data, Cell("plain")) == data
    bases = [cell for cell in loaded.cells if not cell.tunes]
    assert len({cells.digest(loaded, cell, 0, 0, "d") for cell in bases}) == 3
    with pytest.raises(InputError, match="simulates conversations of its own"):
        ablate("imbalance", tmp_path, data="records")


@pytest.mark.parametrize("suite", SUITES)
def test_every_cell_of_every_suite_is_a_configuration_of_its_own(suite):
    loaded = cells.load_suite(suite)
    digests = {cells.digest(loaded, cell, 0, 600, "d") for cell in loaded.cells}
    assert len(digests) == len(loaded.cells) == len({cell.name for cell in loaded.cells})
    assert cells.order(loaded)


@pytest.mark.parametrize(
    ("name", "own", "shared"),
    [
        ("delay", "block 10", "mask blockwise"),
        ("delay", "infp", "infp"),
        ("guidance", "base", "base"),
        ("steps", "second order, 10", "base"),
    ],
)
def test_suites_share_a_model(name, own, shared):
    suite, paper = cells.load_suite(name), cells.load_suite("paper")
    assert cells.digest(suite, suite[own], 1, 700, "d") == cells.digest(paper, paper[shared], 1, 700, "d")
