"""`experiments.stream` on files: good ones give a video of the right length, bad ones one line and no file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from afjax.audio.envelope import envelope, speaking
from afjax.codec.face.channels import CHANNELS, channel
from afjax.codec.face.codec import FaceCodec
from afjax.errors import InputError
from afjax.media.audio import read_audio
from afjax.media.video import probe, read_frames
from afjax.metrics import mouth
from experiments.talk import stream
from experiments.talk.video import at_rate, pasted

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("av")
skimage_data = pytest.importorskip("skimage.data")
ROOT = Path(__file__).resolve().parents[2]
SPEECH = (12_800, 38_400)  # samples of the made voice that are loud: 0.8 to 2.4 s


class Generator:
    """Stands in for a trained model: the mouth follows the avatar's voice, the head the user's."""

    def warm_up(self, sound):
        pass

    def codec(self, size):
        return FaceCodec(size=size or 256)

    def generate(self, frames, user_motion, user_wave, avatar_wave, seed, reference_motion):
        self.given = {"user_motion": user_motion, "user_wave": user_wave, "avatar_wave": avatar_wave}
        motion = np.zeros((frames, len(CHANNELS)), np.float32)
        if user_motion is not None:
            motion[:, :6] = 0.5 * user_motion[:, :6]
        if avatar_wave is not None:
            loudness = envelope(avatar_wave, frames)
            motion[:, channel("jaw_open")] = 0.2 * loudness / loudness.max()
        return motion


@pytest.fixture
def generator(monkeypatch):
    made = Generator()
    monkeypatch.setattr(stream, "load_model", lambda workdir, preset, weights: made)
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory, write_video):
    """A voice of 3.2 s, and videos of 2 s: a face, a face in the first half, no face."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    voice = np.zeros(51_200, np.float32)
    syllables = 0.3 * np.sin(np.arange(SPEECH[1] - SPEECH[0]) / 16_000 * 2 * np.pi * 3) ** 2
    voice[slice(*SPEECH)] = syllables * rng.normal(0, 1, len(syllables)).clip(-2, 2)
    soundfile.write(folder / "voice.wav", voice, 16_000)
    soundfile.write(folder / "nan.wav", np.full(1000, np.nan, np.float32), 16_000, subtype="FLOAT")
    soundfile.write(folder / "none.wav", np.zeros(0), 16_000)
    face = skimage_data.astronaut()[0:300, 70:370]
    moved = [np.roll(face, round(4 * np.sin(n / 4)), axis=1) for n in range(50)]
    blank = np.full_like(face, 128)
    tone = 0.2 * np.sin(np.arange(96_000) / 48_000 * 2 * np.pi * 220)
    write_video(folder / "face.mp4", moved, sound=tone)
    write_video(folder / "half.mp4", [*moved[:25], *[blank] * 25])
    write_video(folder / "blank.mp4", [blank] * 10)
    (folder / "cut.mp4").write_bytes((folder / "face.mp4").read_bytes()[:5000])
    (folder / "text.mp4").write_text("words " * 100)
    (folder / "empty.mp4").touch()
    from PIL import Image

    Image.fromarray(blank).save(folder / "blank.png")
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.new("1", (20_000, 20_000)).save(folder / "huge.png")
    return folder


def run(files, out, generator=None, **given):
    names = {"portrait", "user_video", "user_audio", "avatar_audio"}
    given = {key: str(files / value) if key in names else value for key, value in given.items()}
    return stream.stream("run", out, size=128, **given)


def test_talking_and_listening(files, generator, tmp_path):
    out = tmp_path / "talk.mp4"
    summary = run(files, out, user_video="face.mp4", avatar_audio="voice.wav", side_by_side=True, sound="split")
    info = probe(out)
    assert info.frames == summary["frames"] == 80 and (info.width, info.height) == (256, 128)
    assert summary["user_frames"]["tracked"] == summary["user_frames"]["with_face"] == 50
    assert any("ends at 2.00 s" in warning for warning in summary["warnings"])
    motion = generator.given["user_motion"]
    assert motion.shape == (80, 15) and motion[:50].any() and not motion[60:].any()
    np.testing.assert_array_equal(generator.given["avatar_wave"], read_audio(files / "voice.wav"))
    user = read_audio(files / "face.mp4", start=probe(files / "face.mp4").start)
    assert len(user) < 80 * 640  # no silence is put behind it
    np.testing.assert_array_equal(generator.given["user_wave"], user)
    assert summary["mouth"]["lip_envelope_corr"] > 0.99 and summary["mouth"]["lip_envelope_lag_ms"] == 0
    assert summary["mouth"]["mouth_motion_speech"] > 0.01 and summary["mouth"]["mouth_motion_silence"] < 1e-6
    frames = list(read_frames(info))
    assert np.abs(frames[79][:, :128].astype(int) - frames[55][:, :128]).mean() < 3  # the user's last picture stays
    assert np.abs(frames[60][:, 128:].astype(int) - frames[0][:, 128:]).max() > 10  # the avatar moves
    written = read_audio(out, start=0.0) * 2  # the voices lie apart: the mean of both channels halves each
    voice = read_audio(files / "voice.wav")
    offset = 36_000  # after the user's sound has ended
    lag = np.argmax(np.correlate(written[offset - 700 : offset + 3100], voice[offset : offset + 2400], "valid")) - 700
    assert abs(lag) < 16_000 / 25 / 4


def test_talking_only_and_listening_only(files, generator, tmp_path):
    summary = run(files, tmp_path / "a.mp4", avatar_audio="voice.wav")
    assert summary["frames"] == 80 and generator.given["user_motion"] is None and generator.given["user_wave"] is None
    summary = run(files, tmp_path / "b.mp4", user_video="half.mp4")
    assert summary["frames"] == probe(tmp_path / "b.mp4").frames == 50 and generator.given["avatar_wave"] is None
    assert not read_audio(tmp_path / "b.mp4", start=0.0).any()  # a sound track, but a silent one
    assert summary["user_frames"]["with_face"] == 25
    assert any("25 of 50 frames" in warning for warning in summary["warnings"])
    assert any("no sound track" in warning for warning in summary["warnings"])


def test_another_voice_for_the_user(files, generator, tmp_path):
    run(files, tmp_path / "a.mp4", user_video="face.mp4", user_audio="voice.wav", sound="avatar")
    np.testing.assert_array_equal(generator.given["user_wave"], read_audio(files / "voice.wav"))
    assert not read_audio(tmp_path / "a.mp4", start=0.0).any()


def test_a_text_is_what_the_avatar_says(files, generator, tmp_path):
    pytest.importorskip("espeakng_loader")
    summary = run(files, tmp_path / "a.mp4", avatar_text="Good morning. How are you?", voice="Martin")
    heard = generator.given["avatar_wave"]
    assert 1.0 < len(heard) / 16_000 < 4.0 and np.abs(heard).max() > 0.1
    assert (
        summary["inputs"]["avatar_text"] == "Good morning. How are you?" and summary["inputs"]["avatar_audio"] is None
    )
    with pytest.raises(InputError, match="no word"):
        run(files, tmp_path / "b.mp4", avatar_text=" ... ")
    with pytest.raises(InputError, match="the voices speak English; give a recording"):
        run(files, tmp_path / "b.mp4", avatar_text="Доброе утро")


def test_the_avatar_goes_back_into_its_whole_photograph(files, generator, tmp_path):
    portrait, codec = skimage_data.astronaut(), FaceCodec(size=128)
    identity = codec.identity(portrait)
    whole = pasted(codec, identity, portrait, 0)
    motion = np.zeros((10, 15), np.float32)
    motion[5:, CHANNELS.index("jaw_open")] = 0.2
    result = whole.frames(codec.render(identity, motion)).astype(int)
    left, top, side = np.asarray(identity.box).round().astype(int)
    inside = np.zeros(portrait.shape[:2], bool)
    inside[max(top, 0) : top + side, max(left, 0) : left + side] = True
    assert result.shape == (10, *portrait.shape) and inside.mean() < 0.6
    np.testing.assert_array_equal(result[:, ~inside], np.repeat(portrait[None], 10, 0)[:, ~inside])
    assert np.abs(result[0] - portrait)[inside].mean() < 4, "at rest it is the photograph"
    edge = np.abs(np.diff(result[7], axis=1) - np.diff(portrait.astype(int), axis=1))[:, left + side - 1]
    assert edge[top + 5 : top + side - 5].max() < 12, "no seam"
    assert (np.abs(result[7] - result[0])[inside].max(axis=-1) > 40).sum() > 50, "the mouth has opened"
    summary = run(files, tmp_path / "a.mp4", avatar_audio="voice.wav", paste_back=True)
    info = probe(tmp_path / "a.mp4")
    assert (info.width, info.height) == (512, 512) and summary["size"] == 128


def test_motion_at_another_rate_goes_through_the_same_frames():
    motion = np.random.default_rng(0).standard_normal((26, 3)).astype(np.float32)
    assert at_rate(motion, 25) is motion
    dense = at_rate(motion, 50)
    np.testing.assert_allclose(dense[::2], motion, atol=1e-6)
    between = dense[1:-1:2]
    assert (between >= np.minimum(motion[:-1], motion[1:]) - 1e-6).all()
    assert (between <= np.maximum(motion[:-1], motion[1:]) + 1e-6).all()
    assert len(at_rate(motion, 30)) == 32 and len(at_rate(motion, 60)) == 63


def test_a_talk_without_background_at_60_frames(files, generator, tmp_path):
    summary = run(files, tmp_path / "a.mov", avatar_audio="voice.wav", alpha=True, fps=60)
    assert summary["fps"] == 60
    import av

    with av.open(str(tmp_path / "a.mov")) as container:
        assert container.streams.video[0].average_rate == 60
        pictures = [frame.to_ndarray(format="rgba") for frame in container.decode(video=0)]
    assert len(pictures) == round(80 * 60 / 25)
    opacity = pictures[0][..., 3]
    assert opacity[:6, :6].max() < 20 and opacity[56:72, 56:72].min() > 240, "a corner, and the face"
    with pytest.raises(InputError, match="with alpha as ProRes or VP9"):
        run(files, tmp_path / "a.mp4", avatar_audio="voice.wav", alpha=True)


BAD = {
    "nothing": ({}, "nothing to talk"),
    "missing": ({"user_video": "missing.mp4"}, "no such file"),
    "empty": ({"user_video": "empty.mp4"}, "empty"),
    "directory": ({"user_video": "."}, "directory"),
    "text": ({"user_video": "text.mp4"}, "not a readable video"),
    "truncated": ({"user_video": "cut.mp4"}, "readable|truncated"),
    "sound as video": ({"user_video": "voice.wav"}, "no video track"),
    "video without a face": ({"user_video": "blank.mp4"}, "no face"),
    "portrait without a face": ({"avatar_audio": "voice.wav", "portrait": "blank.png"}, "no face"),
    "portrait of a dot": ({"avatar_audio": "voice.wav", "portrait": "dot.png"}, "too small"),
    "portrait of 20,000 px": ({"avatar_audio": "voice.wav", "portrait": "huge.png"}, "too large|12000 px"),
    "portrait is a video": ({"avatar_audio": "voice.wav", "portrait": "face.mp4"}, "not a JPEG"),
    "voice with NaN": ({"avatar_audio": "nan.wav"}, "NaN"),
    "voice without samples": ({"avatar_audio": "none.wav"}, "no samples"),
    "user's voice with NaN": ({"user_video": "face.mp4", "user_audio": "nan.wav"}, "NaN"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(files, generator, tmp_path, case):
    given, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        run(files, tmp_path / "talk.mp4", **given)
    assert "\n" not in str(caught.value)
    for name in given.values():
        if name in ("nan.wav", "none.wav", "blank.mp4", "blank.png", "cut.mp4"):
            assert str(files / name) in str(caught.value)
    assert not os.listdir(tmp_path)


def command(tmp_path, *arguments):
    line = [sys.executable, "-m", "experiments.stream", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=120)
    left = sorted(os.listdir(tmp_path))
    return done.returncode, done.stderr, left


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--user_video={files}/missing.mp4", "--out={tmp}/a.mp4"], "no such file"),
        (["--user_vidoe=a.mp4"], "did you mean --user_video?"),
        (["--avatar_audio={files}/voice.wav", "--out={files}/voice.wav/a.mp4"], "not a folder"),
        (["--avatar_audio={files}/voice.wav", "--out={tmp}/a.avi"], "ends in .mp4"),
        (["--avatar_audio={files}/voice.wav", "--out={tmp}/a.mp4", "--workdir={tmp}/none"], "none"),
        (["--avatar_audio={files}/voice.wav", "--out={tmp}/a.mp4", "--side_by_side"], "--user_video"),
        (["--avatar_audio={files}/voice.wav", "--out={tmp}/a.mp4", "--size=192"], "multiple of 128"),
        (["--user_video={files}/face.mp4", "--out={files}/../{files.name}/face.mp4"], "an input as well"),
    ],
)
def test_command_line_mistakes(files, tmp_path, arguments, message):
    code, errors, left = command(tmp_path, *(a.format(files=files, tmp=tmp_path) for a in arguments))
    assert code == 2, errors
    assert errors.startswith("error: ") and len(errors.strip().splitlines()) == 1 and message in errors
    assert not left


def test_summary_beside_the_video(files, generator, tmp_path, capsys):
    voice, out, record = str(files / "voice.wav"), tmp_path / "talk.mp4", tmp_path / "summary.json"
    for other in ('{"metrics": {}}', "[3]", "3", "no JSON"):
        record.write_text(other)
        with pytest.raises(InputError, match="not a summary of experiments.stream"):
            stream.stream("run", out, avatar_audio=voice, size=128)
        assert record.read_text() == other
    record.write_text('{"out": "talk.mp4", "user_frames": {}}')
    stream.report(stream.stream("run", out, avatar_audio=voice, size=128))
    summary = json.loads(record.read_text())
    assert summary["frames"] == 80 and summary["seed"] == 0 and summary["workdir"] == "run"
    assert set(summary["seconds"]) == {"read", "load", "identity", "generate", "compile", "render", "write", "total"}
    assert summary["real_time_factor"] > 0
    assert sorted(os.listdir(tmp_path)) == ["summary.json", "talk.mp4"]
    assert "real time factor" in capsys.readouterr().out


def test_speech_is_found_where_it_is(files):
    voice = read_audio(files / "voice.wav")
    found = speaking(voice, 80)
    assert found[21:59].all() and not found[:19].any() and not found[61:].any()
    assert envelope(voice, 80)[:19].max() == pytest.approx(0, abs=0.02)


def test_mouth_figures_know_a_late_and_a_still_mouth(files):
    voice = np.tile(read_audio(files / "voice.wav"), 3)
    frames = len(voice) // 640
    motion = np.zeros((frames, 15), np.float32)
    motion[:, channel("jaw_open")] = np.roll(envelope(voice, frames), 3)
    figures = mouth.mouth_figures(motion, CHANNELS, voice)
    assert figures["lip_envelope_lag_ms"] == 120 and figures["lip_envelope_corr"] < 0.9
    still = mouth.mouth_figures(np.zeros_like(motion), CHANNELS, voice)
    assert still["mouth_motion_speech"] == 0 and still["mouth_ratio"] is still["lip_envelope_lag_ms"] is None
    assert set(mouth.mouth_figures(motion, CHANNELS, None).values()) == {None}
