import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from afjax.metrics import bootstrap, reactiveness


def tracks(shape, seed=0):
    return gaussian_filter1d(np.random.default_rng(seed).normal(size=shape), 3.0, axis=1)


def test_pcc_is_numpy_s():
    a, b = tracks((1, 200, 3)), tracks((1, 200, 3), 1)
    expected = [np.corrcoef(a[0, :, i], b[0, :, i])[0, 1] for i in range(3)]
    np.testing.assert_allclose(reactiveness.pcc(a, b)[0], expected)


def test_pcc_of_a_constant_is_0():
    a = tracks((2, 50, 1))
    assert (reactiveness.pcc(a, np.full_like(a, 7.0)) == 0).all()
    assert reactiveness.constant_tracks(np.concatenate([a, np.full_like(a, 7.0)], -1)).tolist() == [0.5, 0.5]


def test_rpcc_of_the_recorded_is_0_and_of_others_what_the_formula_gives():
    user, recorded = tracks((4, 300, 5)), tracks((4, 300, 5), 1)

    def rpcc(recorded, generated):
        return reactiveness.rpcc(reactiveness.pcc(recorded, user), reactiveness.pcc(generated, user))

    assert (rpcc(recorded, recorded) == 0).all()
    np.testing.assert_allclose(rpcc(user, -user), 2.0)
    np.testing.assert_allclose(rpcc(user, np.zeros_like(user)), 1.0)


@pytest.mark.parametrize("shift", [0, 7, 50])
def test_a_shifted_copy_peaks_at_its_shift(shift):
    user = tracks((6, 400))
    avatar = np.concatenate([tracks((6, shift), 1) if shift else user[:, :0], user[:, : 400 - shift]], axis=1)
    curves = reactiveness.response_curve(user, 3.0 * avatar + 1.0)
    assert curves.shape == (6, 51)
    assert bootstrap.interval(curves, 0, reactiveness.peak_lag) == {"mean": shift, "low": shift, "high": shift, "n": 6}
    np.testing.assert_allclose(bootstrap.interval(curves, 0, reactiveness.peak)["mean"], 1.0)


def test_an_avatar_that_moves_before_the_user_does_not_respond():
    user = np.random.default_rng(0).normal(size=(64, 400))
    curves = reactiveness.response_curve(user, np.roll(user, -5, axis=1))
    assert bootstrap.interval(curves, 0, reactiveness.peak)["mean"] < 0.05


def test_peak_is_of_the_mean_curve():
    """Unrelated tracks: the mean of per-clip peaks is far above 0, the peak of the mean curve is not."""
    curves = reactiveness.response_curve(tracks((64, 300)), tracks((64, 300), 1))
    assert curves.max(axis=1).mean() > 0.15 > 2 * bootstrap.interval(curves, 0, reactiveness.peak)["mean"]


def test_a_flat_curve_has_no_lag():
    curves = reactiveness.response_curve(tracks((3, 100)), np.zeros((3, 100)))
    assert bootstrap.interval(curves, 0, reactiveness.peak_lag)["mean"] is None
    assert bootstrap.interval(curves, 0, reactiveness.peak)["mean"] == 0.0


def test_share_of_the_recorded_peak():
    user, noise = np.random.default_rng(0).normal(size=(2, 32, 500))
    half = reactiveness.response_curve(user, user + np.sqrt(3.0) * noise)
    whole = reactiveness.response_curve(user, user)
    figure = bootstrap.interval(np.stack([half, whole], axis=1), 0, reactiveness.peak_share)
    np.testing.assert_allclose(figure["mean"], 0.5, atol=0.03)


def test_map_finds_every_pair():
    user = tracks((8, 400, 3))
    avatar = np.stack([np.roll(user[..., 2], 9, axis=1), -np.roll(user[..., 0], 20, axis=1)], axis=-1)
    peak, lag = reactiveness.response_map(user, avatar)
    assert peak.shape == lag.shape == (3, 2)
    assert peak[2, 0] > 0.95 and lag[2, 0] == 9
    assert peak[0, 1] < -0.9 and lag[0, 1] == 20
    assert np.abs(peak[1]).max() < 0.2


def test_map_is_the_curve_s_peak():
    user, avatar = tracks((4, 200, 2)), tracks((4, 200, 2), 1) + 0.5 * tracks((4, 200, 2))
    peak, lag = reactiveness.response_map(user, avatar, lags=20)
    curve = reactiveness.response_curve(user[..., 0], avatar[..., 0], lags=20).mean(axis=0)
    np.testing.assert_allclose(peak[0, 0], curve[lag[0, 0]])
    assert lag[0, 0] == np.abs(curve).argmax()


def test_group_curve_averages_the_channels_own_curves_and_starts_at_rpcc():
    user, avatar = tracks((4, 200, 3)), tracks((4, 200, 3), 1) + 0.5 * tracks((4, 200, 3))
    curves = reactiveness.group_curve(user, avatar)
    each = [reactiveness.response_curve(user[..., c], avatar[..., c]) for c in range(3)]
    np.testing.assert_allclose(curves, np.mean(each, axis=0))
    recorded = reactiveness.group_curve(user, user)
    rpcc = reactiveness.rpcc(reactiveness.pcc(user, user), reactiveness.pcc(avatar, user))
    np.testing.assert_allclose(np.abs(recorded[:, 0] - curves[:, 0]), rpcc)


def test_rpcc_lag_is_0_for_a_motion_that_is_only_late():
    """Late by 20 frames a copy has lost its correlation at lag 0, not its peak."""
    user = np.random.default_rng(0).normal(size=(32, 500, 2))
    life, late = (reactiveness.group_curve(user, np.roll(user, by, axis=1)) for by in (5, 20))
    none = reactiveness.group_curve(user, np.random.default_rng(1).normal(size=user.shape))
    pairs = [np.stack([curves, life], axis=1).mean(axis=0)[None] for curves in (life, late, none)]
    same, shifted, unrelated = (reactiveness.peak_difference(pair)[0] for pair in pairs)
    assert same == 0.0 and shifted < 1e-3 and unrelated > 0.9
