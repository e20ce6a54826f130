"""Sheets of portraits, and the fit that tells a smile from a wide mouth."""

import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS, channel
from afjax.errors import InputError
from experiments.evaluation import faces, smile_fit

PIL = pytest.importorskip("PIL.Image")


def test_a_folder_of_portraits_becomes_sheets_and_figures(tmp_path, monkeypatch, capsys):
    pytest.importorskip("ai_edge_litert")
    from data_pipeline.simulate.portrait.draw import write_portrait

    monkeypatch.setattr(faces, "read_back", lambda codec, identity: {"smile": 0.5})
    turned = {"yaw": [19.0, 21.0, 29.0, 33.0, float("nan"), 36.0]}
    monkeypatch.setattr(faces, "read_alone", lambda codec, identity: {"blink": [0.9, 1.1]})
    monkeypatch.setattr(faces, "read_turns", lambda identity: turned)
    folder, out = tmp_path / "portraits", tmp_path / "out"
    folder.mkdir()
    with pytest.raises(InputError, match="no picture"):
        faces.show_portraits(folder, out, 128)
    write_portrait(folder / "ann.png", 0, 256)
    PIL.fromarray(np.full((100, 100, 3), 90, np.uint8)).save(folder / "wall.png")
    faces.show_portraits(folder, out, 128)
    said = capsys.readouterr().out
    assert "left out: " in said and "wall.png: no face found" in said and "ann.png: smile 0.500" in said
    lines = {line.split("  ")[0]: line.split() for line in said.splitlines()}
    assert lines["blink"][1:] == ["1", "0.900", "0.900", "1.100", "1.100", "1.100"]
    assert lines["yaw 20"][2:] == ["1", "1.000", "20.000", "19.000", "21.000"]
    assert lines["yaw 40"][2:] == ["1", "0.500", "36.000", "36.000", "36.000"]
    assert {path.name for path in out.iterdir()} == {"ann_channels.png", "ann_expressions.png", "faces.json"}
    with PIL.open(out / "ann_channels.png") as sheet:
        assert sheet.width == 5 * 64 and sheet.height > len(CHANNELS) * 64


def test_expressions_and_scales_are_what_they_are_called():
    assert not faces.expression("neutral").any()
    laugh = faces.expression("laugh")
    assert laugh[channel("smile")] > 0.12 and laugh[channel("jaw_open")] > 0.1
    every = faces.scales(3)
    assert every.shape == (15, 3, 15)
    assert all((np.delete(every[n], n, axis=1) == 0).all() and np.ptp(every[n, :, n]) > 0 for n in range(15))


def test_the_fit_tells_a_smile_from_a_wide_mouth():
    """Speech widens the mouth; a smile widens it too and lifts the cheeks: weight on the width must go."""
    random, names = np.random.default_rng(0), smile_fit.NAMES
    width, cheeks = names.index("mouth_width"), names.index("cheeks")

    def clip(smiles):
        seen = np.repeat(smiles, 20)
        x = 0.001 * random.standard_normal((len(seen), len(names)))
        x[:, width] += 0.03 * random.standard_normal(len(seen)) + seen
        x[:, cheeks] += 0.4 * seen
        return smile_fit.Seen(x, np.arange(0, len(seen), 5), seen[::5], seen == 0)

    talk, smiling = clip([0.0] * 8), clip([0.0, 0.1, 0.0, 0.17, 0.0])
    weights = smile_fit.fit([talk, smiling], [clip([0.0, 0.05, 0.15])])
    assert smile_fit.judge(smiling, weights)[0] > 0.95
    assert abs(smile_fit.judge(talk, weights)[1]) < 0.5
    assert abs(weights[width]) < 0.3 * weights[cheeks]
