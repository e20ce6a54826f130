"""`experiments.stream --preset released` on real files, with tiny weights of the released format."""

import json

import numpy as np
import pytest

from afjax.avatar.released import load_released
from afjax.codec.latent.crop import clip_square
from afjax.errors import InputError
from afjax.media.video import probe, read_frames
from afjax.weights import tiny_release as released
from afjax.weights.folder import to_folder
from experiments.talk.inputs import TRACKING_SIDE
from experiments.talk.stream import stream

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("av")
skimage_data = pytest.importorskip("skimage.data")
FRAMES = 64  # beyond the joint start of 50, and no whole number of blocks


@pytest.fixture(scope="module")
def files(tmp_path_factory, write_video):
    """Weights, a portrait, a video of it, and a voice."""
    folder = tmp_path_factory.mktemp("released")
    to_folder(**released.write(folder / "sources"), out=str(folder / "weights"), heads=released.FLOW.heads)
    picture = skimage_data.astronaut()
    from PIL import Image

    Image.fromarray(picture).save(folder / "face.png")
    write_video(folder / "user.mp4", [np.roll(picture, n // 2, 1) for n in range(FRAMES)])
    wave = np.sin(np.arange(16_000 * FRAMES // 25) * 0.07) * (np.arange(16_000 * FRAMES // 25) % 8000 < 4000)
    soundfile.write(folder / "voice.wav", 0.3 * wave, 16_000)
    return folder


def run(files, out, preset="released", video=True, voice=True, **more):
    return stream(
        "", out / "talk.mp4", str(files / "face.png"), str(files / "user.mp4") if video else "",
        avatar_audio=str(files / "voice.wav") if voice else "", preset=preset, weights=str(files / "weights"), **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("preset", "video", "voice"),
    [
        ("released", True, True),
        ("released", True, False),
        ("released", False, True),
        ("released-empty", True, True),
        pytest.param("released-empty", True, False, marks=pytest.mark.slow),
        pytest.param("released-empty", False, True, marks=pytest.mark.slow),
    ],
)
def test_each_input_may_be_missing(files, tmp_path, preset, video, voice):
    summary = run(files, tmp_path, preset, video, voice)
    assert summary["frames"] == FRAMES and summary["size"] == released.LATENT.size
    assert summary["user_frames"]["with_face"] == (FRAMES if video else 0)
    if video:  # placed by all frames, those after the first two seconds too
        square = clip_square(read_frames(probe(files / "user.mp4"), TRACKING_SIDE))
        assert summary["user_frames"]["square"] == [square.left, square.top, square.side]
    info = probe(tmp_path / "talk.mp4")
    assert np.stack(list(read_frames(info))).shape == (FRAMES, 64, 64, 3) and info.has_sound
    assert json.loads((tmp_path / "summary.json").read_text())["preset"] == preset


def test_each_input_is_heard(files):
    network = load_released(files / "weights")
    rng = np.random.default_rng(0)
    motion = rng.normal(size=(FRAMES, released.LATENT.dim)).astype(np.float32)
    user, avatar = rng.normal(scale=0.1, size=(2, FRAMES * 640)).astype(np.float32)
    full = network.generate(FRAMES, motion, user, avatar, reference_motion=0.0)
    assert full.shape == motion.shape and np.isfinite(full).all()
    np.testing.assert_array_equal(network.generate(FRAMES, motion, user, avatar, reference_motion=0.0), full)
    for other in (
        network.generate(FRAMES, motion, user, None, reference_motion=0.0),
        network.generate(FRAMES, motion, None, avatar, reference_motion=0.0),
        network.generate(FRAMES, None, user, avatar, reference_motion=0.0),
        network.generate(FRAMES, motion, user, avatar, 1, 0.0),
    ):
        assert np.abs(other - full).max() > 1e-3


def test_another_size_than_the_weights_is_refused(files, tmp_path):
    with pytest.raises(InputError, match="renders 64 px"):
        run(files, tmp_path, size=256)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_of_weights_is_refused(files, tmp_path):
    nowhere = str(tmp_path / "nowhere")
    with pytest.raises(InputError, match="nowhere"):
        stream("", tmp_path / "talk.mp4", user_video=str(files / "user.mp4"), preset="released", weights=nowhere)
    assert not list(tmp_path.iterdir())
