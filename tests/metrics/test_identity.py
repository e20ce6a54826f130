import numpy as np

from afjax.metrics.long import identity


def turning(per_minute, frames=1500, start=1.0):
    """Embeddings of the plane whose cosine with the first axis falls by `per_minute`."""
    cosine = start - per_minute * np.arange(frames) / 1500.0
    return np.stack([cosine, np.sqrt(1.0 - cosine**2)], axis=-1)


def test_cosines():
    embeddings = np.array([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0], [0.0, 0.0]])
    np.testing.assert_allclose(identity.cosines(embeddings, [5.0, 0.0]), [1.0, 0.0, np.sqrt(0.5), 0.0])
    batch = identity.cosines(np.stack([embeddings, embeddings]), [[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(batch[1], [0.0, 1.0, np.sqrt(0.5), 0.0])


def test_slope_is_per_minute():
    track = identity.cosines(turning(0.3), [1.0, 0.0])[None]
    for found in (identity.measure(track), identity.measure(track[:, ::2], fps=12.5)):
        np.testing.assert_allclose(found["slope_per_min"]["mean"], -0.3, rtol=1e-9)


def test_the_same_face_has_cosine_1_and_no_slope():
    found = identity.measure(np.ones((4, 500)))
    assert found["cosine"] == {"mean": 1.0, "low": 1.0, "high": 1.0, "n": 4}
    assert abs(found["slope_per_min"]["mean"]) < 1e-9


def test_intervals_come_from_clips_and_from_windows_of_a_single_one():
    tracks = np.stack([identity.cosines(turning(by), [1.0, 0.0]) for by in (0.1, 0.2, 0.3, 0.4)])
    slope = identity.measure(tracks)["slope_per_min"]
    assert -0.4 - 1e-9 <= slope["low"] < slope["mean"] < slope["high"] <= -0.1 + 1e-9
    np.testing.assert_allclose(slope["mean"], -0.25)
    alone = identity.measure(tracks[:1])["slope_per_min"]
    np.testing.assert_allclose([alone["low"], alone["mean"], alone["high"]], -0.1, rtol=1e-6)
    assert identity.measure(tracks[:1, :500])["slope_per_min"]["low"] is None
