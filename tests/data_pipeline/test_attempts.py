"""Attempts at a conversation: counted, taken over, published once; `prepare` is replaced."""

import json

import pytest

from data_pipeline.recorded import attempts
from data_pipeline.recorded.pairs import Pair, Side
from data_pipeline.recorded.prepare import read_json, source_of


@pytest.fixture
def pair(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.mp4").write_bytes(bytes(200_000) + name.encode())
    return Pair("pair", *(Side(tmp_path / f"{name}.mp4", "", tmp_path / f"{name}.mp4", 0, name) for name in "ab"), "")


@pytest.fixture
def work(monkeypatch):
    """Function: what `prepare` does beside leaving a result of one clip; None: nothing."""
    done = {}

    def prepare(pair, folder, length, codec, name, say, options):
        (folder / "survey.json").write_text("{}")
        if (found := done.get("do")) is not None:
            found(folder)
        for kind in ("npz", "json"):
            (folder / f"0000.{kind}").write_text("{}")
        result = {"source": source_of(pair, length, name), "reason": "", "lines": [], "warnings": []}
        (folder / "result.json").write_text(json.dumps(result))
        return result

    monkeypatch.setattr(attempts, "prepare", prepare)
    return lambda do: done.update(do=do)


def attempt(pair, out):
    return attempts.attempt(pair, out, 100, None, say=lambda line: None)


def died(pair, out, count):
    """Attempts of which nothing is left but their folder and a survey."""
    for _ in range(count):
        tries = out / "attempts" / "pair" / source_of(pair, 100, "face")[:16]
        folder = attempts._begin(tries)[2]
        (folder / "survey.json").write_text('{"by": "one that died"}')


def test_three_attempts_that_died_set_it_aside_and_it_stays_there(pair, work, tmp_path):
    died(pair, tmp_path / "out", 2)
    assert attempt(pair, tmp_path / "out")["attempts"] == 3
    died(pair, tmp_path / "aside", 3)
    work(lambda folder: pytest.fail("it was tried again"))
    for _ in range(2):
        found = attempt(pair, tmp_path / "aside")
        assert found["reason"] == "the process that reads it died in 3 attempts" and found["lines"] == []


def test_the_last_attempt_may_have_died_with_its_build(pair, work, tmp_path):
    for count in (3, 1, 1):
        died(pair, tmp_path, count)
        attempts.forgive(tmp_path)
    assert attempt(pair, tmp_path / "none")["attempts"] == 1
    died(pair, tmp_path, 1)  # the sixth, of which three are forgiven
    attempts.forgive(tmp_path)
    found = attempt(pair, tmp_path)
    assert found["attempts"] == 6 and "died in 3 attempts" in found["reason"]


def test_a_changed_file_has_attempts_of_its_own(pair, work, tmp_path):
    died(pair, tmp_path / "out", 3)
    pair.user.video.write_bytes(b"repaired")
    assert attempt(pair, tmp_path / "out")["attempts"] == 1


def test_attempts_that_end_by_themselves_are_not_counted(pair, work, tmp_path):
    def interrupted(folder):
        raise KeyboardInterrupt

    work(interrupted)
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            attempt(pair, tmp_path)
    work(None)
    assert attempt(pair, tmp_path)["attempts"] == 6


def test_what_earlier_attempts_finished_is_taken_over(pair, work, tmp_path):
    died(pair, tmp_path, 1)
    first = next((tmp_path / "attempts").rglob("survey.json")).parent
    for name in ("0000.npz", "0000.json", "0001.npz", ".0001.7.partial.npz", "voice-user.wav"):  # 1: no line
        (first / name).write_text("whole")
    work(lambda folder: found.extend(sorted(path.name for path in folder.iterdir())))
    found = []
    attempt(pair, tmp_path)
    assert found == ["0000.json", "0000.npz", "survey.json", "voice-user.wav"]


def test_of_two_at_once_the_first_to_end_is_published(pair, work, tmp_path):
    def meanwhile(folder):
        work(None)
        assert attempt(pair, tmp_path)["attempts"] == 2

    work(meanwhile)
    assert attempt(pair, tmp_path)["attempts"] == 2
    assert read_json(tmp_path / "clips" / "pair" / "result.json")["attempts"] == 2
    assert [path.name for path in (tmp_path / "clips").iterdir()] == ["pair"]


def test_a_result_of_other_files_gives_way(pair, work, tmp_path):
    attempt(pair, tmp_path)
    (tmp_path / "clips" / "pair" / "0007.npz").touch()
    pair.user.video.write_bytes(b"another one")
    attempt(pair, tmp_path)
    assert sorted(path.name for path in (tmp_path / "clips" / "pair").iterdir()) == [
        "0000.json", "0000.npz", "result.json", "survey.json",
    ]  # fmt: skip


def test_a_copy_is_the_same_source_and_a_change_anywhere_is_not(pair, tmp_path):
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(pair.user.video.read_bytes())
    other = Pair("pair", pair.avatar, Side(copy, "", copy, 0, "b"), "")
    assert source_of(pair, 100, "face") == source_of(other, 100, "face") != source_of(pair, 99, "face")
    for place in (0, 100_000, 200_000):
        changed = bytearray(pair.user.video.read_bytes())
        changed[place] ^= 1
        copy.write_bytes(changed)
        assert source_of(other, 100, "face") != source_of(pair, 100, "face")
