"""Windows of a probe: around causes, whole, and beginning where a stream's blocks do if features are made in blocks."""

import dataclasses

import numpy as np

from afjax.codec.face.channels import CHANNELS
from afjax.config import Config, DataConfig, LayoutConfig, ModelConfig
from data_pipeline import records, schema
from experiments.runs import held_out
from tests.data_pipeline.conftest import _clip, _save


@dataclasses.dataclass
class Long:
    frames: int


def test_windows_lie_around_their_causes_and_begin_at_blocks():
    clips, causes = [Long(200), Long(90)], [(0, 63), (0, 155), (1, 44), (1, 2), (1, 89)]
    for step in (1, 10):
        found = held_out.around(clips, causes, 50, 10, step)
        assert found and {(clip, start + place) for clip, start, place in found} <= set(causes)
        for clip, start, place in found:
            assert start % step == 0 and 0 <= start <= clips[clip].frames - 50 and 0 <= place < 50


def test_what_a_probe_measures_is_cut_from_the_held_out_clips(tmp_path, monkeypatch):
    clips = [_clip(seed, frames=100) for seed in range(3)]
    metadata = dataclasses.replace(_save(tmp_path, clips), features={"name": "x", "dim": 100, "block": 10})
    records.write_split(tmp_path, "eval", map(schema.encode, clips))
    seen = []
    monkeypatch.setattr(held_out, "make_probe", lambda *given: seen.append(given))
    config = Config(
        model=ModelConfig(len(CHANNELS), 100, 16, 1, 2, condition_convolutions=1, relative_frames=3),
        layout=LayoutConfig(block=10, user_delay=10, cache=10),
        data=DataConfig(window=30, batch=2),
    )  # fmt: skip
    held_out.held_out_probe(config, tmp_path, metadata)
    ((_, windows, _, _),) = seen
    assert len(windows["user_motion"]) == held_out.WINDOWS
    tracks = (windows[name] for name in ("avatar_motion", "user_motion", "earlier_user_motion"))
    for avatar, user, earlier in zip(*tracks, strict=True):
        places = [
            (clip, start)
            for clip in clips
            for start in range(0, 71, 10)
            if np.array_equal(clip.avatar_motion[start : start + 30], avatar)
        ]
        ((clip, start),) = places
        late = clip.user_motion[max(start - 10, 0) : start + 20]
        np.testing.assert_array_equal(user[-len(late) :], late)
        before = clip.user_motion[max(start - 25, 0) : max(start - 10, 0)]
        assert earlier.shape == (15, 15) and np.isnan(earlier).all() == (start == 0)
        np.testing.assert_array_equal(earlier[15 - len(before) :], before)
