import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS
from afjax.codec.face.codec import FaceCodec
from afjax.codec.face.track.detector import suppress
from afjax.codec.face.track.live_tracker import LiveFace
from afjax.codec.face.track.mesh import landmarks_of
from afjax.codec.face.track.tracker import FaceTracker
from afjax.errors import InputError

pytest.importorskip("ai_edge_litert")
data = pytest.importorskip("skimage.data")


def face() -> np.ndarray:
    """A 256 x 256 photograph of a face."""
    return data.astronaut()[:256, 96:352]


def moved(x: int, y: int) -> np.ndarray:
    """`face` moved by whole pixels."""
    return data.astronaut()[20 - y : 276 - y, 96 - x : 352 - x]


def test_suppress_keeps_one_group_a_face():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [0, 0, 10, 9]], float)
    groups = suppress(boxes, np.array([0.6, 0.9, 0.7, 0.5]))
    assert [group.tolist() for group in groups] == [[1, 0, 3], [2]]


def test_landmarks_lie_on_the_face():
    found = landmarks_of(data.astronaut())
    assert found.confidence > 0.9
    assert found.mesh.shape == (468, 3) and found.eyes.shape == (2, 71, 3) and found.iris.shape == (2, 5, 2)
    # The irises and the tip of the nose, read off the enlarged photograph.
    np.testing.assert_allclose(found.iris[:, 0], [[203, 101], [246.5, 103]], atol=3)
    np.testing.assert_allclose(found.mesh[4, :2], [225, 127], atol=6)
    assert found.mesh[4, 2] < found.mesh[234, 2], "the nose is nearer than the ear"


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket"])
def test_no_landmarks_where_there_is_no_human_face(name):
    assert landmarks_of(getattr(data, name)()) is None


def test_landmarks_do_not_depend_on_size_or_mirroring():
    image = face()
    small, large = landmarks_of(image), landmarks_of(np.kron(image, np.ones((4, 4, 1), np.uint8)))
    np.testing.assert_allclose((large.mesh[:, :2] + 0.5) / 4 - 0.5, small.mesh[:, :2], atol=1.0)
    mirrored = landmarks_of(image[:, ::-1])
    np.testing.assert_allclose(255 - mirrored.eyes[1, :16, 0], small.eyes[0, :16, 0], atol=2.0)


def test_tracking_follows_motion_with_one_detection():
    shifts, tracker = [(3 * n, n) for n in range(10)], FaceTracker()
    found = [tracker.step(moved(*shift)) for shift in shifts]
    assert all(face.confidence > 0.9 for face in found)
    assert tracker.frames == 10 and tracker.detections == 1 and tracker.cuts == []
    path = [face.mesh[:, :2].mean(0) - found[0].mesh[:, :2].mean(0) for face in found]
    np.testing.assert_allclose(path, shifts, atol=1.0)


def test_a_lost_face_is_found_again():
    frames, tracker = [face()] * 2 + [np.zeros_like(face())] * 3 + [face()] * 2, FaceTracker()
    assert [tracker.step(frame) is not None for frame in frames] == [True] * 2 + [False] * 3 + [True] * 2
    assert tracker.detections == 5  # at the start, on each empty frame, and on the face's return
    assert tracker.cuts == []


def test_a_cut_is_detected_anew():
    wide = np.zeros((256, 512, 3), np.uint8)
    left, right = wide.copy(), wide.copy()
    left[:, :256], right[:, 256:] = face(), face()
    tracker = FaceTracker()
    found = [tracker.step(frame) for frame in (left, left, right, right)]
    assert tracker.cuts == [2] and tracker.detections == 2
    np.testing.assert_allclose(found[2].mesh[:, 0] - found[1].mesh[:, 0], 256, atol=4)


def test_the_largest_face_is_taken():
    wide = np.zeros((256, 400, 3), np.uint8)
    wide[:, 144:] = face()
    wide[64:192, :128] = face()[::2, ::2]
    found = landmarks_of(wide)
    np.testing.assert_allclose(found.mesh[:, :2].mean(0), landmarks_of(face()).mesh[:, :2].mean(0) + (144, 0), atol=3)


def test_encode_reports_and_bridges_a_gap():
    frames = [face()] * 6 + [np.zeros_like(face())] * 3 + [face()] * 6
    encoded = FaceCodec().encode(frames)
    assert encoded.motion.shape == (15, 15) and encoded.motion.dtype == np.float32
    assert encoded.report["frames_with_face"] == 12
    assert encoded.report["longest_gap_seconds"] == pytest.approx(3 / 25)
    np.testing.assert_array_equal(encoded.confidence == 0, ~encoded.found)
    np.testing.assert_allclose(encoded.motion[:, :3], 0, atol=1.0)  # a still face moves by jitter only


def test_unusable_input_is_named():
    codec = FaceCodec()
    with pytest.raises(InputError, match="no frames"):
        codec.encode([])
    with pytest.raises(InputError, match="no face found in 2 frames"):
        codec.encode([data.coffee()] * 2)
    with pytest.raises(InputError, match="no face found in the portrait"):
        codec.identity(data.coffee())
    with pytest.raises(InputError, match=r"too small \(40 x 300 px\)"):
        codec.identity(np.zeros((300, 40, 3), np.uint8))
    with pytest.raises(InputError, match=r"too large \(9000 x 100 px\)"):
        codec.identity(np.broadcast_to(np.uint8(0), (100, 9000, 3)))
    with pytest.raises(ValueError, match="uint8"):
        codec.encode([np.zeros((64, 64, 3), np.float32)])


def test_a_live_face_moves_as_the_clip_does():
    """After it has settled, a live camera reads what the whole clip gives; a fork goes its own way."""
    shifts = [(0, 0)] * 12 + [(2 * n, n) for n in range(8)]
    frames = [moved(*shift) for shift in shifts]
    whole, one = FaceCodec().encode(iter(frames)).motion, LiveFace()
    rows = [one.step(frame) for frame in frames[:15]]
    other = one.fork()
    assert other.step(np.zeros_like(frames[0])) is None  # a fork that looks away
    rows += [one.step(frame) for frame in frames[15:]]
    rows = np.stack(rows)
    assert rows.shape == (20, 15) and rows.dtype == np.float32
    tx = CHANNELS.index("tx")
    np.testing.assert_allclose(rows[11, tx], 0, atol=2e-3)
    np.testing.assert_allclose(rows[-1, tx] - rows[11, tx], whole[-1, tx] - whole[11, tx], atol=6e-3)
    assert rows[-1, tx] > 0.02
