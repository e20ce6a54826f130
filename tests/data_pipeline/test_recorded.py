"""Records from videos: a moved photograph stands for the people, noise for their voices."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from afjax import files
from afjax.codec.base import Encoded
from afjax.codec.face.channels import CHANNELS, channel
from afjax.codec.face.codec import FaceCodec
from afjax.errors import InputError
from afjax.weights import tiny_release as released
from afjax.weights.convert import convert
from data_pipeline.dataset import batches
from data_pipeline.recorded import prepare as work
from data_pipeline.recorded.build import build
from data_pipeline.recorded.clip import load_codec
from data_pipeline.recorded.pairs import Label, Pair, Side
from data_pipeline.records import read_metadata, read_split
from data_pipeline.schema import decode

pytest.importorskip("ai_edge_litert")
soundfile = pytest.importorskip("soundfile")
data = pytest.importorskip("skimage.data")
SECOND = 25


def face(n, mirrored=False):
    """Frame n, 256 x 256: a face that sways by 12 pixels within a second."""
    x = round(6 * np.sin(2 * np.pi * n / SECOND))
    picture = data.astronaut()[:256, 96 - x : 352 - x]
    return picture[:, ::-1] if mirrored else picture


def both(n):
    return np.concatenate([face(n), face(n, mirrored=True)], axis=1)


def voice(seed, seconds=3.0, rate=16_000):
    """Noise in syllables, silent between them."""
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.random(round(seconds * 8)) < 0.5, rate // 8)
    return (0.2 * loud * rng.standard_normal(len(loud))).astype(np.float32)


@pytest.fixture(scope="module")
def media(tmp_path_factory, write_video):
    """Folder of videos and voices, good and bad."""
    folder = tmp_path_factory.mktemp("media")
    frames, mirrored = [face(n) for n in range(50)], [face(n, mirrored=True) for n in range(50)]
    write_video(folder / "a.mp4", frames, sound=voice(1, rate=48_000))
    write_video(folder / "b.mp4", mirrored, sound=voice(2, rate=48_000))
    write_video(folder / "both.mp4", [both(n) for n in range(SECOND)])
    soundfile.write(folder / "two.wav", np.stack([voice(3), voice(4)], 1), 16_000)
    soundfile.write(folder / "same.wav", voice(1, rate=48_000), 48_000)
    soundfile.write(folder / "silent.wav", np.zeros(48_000), 16_000)
    soundfile.write(folder / "loud.wav", 10 * voice(2, rate=48_000), 48_000, subtype="FLOAT")
    write_video(folder / "one.mp4", [np.concatenate([frame, data.coffee()[:256, :256]], 1) for frame in frames[:30]])
    write_video(folder / "mute.mp4", frames[:30])
    write_video(folder / "coffee.mp4", [data.coffee()[:256, :256]] * 30, sound=voice(5, rate=48_000))
    write_video(folder / "short.mp4", frames[:20], sound=voice(6, rate=48_000))
    write_video(folder / "still.mp4", frames[:1] * 30, sound=voice(7, rate=48_000))
    broken = bytearray((folder / "a.mp4").read_bytes())
    (folder / "broken.mp4").write_bytes(broken[: len(broken) // 2])
    return folder


HEADER = "conversation,avatar_video,user_video,avatar_person,user_person,avatar_half,"
HEADER += "avatar_audio,avatar_channel,user_audio,user_channel,split\n"
GOOD = """pair,a.mp4,b.mp4,ann,bob,,,,loud.wav,,train
beside,both.mp4,both.mp4,cy,di,left,two.wav,1,two.wav,2,eval
"""
BAD = {
    "gone": ("none.mp4,b.mp4", "avatar: .*none.mp4: no such file"),
    "faceless": ("coffee.mp4,b.mp4", "avatar: a face is seen in 0% of it"),
    "brief": ("short.mp4,b.mp4", "no stretch of 1 s without a cut in 0.8 s"),
    "damaged": ("broken.mp4,b.mp4", "avatar: .*broken.mp4: "),
    "mute": ("mute.mp4,b.mp4", "no sound track"),
    "same": ("a.mp4,b.mp4", "both voices are the same sound"),
    "quiet": ("a.mp4,b.mp4", "user: the sound is silent"),
    "frozen": ("still.mp4,b.mp4", "avatar: the picture stands still in"),
    "alone": ("one.mp4,one.mp4", "user: a face is seen in 0% of it"),
}


def bad_lines():
    sound = {"same": ",,,same.wav,", "quiet": ",,,silent.wav,", "alone": "left,two.wav,1,two.wav,2"}
    return "".join(f"{n},{videos},x{n},y{n},{sound.get(n, ',,,,')},train\n" for n, (videos, _) in BAD.items())


@pytest.fixture(scope="module")
def built(media, tmp_path_factory):
    """(folder, summary, rows of clips.csv) of the good conversations and the bad ones."""
    table, out = media / "pairs.csv", tmp_path_factory.mktemp("out") / "records"
    table.write_text(HEADER + GOOD + bad_lines())
    summary = build(table, out, seconds=1.0, workers=1)
    with open(out / "clips.csv", newline="") as file:
        return out, summary, list(csv.DictReader(file))


def test_good_conversations_become_records(built):
    out, summary, rows = built
    assert [summary["splits"][split]["clips"] for split in ("train", "eval")] == [2, 1]
    metadata = read_metadata(out)
    assert metadata.channels == CHANNELS and metadata.splits["train"]["frames"] == SECOND
    train, held = list(read_split(out, "train")), list(read_split(out, "eval"))
    assert [clip.seed for clip in train + held] == list(range(3))
    assert {(clip.avatar_voice, clip.user_voice) for clip in train} == {("ann", "bob")}
    sways = [np.ptp(clip.avatar_motion[:, channel("tx")]) for clip in train]
    assert min(sways) > 0.03
    for clip in train:  # the mirrored one goes the other way
        assert np.corrcoef(clip.avatar_motion[:, channel("tx")], clip.user_motion[:, channel("tx")])[0, 1] < -0.9
    sound = np.concatenate([clip.avatar_wave for clip in held]) / 32768
    assert np.corrcoef(sound, voice(3)[: len(sound)])[0, 1] > 0.99  # the left one's is the first channel
    batch = next(batches(out, "train", batch=2, frames=20))
    assert batch["avatar_motion"].shape == (2, 20, 15) and np.isfinite(batch["user_features"]).all()


@pytest.mark.parametrize("name", BAD)
def test_bad_conversations_are_set_aside_with_the_reason(built, name):
    rows = [row for row in built[2] if row["conversation"] == name]
    assert rows and all(row["kept"] == "0" for row in rows)
    assert all(re.search(BAD[name][1], row["reason"]) for row in rows), rows


def test_the_report_shows_all_and_needs_nothing(built):
    out, _, rows = built
    text = (out / "report.html").read_text()
    assert text.count("data:image/jpeg;base64,") == 3 and "no such file" in text
    assert not any(mark in text for mark in ("http:", "https:", "url(", "@import", "<script"))


def test_what_was_decided_is_said_by_conversation(built, media):
    _, summary, _ = built
    assert len(summary["warnings"]) == 1
    assert re.match("pair: .*loud.wav.* full scale", summary["warnings"][0]), summary["warnings"]


def test_a_second_build_makes_nothing_again_but_what_changed(built, media):
    out, summary, _ = built
    before = {file: file.stat().st_mtime_ns for file in out.glob("clips/*/*.npz")}
    records = (out / "eval-00000-of-00001.safetensors").read_bytes()
    (media / "fewer.csv").write_text(HEADER + GOOD)
    again = build(media / "fewer.csv", out, seconds=1.0, workers=1)
    assert again["splits"] == summary["splits"] and again["set_aside"] == 0
    assert again["warnings"] == summary["warnings"]
    assert {file: file.stat().st_mtime_ns for file in out.glob("clips/*/*.npz")} == before
    assert (out / "eval-00000-of-00001.safetensors").read_bytes() == records


def test_nothing_left_is_one_line_and_a_strange_folder_is_left_alone(media, tmp_path):
    (media / "bad.csv").write_text(HEADER + "gone,none.mp4,b.mp4,ann,bob,,,,,,train\n")
    with pytest.raises(InputError, match="no clip is left to train on"):
        build(media / "bad.csv", tmp_path / "set", seconds=1.0, workers=1)
    assert "no such file" in (tmp_path / "set" / "clips.csv").read_text()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").touch()
    with pytest.raises(InputError, match="exists already"):
        build(media / "bad.csv", tmp_path / "taken", seconds=1.0, workers=1)


def test_a_folder_that_is_being_built_is_left_alone(built, media):
    out, _, _ = built
    with files.held(out), pytest.raises(InputError, match="another process is at work"):
        build(media / "pairs.csv", out, seconds=1.0, workers=1)
    assert read_metadata(out)


def test_a_span_of_a_conversation_is_cut_by_its_start_and_end(media, tmp_path):
    """Frames 10 .. 41 of 50, with the sound that belongs to them; a listener without a voice is silent."""
    sides = [Side(media / f"{name}.mp4", "", media / f"{name}.mp4", 0, name) for name in "ab"]
    sides[1] = replace(sides[1], sound=None)
    whole = work.prepare(Pair("pair", *sides, "train"), tmp_path / "whole", 10, Stub(), say=str)
    cut = Pair("pair", *(replace(side, span=(0.4, 1.68)) for side in sides), "train")
    part = work.prepare(cut, tmp_path / "part", 10, Stub(), say=str)
    assert (whole["frames"], part["frames"], part["clips"]) == (50, 32, 3) and whole["source"] != part["source"]
    records = [decode((tmp_path / name).read_bytes()) for name in ("whole/0001.npz", "part/0000.npz")]
    np.testing.assert_array_equal(*(record.avatar_wave for record in records))
    for name in ("avatar_motion", "user_motion"):  # by squares that differ by a pixel; a frame later is 1e-4 beside it
        moved = [getattr(record, name)[:, channel("jaw_open")] for record in records]
        np.testing.assert_allclose(*(track - track.mean() for track in moved), atol=3e-5)
    assert not records[0].user_wave.any() and not records[0].user_speaking.any()
    late = Pair("pair", *(replace(side, span=(9.0, 0.0)) for side in sides), "train")
    assert "it starts at 9 s" in work.prepare(late, tmp_path / "late", 10, Stub(), say=str)["reason"]


def test_labels_say_when_somebody_speaks(media, tmp_path):
    (tmp_path / "vad.json").write_text('[{"start": 0.2, "end": 0.6}]')
    sides = [Side(media / f"{name}.mp4", "", media / f"{name}.mp4", 0, name) for name in "ab"]
    sides[0] = replace(sides[0], speech=Label(tmp_path / "vad.json"))
    work.prepare(Pair("pair", *sides, "train"), tmp_path / "made", 25, Stub(), say=str)
    record = decode((tmp_path / "made" / "0000.npz").read_bytes())
    assert np.flatnonzero(record.avatar_speaking).tolist() == list(range(5, 15))


class Stub(FaceCodec):
    """A codec without networks that counts its clips and is killed in the one numbered `dies`."""

    def __init__(self, dies=99):
        super().__init__()
        object.__setattr__(self, "calls", [])
        object.__setattr__(self, "dies", dies)

    def encode(self, frames, fps=25.0):
        pictures = np.stack(list(frames))
        self.calls.append(len(pictures))
        if len(self.calls) > self.dies:
            raise KeyboardInterrupt
        motion = np.zeros((len(pictures), len(CHANNELS)), np.float32)
        motion[:, channel("jaw_open")] = pictures.mean(axis=(1, 2, 3)) / 2550
        return Encoded(motion, np.ones(len(pictures), bool), np.ones(len(pictures), np.float32))


def test_a_killed_build_goes_on_and_ends_the_same(media, tmp_path):
    sides = [Side(media / f"{name}.mp4", "", media / f"{name}.mp4", 0, name) for name in "ab"]
    pair, lines = Pair("pair", *sides, "train"), []
    whole = work.prepare(pair, tmp_path / "whole", 16, Stub(), say=lines.append)
    assert lines == ["pair 1/3: kept", "pair 2/3: kept", "pair 3/3: kept"]
    with pytest.raises(KeyboardInterrupt):
        work.prepare(pair, tmp_path / "killed", 16, Stub(dies=3))
    assert (tmp_path / "killed" / "0000.npz").exists() and not (tmp_path / "killed" / "result.json").exists()
    rest, lines = Stub(), []
    assert work.prepare(pair, tmp_path / "killed", 16, rest, say=lines.append) == whole
    assert len(rest.calls) == 4 and lines == ["pair 2/3: kept", "pair 3/3: kept"]
    for file in (tmp_path / "whole").iterdir():
        assert (tmp_path / "killed" / file.name).read_bytes() == file.read_bytes()
    idle = Stub()
    assert work.prepare(pair, tmp_path / "killed", 16, idle) == whole and not idle.calls
    longer = work.prepare(pair, tmp_path / "killed", 20, idle)
    plan = json.loads((tmp_path / "killed" / "survey.json").read_text())
    assert longer["clips"] == 2 and [clip["start"] for clip in plan["clips"]] == [0, 20]


def test_latent_motion_from_weights(media, tmp_path):
    weights, source = tmp_path / "weights", tmp_path / "source"
    weights.mkdir()
    convert(**{name: Path(file) for name, file in released.write(source).items()}, folder=weights, heads=2)
    sides = [Side(media / f"{name}.mp4", "", media / f"{name}.mp4", 0, name) for name in "ab"]
    work.prepare(Pair("pair", *sides, "train"), tmp_path / "made", 20, load_codec(str(weights)), "latent")
    record = decode((tmp_path / "made" / "0001.npz").read_bytes())
    assert record.avatar_motion.shape == (20, released.LATENT.dim) and record.avatar_motion.std(axis=0).max() > 0
    np.testing.assert_allclose(record.rest, record.avatar_motion.mean(axis=0), atol=1e-4)  # a face was seen throughout
    mouth, loudness = np.load(tmp_path / "made" / "0001.tracks.npy")[:2]
    assert mouth.max() > 0 and loudness.max() > 0.1
