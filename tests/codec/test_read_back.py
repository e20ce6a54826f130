"""Coefficients put into the renderer and read back by the tracker, each frame on its own.

Pose, jaw, smile, width of the mouth, brows and lids take independent random values in every frame, so that reading one
of them is not helped by another. Bars are Pearson's r over the frames; the photograph smiles with its teeth shown,
which makes its mouth harder to read.
"""

import pytest

from afjax.codec.face.codec import FaceCodec

pytest.importorskip("ai_edge_litert")

CLOSED = {"yaw": 0.95, "pitch": 0.9, "roll": 0.95, "jaw_open": 0.85, "smile": 0.75, "brow_raise": 0.8, "blink": 0.9}
TOOTHY = CLOSED | {"jaw_open": 0.7, "smile": 0.65}


def portrait(name: str):
    if name == "astronaut":
        return pytest.importorskip("skimage.data").astronaut()
    from data_pipeline.simulate.portrait.draw import draw_portrait

    return draw_portrait(int(name), size=512)


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
