"""The recipes of docs/separation.md: a double of ClearerVoice's package, what IIANet's does without its networks."""

import sys
from pathlib import Path

import numpy as np
import pytest

from afjax.media.video import VideoInfo
from data_pipeline.recorded import separation

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("av")
from docs.examples import separate_clearervoice, separate_iianet  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
RATE, SECONDS = 16_000, 4
# Three stretches, as the program follows faces: the left one, the right one in two.
DOUBLE = """
import os, types
import numpy as np, soundfile
from clearvoice.utils import video_process

class ClearVoice:
    def __init__(self, task, model_names):
        assert (task, model_names) == ("target_speaker_extraction", ["AV_MossFormer2_TSE_16K"])
    def __call__(self, input_path, online_write, output_path):
        assert online_write and " " not in input_path and os.path.exists(input_path)
        sound, _ = soundfile.read(os.environ["SOUND"])
        tracks, sources = [], []
        for left, first, stop, voice in ((300, 0, 40, 1), (20, 0, 100, 0), (310, 60, 100, 1), (900, 0, 100, 0)):
            frames = np.arange(first, stop)
            box = np.tile([left, 10.0, left + 50, 60], (len(frames), 1))
            tracks.append({"track": {"frame": frames, "bbox": box}})
            clear, _ = soundfile.read(os.environ["SOUND"].replace("mixed", f"voice{voice}"))
            span = slice(first * 640, stop * 640)
            sources.append(clear[span][None] / np.abs(sound[span]).max())
        video_process.visualization(tracks, sources, types.SimpleNamespace(audioFilePath=os.environ["SOUND"]))
"""


def test_clearervoice_s_stretches_are_given_to_people(tmp_path, monkeypatch):
    package = tmp_path / "packages" / "clearvoice"
    (package / "utils").mkdir(parents=True)
    (package / "__init__.py").write_text(DOUBLE)
    (package / "utils" / "__init__.py").touch()
    (package / "utils" / "video_process.py").write_text("visualization = None\n")
    rng = np.random.default_rng(0)
    voices = [0.05 * rng.standard_normal(SECONDS * RATE) for _ in range(2)]
    for number, voice in enumerate(voices):
        soundfile.write(tmp_path / f"voice{number}.wav", voice, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "mixed.wav", sum(voices), RATE, subtype="FLOAT")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("SOUND", str(tmp_path / "mixed.wav"))
    (tmp_path / "a video.mp4").touch()
    info = VideoInfo(tmp_path / "a video.mp4", 640, 360, 1.0, 0.0, SECONDS, SECONDS * 25, SECONDS * 25, 25.0, True)
    boxes = {"avatar": np.tile([305.0, 12, 352, 58], (100, 1)), "user": np.tile([22.0, 12, 70, 58], (100, 1))}
    boxes["user"][5:9] = np.nan
    script = ROOT / "docs" / "examples" / "separate_clearervoice.py"
    of = separation.separator(f"{sys.executable} {script} {{video}} {{boxes}} {{out}}")
    found = separation.separate(of, info, tmp_path / "mixed.wav", boxes, tmp_path / "work")
    np.testing.assert_allclose(found["user"], voices[0], atol=1e-5)
    np.testing.assert_allclose(found["avatar"][: 40 * 640], voices[1][: 40 * 640], atol=1e-5)
    assert not found["avatar"][40 * 640 : 60 * 640].any()
    np.testing.assert_allclose(found["avatar"][60 * 640 :], voices[1][60 * 640 :], atol=1e-5)


def test_overlap_of_boxes():
    boxes = np.array([[0.0, 0, 2, 2], [0, 0, 2, 2], [np.nan] * 4, [5, 5, 6, 6]])
    others = np.array([[1.0, 0, 3, 2], [0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 1, 1]])
    np.testing.assert_allclose(separate_clearervoice.overlap(boxes, others), [1 / 3, 1, 0, 0])


def test_iianet_s_pieces_make_one_voice_of_the_mixture_s_level():
    samples = 150 * 640
    voices = np.random.default_rng(0).standard_normal((2, samples))
    pieces = [voices[0][first : first + 50 * 640] for first in range(0, samples - 25 * 640, 25 * 640)]
    np.testing.assert_allclose(separate_iianet.joined(pieces, samples), voices[0], atol=1e-4)
    found = separate_iianet.leveled({"avatar": -3 * voices[0], "user": 0.1 * voices[1]}, 0.2 * voices[0] + voices[1])
    np.testing.assert_allclose(found["avatar"], 0.2 * voices[0], atol=1e-9)
    np.testing.assert_allclose(found["user"], voices[1], atol=1e-9)


def test_iianet_s_head_is_the_middle_of_its_square():
    frame = np.arange(100 * 100 * 3, dtype=np.int64).reshape(100, 100, 3)
    head = separate_iianet.cut(frame, np.array([40.0, 40, 60, 60]))
    np.testing.assert_array_equal(head, frame[35:65, 35:65])
    edge = separate_iianet.cut(frame, np.array([0.0, 0, 20, 20]))
    assert edge.shape == (30, 30, 3) and not edge[:5].any() and not edge[:, :5].any()
    np.testing.assert_array_equal(edge[5:, 5:], frame[:25, :25])
