"""Importers of public sets, each on a tiny copy of its layout: tables that the build reads, and what was left out."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from afjax.errors import InputError
from data_pipeline.dataset import batches
from data_pipeline.recorded.build import build
from data_pipeline.recorded.pairs import MIXED, SILENT, read_pairs
from data_pipeline.records import read_metadata, read_split
from data_pipeline.sets import candor, dualtalk, iemocap, realtalk, seamless, table, udiva, vico

pytest.importorskip("av")
soundfile = pytest.importorskip("soundfile")
data = pytest.importorskip("skimage.data")
ROOT = Path(__file__).resolve().parents[2]
SECONDS, FRAMES = 2, 60


def face(n, mirrored=False):
    x = round(6 * np.sin(n / 4))
    picture = data.astronaut()[:256, 96 - x : 352 - x]
    return picture[:, ::-1] if mirrored else picture


def voice(seed, rate=16_000):
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.random(SECONDS * 8) < 0.6, rate // 8)
    return (0.2 * loud * rng.standard_normal(len(loud))).astype(np.float32)


@pytest.fixture(scope="module")
def media(tmp_path_factory, write_video):
    """Function (name, where): puts a medium there: ann.mp4 at 29.97 and bob.mp4 at 25 fps, both.mp4, a.wav ..."""
    folder = tmp_path_factory.mktemp("media")
    pictures = {name: [face(n, name == "bob") for n in range(FRAMES)] for name in ("ann", "bob")}
    write_video(folder / "ann.mp4", pictures["ann"], rate=30, times=[n * 1001 / 30000 for n in range(FRAMES)])
    write_video(folder / "bob.mp4", pictures["bob"][:50])
    write_video(folder / "loud.mp4", pictures["bob"][:50], sound=voice(3, 48_000))
    write_video(folder / "both.mp4", list(np.concatenate([pictures["ann"], pictures["bob"]], axis=2)[:50]))
    for name, seed in (("a", 1), ("b", 2)):
        soundfile.write(folder / f"{name}.wav", voice(seed, 48_000), 48_000)
    soundfile.write(folder / "two.wav", np.stack([voice(1), voice(2)], 1), 16_000)
    soundfile.write(folder / "two.mp3", np.stack([voice(1, 48_000), voice(2, 48_000)], 1), 48_000)

    def put(name, where):
        where.parent.mkdir(parents=True, exist_ok=True)
        if name is None:
            where.write_bytes(bytes(261))
        else:
            shutil.copyfile(folder / name, where)

    return put


def imported(read, root, tmp_path, **settings):
    """(conversations by name as the build reads them, reasons by name, path of the table)."""
    skip, out = table.Skipped(), tmp_path / "pairs.csv"
    table.write(out, read(root, skip, **settings), skip, "the set", "its licence")
    with open(tmp_path / "pairs.skipped.csv", newline="") as file:
        left = {row["name"]: row["reason"] for row in csv.DictReader(file)}
    return {pair.name: pair for pair in read_pairs(out)}, left, out


def built(out, folder):
    """Metadata of a set built of a table: all of it must be kept."""
    summary = build(out, folder, seconds=1.0, workers=1)
    assert not summary["set_aside"], (folder / "clips.csv").read_text()
    batch = next(batches(folder, batch=1, frames=20))
    assert np.isfinite(batch["avatar_motion"]).all()
    return read_metadata(folder)


def bundle(put, folder, name, video, sound, vad=((0.2, 1.5),), points=True):
    put(video, folder / f"{name}.mp4")
    put(sound, folder / f"{name}.wav")
    labels = {"id": name, "metadata:vad": [{"start": start, "end": end} for start, end in vad]}
    (folder / f"{name}.json").write_text(json.dumps(labels))
    keypoints = np.zeros((FRAMES, 133, 3), np.float32)
    keypoints[:, 23:91, 0], keypoints[:, 23:91, 1] = np.linspace(90, 180, 68), np.linspace(60, 160, 68)
    arrays = {"keypoints": keypoints, "is_valid_box": np.arange(FRAMES) != 3}
    if points:
        np.savez(folder / f"{name}.npz", **{f"boxes_and_keypoints:{key}": array for key, array in arrays.items()})


@pytest.fixture
def interactions(media, tmp_path):
    root = tmp_path / "seamless"
    first, second = (root / "improvised" / "train" / "0012" / name for name in ("0345", "0350"))
    bundle(media, first, "V00_S0644_I00000125_P0299A", "ann.mp4", "a.wav")
    bundle(media, second, "V00_S0644_I00000125_P0300", "bob.mp4", "b.wav")  # in another archive
    bundle(media, first, "V00_S0645_I00000125_P0299A", "ann.mp4", "a.wav")  # alone
    bundle(media, first, "V00_S0646_I00000001_P0001", None, None)  # nothing in it
    bundle(media, first, "V00_S0646_I00000001_P0002", "bob.mp4", "b.wav", vad=())  # silent
    bundle(media, first, "V00_S0647_I00000001_P0001", "ann.mp4", "a.wav")
    (first / "V00_S0647_I00000001_P0001.json").write_text('{"metadata:vad": [')
    bundle(media, first, "strange", "ann.mp4", "a.wav")
    (first.parent / "0351.tar").write_bytes(b"cut off")
    held = root / "improvised" / "dev"
    for person, name, sound in (("P0299A", "ann", "a"), ("P0400", "bob", "b"), ("P0401", "ann", "a")):
        stem = f"V00_S07{person[2:4]}_I00000007_{person}" if person == "P0299A" else f"V00_S0800_I00000007_{person}"
        media(f"{name}.mp4", held / "video" / f"{stem}.mp4")
        media(f"{sound}.wav", held / "audio" / f"{stem}.wav")
    bundle(media, root / "improvised" / "test" / "0000" / "0000", "V00_S1_I1_P1", "ann.mp4", "a.wav")
    return root


def test_seamless(interactions, tmp_path):
    pairs, left, _ = imported(seamless.read, interactions, tmp_path)
    assert {name: pair.split for name, pair in pairs.items()} == {
        "V00_S0644_I00000125": "train", "V00_S0800_I00000007": "eval"
    }  # fmt: skip
    avatar = pairs["V00_S0644_I00000125"].avatar
    assert avatar.person == "seamless_V00_P0299A" and avatar.boxes.path.suffix == ".npz" and avatar.speech
    assert left["V00_S0645_I00000125"] == "its partner is missing"
    assert "empty (261 bytes)" in left["V00_S0646_I00000001_P0001"]
    assert left["V00_S0646_I00000001_P0002"] == "nobody speaks in its labels"
    assert "can't be read" in left["V00_S0647_I00000001_P0001"] and "strange.mp4" in left
    assert left["improvised/train/0012/0351.tar"] == "the archive is not unpacked"
    assert left["improvised/test"] == "it is neither train nor dev"


@pytest.mark.slow
def test_seamless_trains(interactions, tmp_path):
    metadata = built(imported(seamless.read, interactions, tmp_path)[2], tmp_path / "records")
    assert metadata.sets == {"the set": {"licences": ["its licence"], "conversations": 2, "clips": 4}}


@pytest.fixture
def calls(media, tmp_path):
    root, names = tmp_path / "candor", [f"0a2b7ae3-6e4d-4d0f-9f6b-00000000000{n}" for n in range(5)]
    for number, name in enumerate(names):
        folder = (root / "raw_media_part_001" if number % 2 else root) / name / "processed"
        for file, where in (
            ("two.mp3", f"{name}.mp3"),
            ("ann.mp4", f"ann{number}.mp4"),
            ("bob.mp4", f"bob{number}.mp4"),
        ):
            media(file, folder / where)
        (folder / "channel_map.json").write_text(json.dumps({"L": f"ann{number}", "R": f"bob{number}"}))
        turns = folder.parent / "transcription" / "transcript_audiophile.csv"
        turns.parent.mkdir()
        turns.write_text(f"turn_id,speaker,start,stop\n0,ann{number},0.1,1.2\n1,bob{number},1.0,2.0\n")
    (root / names[2] / "processed" / "bob2.mp4").unlink()
    (root / "raw_media_part_001" / names[3] / "processed" / "channel_map.json").write_text('{"L": "ann3"')
    (root / names[4] / "processed" / "channel_map.json").write_text('{"L": "ann4"}')
    return root, names


def test_candor(calls, tmp_path):
    pairs, left, out = imported(candor.read, calls[0], tmp_path)
    assert sorted(pairs) == calls[1][:2]
    user = pairs[calls[1][0]].user
    assert (user.channel, user.person, user.speech.key) == (2, "candor_bob0", "bob0")
    reasons = [left[name] for name in calls[1][2:]]
    assert [reason.partition(" (")[0] for reason in reasons] == [
        "bob2.mp4 is missing", "channel_map.json can't be read", "channel_map.json has no L and R"
    ]  # fmt: skip


@pytest.mark.slow
def test_candor_trains(calls, tmp_path):
    built(imported(candor.read, calls[0], tmp_path)[2], tmp_path / "records")


@pytest.fixture
def talks(media, tmp_path):
    root, voices = tmp_path / "realtalk", tmp_path / "voices"
    for name, people in (
        ("-aBc_dEfGhI", "p0 p1"),
        ("onlyOneSeen", "p0"),
        ("noVoicesYet", "p0 p1"),
        ("brokenBoxes", ""),
    ):
        media("both.mp4", root / "videos" / "videos_00" / f"{name}.avi")
        boxes = {"p0": [90, 50, 180, 170], "p1": [330, 50, 420, 170]}
        frame = {"current_speaker": None, "people": {person: {"bbox": boxes[person]} for person in people.split()}}
        (root / "metadata").mkdir(exist_ok=True)
        (root / "metadata" / f"{name}.json").write_text(
            json.dumps({str(n): frame for n in range(50)}) if people else "{"
        )
        for person, sound in (("p0", "a.wav"), ("p1", "b.wav")) if name != "noVoicesYet" else ():
            media(sound, voices / name / f"{person}.wav")
    return root, voices


def test_realtalk(talks, tmp_path):
    pairs, left, _ = imported(realtalk.read, talks[0], tmp_path, voices=str(talks[1]))
    pair = pairs.pop("realtalk_-aBc_dEfGhI")
    assert not pairs and pair.avatar.video == pair.user.video and pair.user.boxes.key == "p1"
    assert left["onlyOneSeen"] == "boxes of 1 people, two are needed" and left["noVoicesYet"] == "p0.wav is missing"
    assert "can't be read" in left["brokenBoxes"]
    rows = {row["conversation"]: row for row in realtalk.read(talks[0], table.Skipped(), "")}
    assert list(rows) == ["realtalk_-aBc_dEfGhI", "realtalk_noVoicesYet"]
    assert {row[f"{role}_audio"] for row in rows.values() for role in ("avatar", "user")} == {MIXED}


@pytest.mark.slow
def test_realtalk_trains(talks, tmp_path):
    built(imported(realtalk.read, talks[0], tmp_path, voices=str(talks[1]))[2], tmp_path / "records")
    first = json.loads((tmp_path / "records" / "clips" / "realtalk_-aBc_dEfGhI" / "survey.json").read_text())["clips"][
        0
    ]
    assert first["avatar"]["left"] < 150 < 220 < first["user"]["left"]


def test_vico(media, tmp_path):
    published, challenge = tmp_path / "published", tmp_path / "challenge"
    for name, file in (("l1", "ann.mp4"), ("s1", "bob.mp4")):
        media(file, published / "VIDEOS" / f"{name}.mp4")
    media("b.wav", published / "AUDIOS" / "vid_0_9.wav")
    head, lines = "audio,listener,speaker,listener_id,speaker_id,data_split", ["vid_0_9,l1,s1,7,8,train"]
    lines += ["vid_0_9,l1,s1,7,8,test", "gone,l1,s1,7,8,train", "vid_0_9,l1,s1,7,7,train", "vid_0_9,l1,s1,,8,valid"]
    (published / "anno.csv").write_text("\n".join([head, *lines]))
    pairs, left, out = imported(vico.read, published, tmp_path)
    assert pairs["l1"].avatar.sound is None and pairs["l1"].user.person == "vico_8" and SILENT in out.read_text()
    assert left["anno.csv line 3"] == "its split is 'test'" and left["l1"] == "gone.wav is missing"
    assert "both sides" in left["anno.csv line 5"] and "no ids" in left["anno.csv line 6"]
    for role, file in (("listener", "ann.mp4"), ("speaker", "bob.mp4")):
        media(file, challenge / "videos" / f"u-1.{role}.mp4")
    media("b.wav", challenge / "audios" / "u-1.wav")
    (challenge / "train.csv").write_text("video_id,uuid,speaker_id,listener_id\nx,u-1,1,2\n")
    (challenge / "notes.csv").write_text("something,else\n1,2\n")
    pairs, left, _ = imported(vico.read, challenge, tmp_path)
    assert [pair.split for pair in pairs.values()] == ["train"] and left["notes.csv"] == "it is no table of ViCo"


@pytest.mark.slow
def test_vico_trains(media, tmp_path):
    test_vico(media, tmp_path)
    built(tmp_path / "pairs.csv", tmp_path / "records")


@pytest.fixture
def sessions(media, tmp_path):
    root = tmp_path / "udiva"
    for split, session, task in (
        ("train", "001080", "talk"),
        ("val", "2", "lego"),
        ("train", "3", "ghost"),
        ("test", "4", "talk"),
    ):
        folder = root / split / "recordings" / f"{task}_recordings_{split}" / session
        for camera in ("FC1", "FC2")[: 1 if session == "3" else 2]:
            media("loud.mp4", folder / f"{camera}_{task[0].upper()}.mp4")
    (root / "metadata").mkdir()
    (root / "metadata" / "sessions.csv").write_text("ID,PART.1,PART.2\n1080,11,12\n000002,13,14\n3,15,16\n")
    return root


def test_udiva(sessions, tmp_path):
    pairs, left, _ = imported(udiva.read, sessions, tmp_path)
    assert {name: pair.split for name, pair in pairs.items()} == {"001080_talk": "train", "2_lego": "eval"}
    side = pairs["001080_talk"].user
    assert (side.channel, side.person, side.video.name) == (2, "udiva_12", "FC2_T.mp4")
    assert left["3_ghost"] == "FC2_G.mp4 is missing" and "neither" in left["test/recordings/talk_recordings_test/4"]


@pytest.fixture
def dialogues(media, tmp_path):
    root = tmp_path / "iemocap"
    for name in ("Ses01F_impro01", "Ses01M_script02_1", "Ses02F_impro01", "odd"):
        dialog = root / f"Session{2 if '2F' in name else 1}" / "dialog"
        media("both.mp4", dialog / "avi" / "DivX" / f"{name}.avi")
        if "2F" not in name:
            media("two.wav", dialog / "wav" / f"{name}.wav")
    return root


def test_iemocap(dialogues, tmp_path):
    pairs, left, _ = imported(iemocap.read, dialogues, tmp_path)
    first, second = pairs["Ses01F_impro01"], pairs["Ses01M_script02_1"]
    assert (first.avatar.person, first.avatar.half, first.avatar.channel) == ("iemocap_Ses01M", "right", 2)
    assert (second.avatar.person, second.avatar.half, second.avatar.channel) == ("iemocap_Ses01F", "left", 1)
    assert left == {"Ses02F_impro01": "Ses02F_impro01.wav is missing", "odd": left["odd"]}
    assert imported(iemocap.read, dialogues, tmp_path, left="other")[0]["Ses01F_impro01"].avatar.half == "left"


@pytest.mark.slow
def test_iemocap_trains(dialogues, tmp_path):
    built(imported(iemocap.read, dialogues, tmp_path)[2], tmp_path / "records")


def coefficients(folder, name, frames, seed=0, width=50):
    rng = np.random.default_rng(seed)
    for n in (1, 2):
        np.savez(
            folder / f"{name}_speaker{n}.npz", exp=rng.standard_normal((frames, width)), pose=rng.random((frames, 6))
        )
        soundfile.write(folder / f"{name}_speaker{n}.wav", np.resize(voice(2 * seed + n), frames * 640), 16_000)


def test_dualtalk(tmp_path):
    root = tmp_path / "dualtalk"
    for split in ("train", "test", "ood"):
        (root / split).mkdir(parents=True)
    coefficients(root / "train", "abc_sub_video_1_000", 130)
    coefficients(root / "train", "short", 30, 1)
    coefficients(root / "train", "wide", 130, 2, width=100)
    coefficients(root / "train", "zbroken", 130, 3)
    (root / "train" / "zbroken_speaker2.npz").write_bytes(bytes(4000))
    coefficients(root / "test", "other", 60, 4)
    (root / "test" / "lone_speaker1.npz").write_bytes(bytes(4000))
    found = dualtalk.build(root, tmp_path / "records", seconds=2.0)
    assert found["clips"] == {"train": 2, "eval": 1}
    left = dict(found["skipped"].lines)
    assert left["ood"] == "it is neither train nor test" and "shorter" in left["short"] and "others" in left["wide"]
    assert "can't be read" in left["zbroken"] and "missing" in left["lone"]
    metadata = read_metadata(tmp_path / "records")
    assert (
        len(metadata.channels) == 56 and metadata.channels[-1] == "pose_5" and metadata.sets["DualTalk"]["clips"] == 3
    )
    batch = next(batches(tmp_path / "records", batch=2, frames=50, swap=0.5))
    with np.load(root / "train" / "abc_sub_video_1_000_speaker1.npz") as stored:
        wanted = np.concatenate([stored["exp"], stored["pose"]], 1).astype(np.float32)
    everyone = [clip.avatar_motion for clip in read_split(tmp_path / "records", "train")]
    np.testing.assert_array_equal(np.concatenate(everyone), wanted[:100])
    assert batch["avatar_motion"].shape == (2, 50, 56)


def test_nobody_is_in_two_splits_and_nothing_at_all_is_one_line(tmp_path):
    def row(name, split, user):
        people = {"avatar_person": f"a{name}", "user_person": user, "avatar_video": "a.mp4", "user_video": "b.mp4"}
        return {"conversation": name, "split": split} | people

    skip = table.Skipped()
    rows = [row("one", "train", "bob"), row("two", "eval", "bob"), row("three", "eval", "cy")]
    assert table.write(tmp_path / "p.csv", rows, skip, "s", "l")["conversations"] == {"train": 1, "eval": 1}
    assert skip.lines == [("two", "bob is in train as well")]
    with pytest.raises(InputError, match="no conversation of s was found, 1 were left out"):
        table.write(tmp_path / "q.csv", [], skip, "s", "l")


def test_names_are_made_of_anything():
    taken = set()
    assert [table.name_of(text, taken) for text in ("ä b", "ä b", "-x", "Q" * 99)] == ["__b", "__b-2", "_-x", "Q" * 70]


@pytest.mark.parametrize(("name", "further"), [("candor", []), ("dualtalk", []), ("realtalk", ["--voices=."])])
def test_an_importer_is_a_program(tmp_path, name, further):
    command = [sys.executable, "-m", f"data_pipeline.sets.{name}", f"--out={tmp_path}/out.csv"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = [
        subprocess.run([*command, *arguments, *further], capture_output=True, text=True, cwd=tmp_path, env=environment)
        for arguments in ([], [f"--root={tmp_path}"])
    ]
    assert [each.returncode for each in done] == [2, 2]
    assert "--root is missing" in done[0].stderr and done[1].stderr.count("\n") == 1
