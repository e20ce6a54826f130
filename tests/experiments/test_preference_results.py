"""Answers in, shares out; whatever is wrong with a file is said in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from afjax.errors import InputError
from afjax.metrics.preference_votes import QUESTIONS
from experiments.preferences import answers

ROOT = Path(__file__).resolve().parents[2]
KEY = {
    "study": "s1",
    "seed": 3,
    "a": "/out/ours",
    "b": "/out/theirs",
    "pairs": {"p1": {"name": "one.mp4", "a": "v1", "b": "v2"}, "p2": {"name": "two.mp4", "a": "v3", "b": "v4"}},
}


def entry(pair="p1", question="overall", left="v1", right="v2", choice="left"):
    return {"pair": pair, "question": question, "left": left, "right": right, "choice": choice}


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def sent(name="anna", *entries, study="s1"):
    return {"study": study, "participant": name, "answers": list(entries)}


@pytest.fixture
def key(tmp_path):
    return answers.read_key(write(tmp_path / "key.json", KEY))


def test_sides_become_systems(key, tmp_path):
    folder = tmp_path / "answers"
    folder.mkdir()
    write(folder / "1.json", sent("anna", entry(), entry("p2", left="v4", right="v3")))
    write(folder / "2.json", sent("ben", entry(left="v2", right="v1", choice="right"), entry(question=QUESTIONS[0])))
    write(folder / "3.json", sent("cem", entry(choice="tie")))
    people = answers.read_all(folder, key)
    assert [one.participant for one in people] == ["anna", "ben", "cem"]
    assert answers.array(people, key, "overall").tolist() == [[0, 2], [0, -1], [1, -1]]
    found = answers.measure(people, key)
    assert (found["participants"], found["pairs"], found["answers"], found["missing"]) == (3, 2, 5, 25)
    assert found["left_share"] == 0.75
    assert found["questions"]["overall"]["counts"] == {"a": 2, "tie": 1, "b": 1}
    assert found["by_pair"]["two.mp4"]["overall"] == {"a": 0, "tie": 0, "b": 1}
    table = answers.markdown(found)
    assert "| overall | 50.0 [" in table and "| 2 : 1 | 1 |" in table and "A is /out/ours, B is /out/theirs" in table
    widths = {line.count("|") for line in table.splitlines() if line.startswith("|")}
    assert widths == {9}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not a JSON file"),
        ("[" * 100_000, "not a JSON file"),
        ("[]", "no text under 'participant'"),
        ({**sent("anna", entry()), "participant": 3}, "no text under 'participant'"),
        (sent("anna", entry(), study="s2"), "answers of study s2, the key is of s1"),
        (sent("anna"), "no answers in it"),
        (sent("anna", "left"), "no text under 'pair'"),
        (sent("anna", entry(pair="p9")), "unknown pair 'p9'"),
        (sent("anna", entry(question="beauty")), "unknown question 'beauty'"),
        (sent("anna", entry(choice="a")), "unknown choice 'a'"),
        (sent("anna", entry(left="v9")), "videos 'v9' and 'v2' are not those of pair 'p1'"),
        (sent("anna", entry(left="v2")), "videos 'v2' and 'v2' are not those of pair 'p1'"),
        (sent("anna", entry(), entry(choice="right")), "two answers to overall of pair 'p1'"),
    ],
)
def test_broken_answers(key, tmp_path, content, said):
    path = write(tmp_path / "answers-anna.json", content)
    with pytest.raises(InputError, match="answers-anna.json") as error:
        answers.read_answers(path, key)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", ["{", {}, {**KEY, "pairs": {}}, {**KEY, "pairs": {"p": {"name": "n"}}}, {**KEY, "pairs": []}]
)
def test_broken_key(tmp_path, content):
    with pytest.raises(InputError, match="key.json"):
        answers.read_key(write(tmp_path / "key.json", content))


def test_folder_of_answers(key, tmp_path):
    folder = tmp_path / "answers"
    with pytest.raises(InputError, match="no such folder"):
        answers.read_all(folder, key)
    folder.mkdir()
    with pytest.raises(InputError, match="no .json file"):
        answers.read_all(folder, key)
    for name in ("a.json", "a (1).json"):
        write(folder / name, sent("anna", entry()))
    with pytest.raises(InputError, match=r"a.json: participant 'anna' is also in a \(1\).json; keep one"):
        answers.read_all(folder, key)


def test_command(tmp_path):
    folder, out = tmp_path / "answers", tmp_path / "results"
    folder.mkdir()
    key = write(tmp_path / "key.json", KEY)
    write(folder / "answers-anna.json", sent("anna", entry()))
    command = [sys.executable, "-m", "experiments.preference_results"]
    command += ["--key", key, "--answers", folder, "--out", out]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and "100.0 [" in done.stdout
    assert sorted(os.listdir(out)) == ["results.json", "results.md"]
    shares = {name: q["shares"]["a"] for name, q in json.loads((out / "results.json").read_text())["questions"].items()}
    assert shares["overall"]["mean"] == 1.0
    assert shares["reactiveness"] == {"mean": None, "low": None, "high": None, "n": 0}
