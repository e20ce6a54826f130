import numpy as np
import pytest
import scipy.linalg

from afjax.errors import InputError
from afjax.metrics import frechet


def covariance(d, seed):
    a = np.random.default_rng(seed).normal(size=(d, 2 * d))
    return a @ a.T / d


def test_diagonal_gaussians_in_closed_form():
    m1, m2 = np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.0])
    s1, s2 = np.array([1.0, 2.0, 0.5]), np.array([3.0, 2.0, 0.1])
    expected = np.square(m1 - m2).sum() + np.square(s1 - s2).sum()
    distance = frechet.distance(m1, np.diag(s1**2), m2, np.diag(s2**2))
    np.testing.assert_allclose(distance, expected, rtol=1e-6)


@pytest.mark.parametrize("d", [2, 15])
def test_full_covariances_against_the_matrix_square_root(d):
    c1, c2 = covariance(d, 0), covariance(d, 1)
    expected = np.trace(c1 + c2 - 2 * scipy.linalg.sqrtm(c1 @ c2).real)
    np.testing.assert_allclose(frechet.distance(np.zeros(d), c1, np.zeros(d), c2), expected, rtol=1e-6)


def test_commuting_covariances_in_closed_form():
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    s1, s2 = np.arange(1.0, 7.0), np.arange(6.0, 0.0, -1.0)
    c1, c2 = (q * s1**2) @ q.T, (q * s2**2) @ q.T
    distance = frechet.distance(np.zeros(6), c1, np.zeros(6), c2)
    np.testing.assert_allclose(distance, np.square(s1 - s2).sum(), rtol=1e-6)


def test_leading_axes_are_a_batch():
    mean, c = np.zeros((3, 4)), np.stack([covariance(4, seed) for seed in range(3)])
    batched = frechet.distance(mean, c, mean, c[::-1])
    np.testing.assert_allclose(batched, [frechet.distance(mean[0], c[i], mean[0], c[2 - i]) for i in range(3)])


def test_singular_covariances_are_finite():
    c = np.diag([1.0, 0.0])
    np.testing.assert_allclose(frechet.distance(np.zeros(2), c, np.zeros(2), np.zeros((2, 2))), 1.0)


def test_identity_is_0_and_a_shift_is_its_square():
    motion = np.random.default_rng(0).normal(size=(5, 400, 3))
    assert frechet.fd(motion, motion) < 1e-9
    np.testing.assert_allclose(frechet.fd(motion + [1.0, 0.0, 2.0], motion), 5.0, rtol=1e-6)


def test_pooled_moments_are_those_of_all_frames():
    motion = np.random.default_rng(0).normal(size=(5, 40, 3)) + np.arange(5)[:, None, None]
    mean, c = frechet.gaussian(frechet.moments(motion).mean(axis=0), shrinkage=0.0)
    frames = motion.reshape(-1, 3)
    np.testing.assert_allclose(mean, frames.mean(axis=0))
    np.testing.assert_allclose(c, np.cov(frames.T, bias=True))


def test_shrinkage_keeps_variances_and_lowers_the_rest():
    pooled = frechet.moments(np.random.default_rng(0).normal(size=(1, 50, 3)))[0]
    plain, shrunk = frechet.gaussian(pooled, 0.0)[1], frechet.gaussian(pooled, 0.25)[1]
    np.testing.assert_allclose(np.diag(shrunk), np.diag(plain))
    np.testing.assert_allclose(shrunk[0, 1], 0.75 * plain[0, 1])


def test_a_pool_is_the_covariance_of_all_rows():
    rows = np.random.default_rng(0).normal(size=(1000, 6)) * np.arange(1.0, 7.0) + 1e4
    pool = frechet.Pool()
    for part in np.split(rows, [1, 2, 40, 40, 700]):
        pool.add(part)
    mean, c = pool.gaussian()
    np.testing.assert_allclose(mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(c, np.cov(rows.T), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.diag(pool.gaussian(0.5)[1]), np.diag(c))


@pytest.mark.parametrize("rows", [np.zeros((3, 2)), np.zeros(4), np.full((2, 4), np.nan)])
def test_rows_that_do_not_belong_are_refused(rows):
    with pytest.raises(InputError):
        frechet.Pool().add(np.zeros((5, 4))).add(rows)


def test_one_row_has_no_covariance():
    with pytest.raises(InputError, match="at least 2 rows"):
        frechet.Pool().add(np.zeros((1, 4))).gaussian()
