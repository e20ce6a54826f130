"""Scene cuts, the places of clips, and whether a voice belongs to a face: on arrays that are known."""

import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS, channel
from afjax.errors import InputError
from data_pipeline.recorded import shots, sync
from data_pipeline.recorded.shots import Survey


def test_cuts_are_told_from_motion():
    rng = np.random.default_rng(0)
    change = rng.uniform(1.0, 3.0, 200)
    change[60:100] = rng.uniform(10.0, 16.0, 40)  # somebody walks through the picture
    change[[30, 150]] = 40.0
    assert shots.scene_cuts(change) == [30, 150]
    assert shots.scene_cuts(np.zeros(5)) == []


def test_a_jump_of_the_face_is_a_break_and_a_cut_explains_it():
    box = np.array([100.0, 100.0, 200.0, 220.0])
    boxes = {0: box, 5: box + 5, 10: box + 90, 15: box + 95, 25: box - 50}
    assert shots._jumps(boxes, []) == [(6, 10)]
    assert shots._jumps(boxes, [8]) == []
    assert shots._jumps({0: box, 5: box * 2 - 160}, []) == [(1, 5)]


def test_clips_lie_between_the_breaks_of_both_pictures():
    one, two = Survey(100, 9, 9, ((30, 30),), {}), Survey(90, 9, 9, ((61, 65),), {})
    assert shots.starts([one, two], 10, 90) == [0, 10, 20, 30, 40, 50, 65, 75]
    assert shots.starts([one, two], 40, 90) == []


def test_the_square_needs_a_face_of_some_size():
    def survey(side, last):
        return Survey(50, 400, 400, (), {n: (100.0, 100.0, 100.0 + side, 100.0 + side) for n in range(0, last, 5)})

    square = shots.square(survey(80, 50), 0, 50)
    assert (square.left, square.top, square.side) == (60, 60, 160)
    with pytest.raises(InputError, match="a face is seen in 60% of it"):
        shots.square(survey(80, 30), 0, 50)
    with pytest.raises(InputError, match="40 px high"):
        shots.square(survey(40, 50), 0, 50)


def conversation(lag, frames=750, seed=0):
    """A mouth's motion and the loudness that goes with it, `lag` frames before the mouth's."""
    rng = np.random.default_rng(seed)
    smooth = np.convolve(rng.standard_normal(frames + 200), np.ones(5) / 5, "same")
    speech = np.clip(smooth * (np.sin(np.arange(frames + 200) / 25) > 0), 0, None)
    motion = 0.02 * rng.standard_normal((frames, len(CHANNELS))).astype(np.float32)
    gesture = np.cumsum(speech * rng.choice([-1.0, 1.0], frames + 200))  # moves most where it is loud
    jaw = gesture - np.convolve(gesture, np.ones(9) / 9, "same")
    motion[:, channel("jaw_open")] += jaw[100 - lag : 100 - lag + frames]
    return sync.mouth_speed(motion), speech[100 : 100 + frames]


@pytest.mark.parametrize("lag", [-20, -4, 0, 15])
def test_the_lag_is_found(lag):
    found = sync.measure(*conversation(lag))
    assert found.clear and abs(found.lag - lag) <= 1
    assert bool(sync.fault({"user": found}, [found])) == (lag in (-20, 15))


def test_another_voice_says_nothing():
    mouth, _ = conversation(0)
    others = [sync.measure(mouth, conversation(0, seed=seed)[1]) for seed in range(1, 20)]
    assert not any(found.clear for found in others) and str(others[0]) == "can't tell"
    assert not sync.measure(mouth[:100], conversation(0)[1][:100]).clear
    assert not sync.measure(np.zeros(750), mouth).clear


def test_swapped_voices_are_named():
    clear, none = sync.measure(*conversation(-2)), sync.measure(np.zeros(750), np.zeros(750))
    assert "swapped" in sync.fault({"avatar": none, "user": none}, [clear, clear])
    assert not sync.fault({"avatar": clear, "user": none}, [clear, clear])
    assert not sync.fault({"avatar": none, "user": none}, [clear, none])
