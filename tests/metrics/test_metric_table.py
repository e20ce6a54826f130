import functools
import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from afjax.codec.face import channels
from afjax.errors import InputError
from afjax.metrics import granger
from afjax.metrics.events import EVENTS
from afjax.metrics.table import report, values

CHANNELS = ("smile", "jaw_open", "brow", "yaw", "pitch")
VOCABULARY = report.ChannelGroups(expression=CHANNELS[:3], pose=CHANNELS[3:])
UNITS = np.array([0.1, 0.2, 0.05, 20.0, 10.0])
DELAY = 10


def smooth(seed, n=24, frames=300):
    motion = gaussian_filter1d(np.random.default_rng(seed).normal(size=(n, frames, len(CHANNELS))), 3.0, axis=1)
    return motion / motion.std()


def respond(user, seed, strength):
    """An avatar that follows the user 10 frames late with the given correlation; `frame` 0 has no past."""
    return strength * np.roll(user, DELAY, axis=1) + np.sqrt(1 - strength**2) * smooth(seed)


@functools.cache
def arrays():
    user = smooth(0)
    made = {
        "user": user,
        "recorded": respond(user, 1, 0.8),
        "oracle": respond(user, 2, 0.8),
        "model": np.roll(respond(user, 3, 0.6), 3, axis=1),
        "model_user_dropped": smooth(4),
    }
    made = {name: motion * UNITS for name, motion in made.items()}
    n, frames = user.shape[:2]
    rest = {"channels": np.array(CHANNELS)}
    return made | rest | {"avatar_speaking": np.ones((n, frames), bool)}


@functools.cache
def table():
    return report.evaluate(arrays(), VOCABULARY, block=10)


def mean(row, metric):
    return table()[row][metric]["mean"]


def test_rows_and_metrics_of_the_table():
    assert list(table()) == [row for row in report.ROWS if row in table()]
    absent = {"talking_only", "model_user_motion_dropped", "model_user_audio_dropped", "listener"}
    assert set(table()) == {*report.ROWS} - absent
    assert all(set(figures) <= set(report.METRICS) for figures in table().values())
    json.dumps(table(), allow_nan=False)


def test_recorded_is_the_optimum_of_everything():
    optimum = {"rpcc_expression": 0, "rpcc_pose": 0, "lip_corr": 1, "lip_lag_ms": 0, "fd": 0}
    optimum |= {"rpcc_lag_expression": 0, "rpcc_lag_pose": 0, "pfd_expression": 0, "pfd_pose": 0, "fd_pose": 0}
    optimum |= {"jitter_inside": 1, "jitter_boundary": 1, "response_share_smile": 1}
    for metric, best in optimum.items():
        np.testing.assert_allclose(mean("recorded", metric), best, atol=1e-9)


def test_response_peak_and_lag_are_the_ones_put_in():
    for row, peak, lag in (("recorded", 0.8, 400), ("oracle", 0.8, 400), ("model", 0.6, 520)):
        np.testing.assert_allclose(mean(row, "response_peak_smile"), peak, atol=0.06)
        assert mean(row, "response_lag_ms_smile") == lag
    np.testing.assert_allclose(mean("model", "response_share_smile"), 0.75, atol=0.1)


def test_pose_responds_as_the_smile_does():
    for row, peak, lag in (("recorded", 0.8, 400), ("model", 0.6, 520)):
        np.testing.assert_allclose(mean(row, "response_peak_pose"), peak, atol=0.06)
        assert mean(row, "response_lag_ms_pose") == lag
    np.testing.assert_allclose(mean("model", "rpcc_lag_pose"), 0.2, atol=0.06)
    assert mean("oracle", "rpcc_lag_pose") < 0.05 < 0.5 < mean("shuffled", "rpcc_lag_pose")


def test_shuffled_pairs_and_a_deaf_model_do_not_respond():
    for row in ("shuffled", "model_shuffled", "model_user_dropped"):
        assert mean(row, "response_share_smile") < 0.25
        assert mean(row, "rpcc_pose") > mean("oracle", "rpcc_pose")
    assert mean("shuffled", "variance") == mean("recorded", "variance")


def test_only_metrics_that_cannot_tell_shuffled_pairs_are_blind():
    """At lag 0 this avatar has nothing to do with its user, so what looks at lag 0 alone is blind."""
    assert (
        {"rpcc_pose"}
        <= set(report.not_discriminative(table()))
        <= {f"{m}_{g}" for m in ("rpcc", "rpcc_corpus", "pfd") for g in ("expression", "pose")}
    )
    responses = {f"response_{name}" for name in ("peak_smile", "share_smile", "peak_pose")}
    assert responses <= set(report.not_discriminative(table() | {"shuffled": table()["oracle"]}))


def test_p_values_say_which_rows_differ_from_the_recorded():
    metrics = ("response_peak_smile", "response_peak_pose", "rpcc_lag_pose")
    for metric in metrics:
        assert table()["shuffled"][metric]["p"] == table()["model_user_dropped"][metric]["p"] == 0.001
        assert "p" not in table()["recorded"][metric]
    assert table()["oracle"]["response_peak_smile"]["p"] > 0.05 and "p" not in table()["oracle"]["rpcc_lag_pose"]
    assert "p" not in table()["shuffled"]["variance"]


def test_distances_are_blind_without_an_oracle():
    """Recorded is 0 by definition, so that any other figure differs from it."""
    found = report.evaluate({k: v for k, v in arrays().items() if k != "oracle"}, VOCABULARY, block=10)
    names = [name for name in found["recorded"] if name.startswith(("rpcc_", "pfd_"))]
    assert len(names) == 8 and set(names) <= set(report.not_discriminative(found))
    assert report.verdict(found, "rpcc_pose") == "no"


def test_a_table_without_p_values_is_judged_by_its_intervals():
    figure = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 9}
    apart = {"recorded": {"rdgg_speech": figure}, "shuffled": {"rdgg_speech": figure | {"low": 0.7, "high": 0.8}}}
    assert report.not_discriminative(apart) == [] and report.verdict(apart, "rdgg_speech") == "yes"
    assert report.not_discriminative(apart | {"shuffled": apart["recorded"]}) == ["rdgg_speech"]


def test_a_held_face():
    row = table()["frozen"]
    zero = ("variance", "sid", "jitter_inside", "lip_corr", "response_peak_smile")
    assert all(row[metric]["mean"] == 0 for metric in zero)
    assert row["constant_tracks"]["mean"] == 1 and row["response_lag_ms_smile"]["mean"] is None


def test_units_of_the_channels_do_not_matter():
    other = arrays() | {name: arrays()[name] * 7.0 for name in ("user", "recorded", "oracle", "model")}
    del other["model_user_dropped"]
    figures = report.evaluate(other, VOCABULARY, block=10)["model"]
    for metric, figure in figures.items():
        np.testing.assert_allclose(figure["mean"], mean("model", metric), rtol=1e-6, atol=1e-9)


def test_every_point_lies_in_its_interval():
    for figures in table().values():
        for figure in figures.values():
            assert figure["mean"] is None or figure["low"] - 1e-9 <= figure["mean"] <= figure["high"] + 1e-9


def test_event_metrics_watch_the_right_user():
    """Every avatar smiles after its own user's smiles, and at no other time."""
    n, frames = 8, 560
    motion = np.zeros((n, frames, len(channels.CHANNELS)))
    events = []
    for clip in range(n):
        causes = np.array([60, 160, 260]) + 28 * clip
        for cause in causes:
            motion[clip, cause + 10 : cause + 30, channels.channel("smile")] = 0.1
        events.append({"smile": causes})
    motion += np.random.default_rng(0).normal(0, 1e-4, motion.shape)
    made = {"user": motion, "recorded": motion, "model": 0 * motion}
    made |= {"channels": np.array(channels.CHANNELS), "avatar_speaking": np.zeros((n, frames), bool)}
    face = report.ChannelGroups(channels.EXPRESSION, channels.POSE)
    table = report.evaluate(made, face, block=10, clip_events=events)
    figures = {row: table[row]["event_response_smile"]["mean"] for row in table}
    assert figures["recorded"] == 1.0 and figures["model"] == 0.0 and figures["shuffled"] < 0.1
    assert table["recorded"]["event_response_smile"]["n"] == table["recorded"]["event_slope_smile"]["n"] == 3 * n
    for family in ("event_response", "event_slope", "event_corr"):
        assert table["recorded"][f"{family}_nod"] == {"mean": None, "low": None, "high": None, "n": 0}
        assert {f"{family}_{kind}" for kind in (*EVENTS, "voice_only")} <= set(report.METRICS)
    for row, slope in (("recorded", 1.0), ("model", 0.0)):
        assert table[row]["event_slope_smile"]["mean"] == pytest.approx(slope)
    assert table["shuffled"]["event_slope_smile"]["mean"] < 0.1  # the other user smiles when this smile ends
    assert table["shuffled"]["event_slope_smile"]["p"] < 0.02
    assert "event_corr_smile" not in report.text(table) and "event_slope_smile" in report.text(table)


def test_clips_of_one_conversation_have_no_shuffled_rows():
    found = report.evaluate(arrays() | {"people": np.tile([0, 1], (24, 1))}, VOCABULARY, block=10)
    assert not {"shuffled", "model_shuffled"} & set(found) and report.not_discriminative(found) == []
    assert found["model"]["lip_corr"]["mean"] == mean("model", "lip_corr") and found["model"]["lip_corr"]["low"] is None
    assert "separates" in report.text(found)


def test_recorded_people_are_as_far_from_one_another_as_finite_data_makes_them():
    floor, oracle, frozen = (table()[row]["fd_split"] for row in ("recorded", "oracle", "frozen"))
    assert floor["mean"] > 0.0 and frozen["low"] > 2 * floor["high"]
    assert oracle["low"] < floor["mean"] < oracle["high"]


def test_correlations_averaged_over_clips_tell_what_single_clips_hide():
    """Per clip chance is as large as the relation itself; over the corpus the oracle is near 0, a deaf model is not."""
    assert mean("oracle", "rpcc_corpus_pose") < 0.3 * mean("oracle", "rpcc_pose")
    assert mean("frozen", "rpcc_corpus_pose") == pytest.approx(mean("shuffled", "rpcc_corpus_pose"), abs=0.1)


@pytest.mark.parametrize(
    "change, word",
    [
        ({"people": np.arange(24)}, "people has shape"),
        ({"partner": np.arange(24)}, "earlier version"),
        ({"model": np.zeros((24, 299, 5))}, "model has shape"),
        ({"recorded": np.full((24, 300, 5), np.nan)}, "finite"),
        ({"user_features": np.zeros((24, 299, 2))}, "user_features has shape"),
        ({"channels": np.array(["a", "b", "c", "d", "e"])}, "no channel named"),
    ],
)
def test_bad_arrays_are_named(change, word):
    with pytest.raises(InputError, match=word):
        report.evaluate(arrays() | change, VOCABULARY, block=10)


def test_missing_array_is_named():
    with pytest.raises(InputError, match="avatar_speaking"):
        report.evaluate({k: v for k, v in arrays().items() if k != "avatar_speaking"}, VOCABULARY, block=10)


def test_text_prints_every_figure_in_its_column():
    head, *lines = report.text(table()).splitlines()
    assert head.split() == [*table(), "separates"]
    cells = {line.split()[0]: line.split()[1:] for line in lines}
    assert cells["response_lag_ms_smile"][0] == "400" and cells["response_lag_ms_smile"][3] == "-"
    rows = len(table())
    assert cells["response_peak_smile"][rows:] == ["yes,", "p", "=", "0.001"] and cells["variance"][rows:] == []


@pytest.mark.slow
def test_dependence_is_measured_where_there_are_features(monkeypatch):
    """60 people who follow their user's voice, ten seconds each."""
    monkeypatch.setattr(granger, "fit", functools.partial(granger.fit, shifts=10))
    n, frames = 60, 260
    user, voices, noise = (smooth(seed, n, frames) for seed in (0, 1, 2))
    recorded = 0.7 * np.roll(voices, DELAY, axis=1) + 0.7 * noise
    made = {"user": user, "recorded": recorded, "channels": np.array(CHANNELS)}
    made |= {"avatar_speaking": np.zeros((n, frames), bool), "user_speaking": np.ones((n, frames), bool)}
    features = {"user_features": voices, "avatar_features": noise[..., :2]}
    found = report.evaluate(made | features, VOCABULARY, block=10)
    assert found["recorded"]["rdgg_speech"]["low"] > 0.005 > found["recorded"]["rdgg_motion"]["low"]
    assert found["shuffled"]["rdgg_speech"]["p"] < 0.01 and found["recorded"]["rdgg_speech"]["n"] == n
    assert found["frozen"]["rdgg_speech"]["mean"] is None
    reference = values.reference(report._checked(made), VOCABULARY, 10)
    assert reference.dependence is None
