"""Coefficients put into the renderer and read back by the tracker, each frame on its own.

Pose, jaw, smile, brows and lids take independent random values in every frame, so that reading one of them is not
helped by another. Bars are Pearson's r over the frames; the photograph shows its teeth, which makes its jaw harder.
"""

import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS, RANGE, channel
from afjax.codec.face.codec import FaceCodec
from afjax.codec.face.track.coefficients import measure, relative
from afjax.codec.face.track.detector import FaceDetector
from afjax.codec.face.track.mesh import FaceMesh, crop_of_detection, landmarks_near
from afjax.codec.face.track.models import to_image
from afjax.codec.face.track.template import load_template, mirror_table

pytest.importorskip("ai_edge_litert")

CLOSED = {"yaw": 0.95, "pitch": 0.9, "roll": 0.95, "jaw_open": 0.9, "smile": 0.7, "brow_raise": 0.85, "blink": 0.9}
TOOTHY = CLOSED | {"jaw_open": 0.7, "brow_raise": 0.7}
FRAMES = 60


def portrait(name: str) -> np.ndarray:
    if name == "astronaut":
        return pytest.importorskip("skimage.data").astronaut()
    from data_pipeline.simulate.portrait.draw import draw_portrait

    return draw_portrait(int(name), size=512)


def read(frames: np.ndarray) -> np.ndarray:
    """Raw numbers `[T, 16]`, with detection on every frame."""
    template = load_template()
    detector, mesh = FaceDetector(), FaceMesh(mirror_table(template))
    rows = []
    for frame in frames:
        picture = to_image(frame)
        landmarks = landmarks_near(mesh, picture, crop_of_detection(detector(picture)))
        rows.append(measure(landmarks, frame.shape[1], template))
    return np.stack(rows)


@pytest.mark.parametrize(
    ("name", "bars"), [("astronaut", TOOTHY), ("0", CLOSED), pytest.param("1", CLOSED, marks=pytest.mark.slow)]
)
def test_rendered_coefficients_are_read_back(name, bars):
    random = np.random.default_rng(7)
    motion = np.zeros((FRAMES, len(CHANNELS)), np.float32)
    for each in bars:
        low, high = RANGE[each]
        motion[1:, channel(each)] = random.uniform(max(low, 0) if each == "jaw_open" else low, high, FRAMES - 1)
    codec = FaceCodec()
    raw = read(codec.render(codec.identity(portrait(name)), motion))
    back = relative(raw, raw[0])
    agreement = {each: np.corrcoef(motion[:, channel(each)], back[:, channel(each)])[0, 1] for each in bars}
    low = {each: round(float(r), 3) for each, r in agreement.items() if r < bars[each]}
    assert not low, f"read back worse than the bars: {low}"
    slopes = [np.polyfit(motion[:, channel(each)], back[:, channel(each)], 1)[0] for each in ("yaw", "pitch", "roll")]
    np.testing.assert_allclose(slopes, 1, atol=0.3)
