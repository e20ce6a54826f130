"""Processor time by stage: what is nested counts once, programs that were run count too."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from afjax.errors import InputError
from data_pipeline.recorded import costs
from data_pipeline.recorded.metering import OTHER, metered, stage, staged

ROOT = Path(__file__).resolve().parents[2]
BURN = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass"


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def frames():
    for _ in range(3):
        burn(0.05)
        yield 1


def test_stages_add_up_to_the_whole():
    begun = time.process_time()
    with metered() as seconds:
        burn(0.1)
        with stage("motion"):
            for _ in staged("decoding", frames()):
                burn(0.1)
        time.sleep(0.3)  # waiting costs nothing
    whole = time.process_time() - begun
    assert seconds["motion"] == pytest.approx(0.3, abs=0.06) and seconds["decoding"] == pytest.approx(0.15, abs=0.06)
    assert seconds[OTHER] == pytest.approx(0.1, abs=0.06) and sum(seconds.values()) == pytest.approx(whole, abs=0.02)


def test_a_program_s_time_is_its_stage_s_and_an_error_ends_a_stage():
    with metered() as seconds:
        with pytest.raises(ValueError), stage("separating voices"):
            subprocess.run([sys.executable, "-c", BURN.format(0.3)], check=True)
            raise ValueError
        burn(0.05)
    assert 0.3 < seconds["separating voices"] < 1.5 and seconds[OTHER] < 0.2


def test_core_minutes_are_of_an_hour_of_conversation(tmp_path):
    costs.note(tmp_path, "a", {"clips: motion": 60.0, OTHER: 6.0}, 1800)
    costs.note(tmp_path, "b", {"clips: motion": 60.0, "identity": 30.0}, 1800)
    costs.note(tmp_path, "b", {OTHER: 0.1}, 1800)  # found its work done
    costs.note(tmp_path, "c", {"clips: motion": 900.0}, 1800, attempts=2)
    costs.note(tmp_path, "train-0", {costs.RECORDS: 30.0}, 900)
    with (tmp_path / costs.COSTS).open("a") as file:
        file.write('{"job": "torn')
    found = costs.summed(tmp_path)
    assert found["minutes"] == pytest.approx({"clips: motion": 2, "identity": 0.5, costs.RECORDS: 2, OTHER: 0.1})
    assert list(found["minutes"]) == ["clips: motion", "identity", costs.RECORDS, OTHER]
    assert found["hours"] == 1 and found["left_out"] == 1
    costs.note(tmp_path, "a", {"clips: motion": 120.0}, 1800)  # made again
    assert costs.summed(tmp_path)["minutes"]["clips: motion"] == 3
    with pytest.raises(InputError, match="no build has noted its cost"):
        costs.summed(tmp_path / "nowhere")


def test_the_command_prints_the_table_and_names_what_is_missing(tmp_path):
    costs.note(tmp_path, "a", {"clips: motion": 60.0, OTHER: 20.0}, 3600)

    def told(*more):
        return subprocess.run(
            [sys.executable, "-m", "data_pipeline.cost", *more], capture_output=True, text=True, cwd=ROOT
        )

    lines = [line.split() for line in told(f"--data={tmp_path}").stdout.splitlines()]
    assert ["clips:", "motion", "1.00", "75.0%"] in lines and ["all", "1.33", "100.0%"] in lines
    for done, said in ((told(), "--data is missing"), (told(f"--data={ROOT}"), "no build has noted")):
        assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1
