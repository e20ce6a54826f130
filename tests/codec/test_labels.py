"""What the tracker reads of real clips beside what is seen in them by eye.

labels.json holds, for every `step`-th frame of a clip: `smile` 0 none, 1 slight, 2 clear, 3 a laugh; `lids` 0 open,
0.5 half, 1 down; numbers of frames with `brows_raised`; `gaze_x` 1 to the image's right, `gaze_y` -1 up. The clips are
not part of the project (AFJAX_MEDIA).
"""

import json
from pathlib import Path

import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS, RANGE, channel
from afjax.codec.face.codec import FaceCodec

pytestmark = pytest.mark.slow
pytest.importorskip("ai_edge_litert")
LABELS = json.loads(Path(__file__).with_name("labels.json").read_text())
TALK = ("sadtalker/WDA_AlexandriaOcasioCortez_000.mp4", "sadtalker/WDA_KatieHill_000.mp4", "avatar_forcing/user.mp4")


@pytest.fixture(scope="module")
def read(clips):
    """Motion `[t, 15]` of each clip that is there, by name."""
    from afjax.media.video import probe, read_frames

    there = [name for name in LABELS if (clips / name).is_file()]
    if not there:
        pytest.skip("none of the labelled clips")
    return {name: FaceCodec(smooth_pose=False).encode(read_frames(probe(clips / name))).motion for name in there}


def agreement(read, what, name):
    """r of a label with a channel over the labelled frames, by clip."""
    found = {}
    for clip, motion in read.items():
        seen = np.array(LABELS[clip].get(what, [0]), float)
        if seen.std() > 0:
            found[clip] = np.corrcoef(seen, motion[:: LABELS[clip]["step"], channel(name)][: len(seen)])[0, 1]
    return found


def test_smiles_lids_and_gaze_agree_with_the_eye(read):
    smile, lids = agreement(read, "smile", "smile"), agreement(read, "lids", "blink")
    gaze = {**agreement(read, "gaze_x", "gaze_x"), **agreement(read, "gaze_y", "gaze_y")}
    assert min(smile.values()) >= 0.7, smile
    assert min(lids.values()) >= 0.6, lids
    assert min(gaze.values(), default=1) >= 0.6, gaze


def test_raised_brows_are_higher_than_others(read):
    for clip, motion in read.items():
        raised = LABELS[clip].get("brows_raised")
        if raised:
            brows = motion[:, channel("brow_raise")]
            assert np.mean(brows[raised][:, None] > brows[:: LABELS[clip]["step"]]) > 0.65, clip


@pytest.mark.parametrize("clip", TALK)
def test_talking_does_not_read_as_smiling(read, clip):
    if clip not in read:
        pytest.skip("no such clip")
    seen, step = LABELS[clip]["smile"], LABELS[clip]["step"]
    near = np.interp(np.arange(len(read[clip])), np.arange(len(seen)) * step, seen)
    smile, width = (read[clip][near < 0.01, channel(name)] for name in ("smile", "mouth_width"))
    width = width + 0.7 * smile  # the mouth's whole width, what a smile does to it included
    assert abs(np.corrcoef(smile, width)[0, 1]) <= 0.6
    assert np.abs(smile - np.median(smile)).mean() < 0.03, "a clear smile is 0.1"


def test_real_faces_hardly_touch_a_limit(read):
    motion = np.concatenate(list(read.values()))
    for n, name in enumerate(CHANNELS):
        low, high = RANGE[name]
        if name != "blink":  # lids do rest at 0 and close to 1
            touched = (motion[:, n] <= low + 1e-6) | (motion[:, n] >= high - 1e-6)
            assert touched.mean() <= 0.02, name
