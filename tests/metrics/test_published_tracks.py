"""The paper's figures of tracks, on tracks whose figures are known."""

import numpy as np
import pytest

from afjax.errors import InputError
from afjax.metrics.table import published
from afjax.metrics.table.tracks import of_tracks

CLIPS, FRAMES = 8, 120


def people(count=CLIPS):
    return np.array([(f"a{n}", f"u{n}") for n in range(count)])


def noise(seed, count=CLIPS, frames=FRAMES):
    return list(np.random.default_rng(seed).normal(size=(count, frames, 56)))


def test_the_recorded_avatar_itself_is_the_optimum():
    user, recorded = noise(0), noise(1)
    table, missing = of_tracks(user, {"recorded": recorded, "model": recorded}, people())
    assert not missing and set(table) == {"recorded", "model", "shuffled"}
    for name in ("rPCC-Exp", "rPCC-Pose", "rPCC-Exp (corpus)"):
        assert table["model"][name]["mean"] == 0.0
    assert all(table["model"][name]["mean"] < 1e-6 for name in ("FD-Exp", "FD-Pose", "P-FD-Exp"))
    assert table["model"]["SID-Exp"] == table["recorded"]["SID-Exp"]
    assert table["shuffled"]["rPCC-Pose"]["mean"] > 0.01


def test_a_copy_of_the_user_has_correlation_1():
    """rPCC of somebody who copies, against recorded avatars with correlation 0.8: 0.2 in both readings."""
    user, other = noise(0), noise(1)
    orthogonal = []
    for x, e in zip(user, other, strict=True):
        x, e = x - x.mean(0), e - e.mean(0)
        e = e - x * (x * e).sum(0) / np.square(x).sum(0)
        orthogonal.append(0.8 * x / x.std(0) + 0.6 * e / e.std(0))
    table, _ = of_tracks(user, {"recorded": orthogonal, "model": user}, people())
    for name in ("rPCC-Exp", "rPCC-Pose", "rPCC-Exp (corpus)", "rPCC-Pose (corpus)"):
        np.testing.assert_allclose(table["model"][name]["mean"], 0.2, atol=1e-9)


def test_variances_and_distances_by_their_closed_form():
    recorded = noise(1)
    scale = np.r_[np.full(50, 2.0), np.full(6, 3.0)]
    model = [scale * track for track in recorded]
    shifted = [track + np.r_[np.full(50, 1.0), np.full(6, 2.0)] for track in recorded]
    table, _ = of_tracks(None, {"recorded": recorded, "model": model, "shifted": shifted}, people())
    plain = table["recorded"]
    np.testing.assert_allclose(table["model"]["Var-Exp"]["mean"], 4.0 * plain["Var-Exp"]["mean"])
    np.testing.assert_allclose(table["model"]["Var-Pose"]["mean"], 9.0 * plain["Var-Pose"]["mean"])
    whole = (50 * plain["Var-Exp"]["mean"] + 6 * plain["Var-Pose"]["mean"]) / 56
    np.testing.assert_allclose(plain["Var"]["mean"], whole)
    np.testing.assert_allclose(table["shifted"]["FD-Exp"]["mean"], 50.0, rtol=1e-6)
    np.testing.assert_allclose(table["shifted"]["FD-Pose"]["mean"], 24.0, rtol=1e-6)


def test_still_faces_have_no_entropy_and_as_many_places_as_clusters_all_of_it():
    places = np.random.default_rng(0).normal(size=(15, 56)) * 10
    recorded = [np.repeat(places, 8, axis=0) for _ in range(CLIPS)]
    still = [np.repeat(track[:1], FRAMES, axis=0) for track in recorded]
    table, _ = of_tracks(None, {"recorded": recorded, "model": still}, people())
    assert abs(table["model"]["SID"]["mean"]) < 1e-9 and table["model"]["Var"]["mean"] < 1e-12
    assert table["recorded"]["SID-Exp"]["mean"] == pytest.approx(np.log2(15), abs=0.15)


def test_what_is_missing_is_said():
    table, missing = of_tracks(None, {"model": noise(0)}, people())
    assert set(table["model"]) == {"Var", "Var-Exp", "Var-Pose"}
    assert missing["FD-Exp"] == "no tracks of recorded avatars" and missing["rPCC-Exp"] == "no tracks of users"


def test_clips_of_several_lengths_are_compared_where_both_are():
    user, recorded = noise(0), noise(1)
    user[0] = user[0][:50]
    table, _ = of_tracks(
        user, {"recorded": recorded, "model": [track[10 * n :] for n, track in enumerate(noise(2))]}, people()
    )
    assert np.isfinite([table["model"][name]["mean"] for name in table["model"]]).all()


@pytest.mark.parametrize(
    ("track", "message"),
    [
        (np.zeros((50, 53)), r"shape \(50, 53\), not \[T, 56\]"),
        (np.zeros((2, 56)), "4 frames or more"),
        (np.full((50, 56), np.nan), "not finite"),
    ],
)
def test_bad_tracks_are_refused(track, message):
    with pytest.raises(InputError, match=message):
        of_tracks(None, {"recorded": [*noise(0)[:-1], track]}, people())


def test_the_table_has_a_dash_and_the_reason():
    table = {"recorded": {"CSIM-dlib": {"mean": 0.9, "low": 0.8, "high": 1.0, "n": 3}}, "model": {}}
    lines = published.text(table, {"FID": "no inception.onnx"}, ("FID", "CSIM")).splitlines()
    assert lines[1].split() == ["FID", "-", "-", "no", "inception.onnx"]
    assert lines[2].split() == ["CSIM-dlib", "0.900", "[0.800,", "1.000]", "-"] and len(lines) == 3
