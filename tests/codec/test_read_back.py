"""Coefficients put into the renderer and read back by the tracker, each frame on its own.

Pose, jaw, smile, width of the mouth, brows and lids take independent random values in every frame, so that reading one
of them is not helped by another. Bars are Pearson's r over the frames; the photograph smiles with its teeth shown,
which makes its mouth harder to read.
"""

import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS, channel
from afjax.codec.face.codec import FaceCodec
from afjax.codec.face.track.coefficients import measure, relative
from afjax.codec.face.track.mesh import landmarks_of
from afjax.codec.face.track.template import load_template

pytest.importorskip("ai_edge_litert")

CLOSED = {"yaw": 0.95, "pitch": 0.9, "roll": 0.95, "jaw_open": 0.85, "smile": 0.75, "brow_raise": 0.8, "blink": 0.9}
TOOTHY = CLOSED | {"jaw_open": 0.7, "smile": 0.65}


HALF = (0.35, 0.6)  # what the tracker reads of real lids that the eye calls half down (`test_labels`), and some


def portrait(name: str):
    if name == "astronaut":
        return pytest.importorskip("skimage.data").astronaut()
    from data_pipeline.simulate.portrait.draw import paint_portrait

    return paint_portrait(int(name), size=512)


@pytest.mark.parametrize(
    ("name", "bars"), [("astronaut", TOOTHY), ("0", CLOSED), pytest.param("1", CLOSED, marks=pytest.mark.slow)]
)
def test_rendered_coefficients_are_read_back(name, bars):
    from experiments.evaluation.faces import read_back

    codec = FaceCodec()
    figures = read_back(codec, codec.identity(portrait(name)))
    low = {each: round(figures[each], 3) for each, bar in bars.items() if figures[each] < bar}
    assert not low, f"read back worse than the bars: {low}"
    assert figures["found"] == 1 and figures["smile_of_width"] <= 0.5


@pytest.mark.parametrize("name", ["astronaut", "0"])
def test_lids_half_down_read_as_half_down(name):
    codec, motion = FaceCodec(), np.zeros((3, len(CHANNELS)), np.float32)
    motion[:, channel("blink")] = 0.0, 0.5, 1.0
    frames = codec.render(codec.identity(portrait(name)), motion)
    raw = np.stack([measure(landmarks_of(frame), frame.shape[1], load_template()) for frame in frames])
    rest, half, closed = relative(raw, raw[0])[:, channel("blink")]
    assert rest == 0 and HALF[0] <= half <= HALF[1] and closed >= 0.75


@pytest.mark.slow
def test_a_head_turned_by_forty_degrees_is_read():
    from experiments.evaluation.faces import TURNS, read_turns

    for axis, read in read_turns(FaceCodec().identity(portrait("astronaut"))).items():
        read = np.array(read).reshape(len(TURNS), 2)
        assert np.isfinite(read).all(), axis
        assert (np.diff(read, axis=0) > 0).all(), f"{axis}: further turned and read so, {read}"
        assert (np.abs(read / np.array(TURNS)[:, None] - 1) < 0.3).all(), f"{axis}: {read}"
