import numpy as np
import pytest

from afjax.metrics import richness


@pytest.mark.parametrize("clusters", [2, 9, 15])
def test_uniform_clusters_give_log2_k(clusters):
    rng = np.random.default_rng(0)
    places = 10.0 * np.eye(clusters)
    motion = places[np.tile(np.arange(clusters), 40)][None].repeat(3, axis=0)
    motion = motion + rng.normal(0, 0.1, motion.shape)
    centres = richness.fit_clusters(motion, clusters)
    np.testing.assert_allclose(richness.sid(motion, centres), np.log2(clusters))


def test_unequal_clusters_give_their_entropy():
    centres = np.array([[0.0], [1.0], [2.0]])
    motion = np.repeat(np.array([0.0, 1.0, 2.0]), [50, 25, 25])[None, :, None]
    np.testing.assert_allclose(richness.sid(motion, centres), 1.5)


def test_sid_is_of_each_clip_not_of_the_pool():
    centres = np.array([[0.0], [1.0]])
    motion = np.stack([np.zeros((10, 1)), np.ones((10, 1))])
    assert (richness.sid(motion, centres) == 0).all()


def test_a_held_face_has_no_richness():
    motion = np.ones((2, 50, 4))
    assert (richness.variance(motion) == 0).all()
    assert (richness.sid(motion, richness.fit_clusters(motion, 3)) == 0).all()


def test_variance_along_time_only():
    clip = np.sin(2 * np.pi * np.arange(100) / 20)[:, None]
    motion = np.stack([clip, clip + 100.0])
    np.testing.assert_allclose(richness.variance(motion), 0.5)


def test_scale_is_the_deviation_and_1_for_a_constant():
    motion = np.random.default_rng(0).normal(0, [0.01, 5.0, 0.0], (4, 5000, 3))
    np.testing.assert_allclose(richness.scale(motion), [0.01, 5.0, 1.0], rtol=0.02)


def test_same_seed_same_centres():
    motion = np.random.default_rng(0).normal(size=(2, 300, 3))
    assert np.array_equal(richness.fit_clusters(motion, 5, 1), richness.fit_clusters(motion, 5, 1))
