"""Identity over minutes: figures with known answers, by an embedding of angles."""

import numpy as np
import pytest

from afjax.codec.face.codec import FaceCodec
from afjax.codec.latent.codec import LatentCodec
from afjax.errors import InputError
from afjax.metrics.pretrained.dlib_face import DlibFace
from data_pipeline.simulate.portrait.draw import paint_portrait
from experiments.evaluation import long_stream, portrait_identity
from experiments.runs.columns import FACE


class Codec:
    """Shows who somebody is as an angle, to which the first channel is added; in pictures of one number."""

    channels, size = ("turn", "other"), 64

    def __init__(self):
        self.known = 0

    def identity(self, portrait):
        self.known += 1
        return 90.0 * (self.known - 1)

    def reference_motion(self, person):
        return np.array([0.0, person], np.float32)

    def render(self, person, motion):
        return person + motion[:, :1]


def embed(picture):
    angle = np.radians(picture[0])
    return None if angle > 100 else np.array([np.cos(angle), np.sin(angle)])


@pytest.fixture
def two():
    return portrait_identity.PortraitsUnderTest(Codec(), 2, embed)


def test_a_cast_knows_its_portraits(two):
    np.testing.assert_array_equal(two.references, [[0, 0], [0, 90]])
    assert two.others == pytest.approx(0.0, abs=1e-6), "two people at a right angle"
    assert portrait_identity.PortraitsUnderTest(FaceCodec(size=128), 1).references == 0.0, (
        "motion of the face codec is relative"
    )


def test_cosines_are_with_the_sessions_own_portrait(two):
    motion = np.zeros((2, 3, 2))
    motion[:, 1, 0], motion[0, 2, 0] = 60.0, 1e9
    found = two.cosines(motion)
    np.testing.assert_allclose(found[:, :2], [[1.0, 0.5], [1.0, 0.5]], atol=1e-6)
    assert found[0, 2] == 0 and found[1, 2] == pytest.approx(1.0)
    np.testing.assert_array_equal(two.cosines_of_relative_motion(motion), found)


def test_faces_that_stay_are_inside_and_faces_that_leave_are_not():
    rng = np.random.default_rng(0)
    recorded = 0.9 + 0.02 * rng.standard_normal((8, 12))
    stays = 0.9 + 0.02 * rng.standard_normal((8, 30, 2))
    figures = portrait_identity.drift_verdict(stays, recorded, 200)
    assert figures["inside"] and figures["found"] == 1.0 and len(figures["minutes"]) == 30
    assert figures["slope"]["low"] < 0 < figures["slope"]["high"]
    assert abs(figures["moved"]) < figures["moves"] == pytest.approx(1.96 * 2**0.5 * 0.02 / 4, rel=0.25)
    leaves = stays - 0.002 * np.arange(30)[:, None]
    leaves[0, 3, 1] = 0
    figures = portrait_identity.drift_verdict(leaves, recorded, 200)
    assert not figures["inside"] and figures["slope"]["mean"] == pytest.approx(-0.002, abs=5e-4)
    assert figures["moved"] < -figures["moves"]
    assert figures["found"] == pytest.approx(1 - 1 / 480)
    dissolves = stays.copy()
    dissolves[:, -1] = 0
    figures = portrait_identity.drift_verdict(dissolves, recorded, 200)
    assert not figures["inside"] and figures["slope"]["mean"] < 0, "faces that nobody finds are no faces that stay"


def test_columns_of_the_latent_codec_are_its_coefficients():
    directions = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 3)))[0]
    codec = object.__new__(LatentCodec)
    codec.config = type("Config", (), {"directions": 3})
    codec._ready, codec.channels = {"directions": directions}, tuple(f"latent_{n}" for n in range(8))
    columns = long_stream.columns_of(codec)
    assert columns.names == ("direction_0", "direction_1", "direction_2") and list(columns.groups) == ["all"]
    known = np.random.default_rng(1).standard_normal((4, 5, 3))
    np.testing.assert_allclose(columns.project(known @ directions.T), known, atol=1e-12)
    assert long_stream.columns_of(None) is FACE


def test_without_dlib_there_is_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dlib", None)
    with pytest.raises(InputError, match="dlib-bin is missing; pip install -r requirements-metrics.txt"):
        DlibFace()


def test_dlib_tells_people_apart():
    pytest.importorskip("dlib")
    face, codec = DlibFace(), FaceCodec(size=256)
    portraits = [paint_portrait(seed, 256) for seed in (0, 1)]
    one, other = map(face, portraits)
    turned = codec.render(codec.identity(portraits[0]), 8.0 * np.eye(1, 15, dtype=np.float32))[0]

    def apart(a, b):
        return 1.0 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    assert one.shape == (128,) and face(np.zeros((64, 64, 3), np.uint8)) is None
    assert apart(one, face(turned)) < apart(one, other) / 3
