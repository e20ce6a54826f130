"""A live conversation on a clock that moves only when somebody sleeps or computes: latencies with known answers."""

import dataclasses

import numpy as np
import pytest

from afjax.codec.face.channels import channel
from afjax.config import Config
from experiments.live import call, call_benchmark

SMILE = channel("smile")
FPS = 25


class Clock:
    def __init__(self):
        self.time = 100.0

    def perf_counter(self) -> float:
        return self.time

    def sleep(self, seconds: float):
        self.time += max(seconds, 1e-4)


class Face:
    """Finds a neutral face in every picture; takes some time."""

    def __init__(self, clock, seconds=0.0):
        self.clock, self.seconds = clock, seconds

    def step(self, picture):
        self.clock.time += self.seconds
        return np.zeros(15, np.float32)


class Counting(Face):
    """Tells which picture it sees."""

    def step(self, picture):
        return super().step(picture) + picture[0, 0, 0]


class Engine:
    """An avatar that does what its user does, frame by frame."""

    sessions, seconds = 2, 0.01

    def __init__(self, clock, block, delay):
        layout = dataclasses.replace(Config().layout, block=block, look_ahead=0, user_delay=delay)
        self.config = dataclasses.replace(Config(), layout=layout, data=dataclasses.replace(Config().data, window=50))
        self.clock, self.taken, self.given = clock, [], []

    def join(self):
        return 0

    def fork(self, slot):
        self.taken.append(1)
        return 1

    def leave(self, slot):
        pass

    def step(self, given):
        self.clock.time += self.seconds
        self.given.append(given.user_motion.copy())
        return given.user_motion.copy()


class Screen:
    def __init__(self, clock):
        self.clock = clock

    def show(self, motion):
        self.clock.time += 0.02
        yield motion


def scene_of(events):
    sound = np.zeros(16000, np.float32)
    pictures = np.arange(1000, dtype=np.float32)[:, None, None, None] * np.ones((2, 2, 3), np.float32)
    return call.Scene(pictures, sound, sound + 1, events)


def talk(block, delay, events, track=0.0, headroom=0.1, seconds=6.0, face=Face, rows=None):
    """The conversation, and in `given` the user's motion of both slots in every block, `[blocks, 2, block, 15]`."""
    clock = Clock()
    smile = np.eye(15, dtype=np.float32)[SMILE]
    scene = scene_of([call.Event(time, rows or [smile] * (block + 10)) for time in events])
    engine = Engine(clock, block, delay)
    found = call.Conversation(engine, scene, Screen(clock), headroom, face(clock, track), clock)
    found.run(seconds)
    found.given = np.stack(engine.given)
    return found


@pytest.mark.parametrize(("block", "delay"), [(5, 5), (10, 0), (10, 5), (2, 2)])
def test_an_echo_is_seen_after_delay_offset_and_headroom(block, delay):
    times = [1.013, 3.27]
    found = talk(block, delay, times)
    assert found.playout.late_blocks == 0 and found.playout.blocks >= 6 * FPS // block - 2
    behind = max(block - delay, 0) / FPS
    assert found.playout.offset == pytest.approx(behind + 0.1)
    reactions, curves = call_benchmark.reactions_of(found, np.full(15, 0.1))
    for time, entry in zip(times, reactions, strict=True):
        frame = int(time * FPS) + delay  # the avatar's frame that shows what the user's frame showed
        assert entry["channel"] == "smile" and entry["frame"] == frame
        assert entry["latency"] == pytest.approx(behind + 0.1 + frame / FPS - time, abs=1e-6)
    assert len(curves) == 2


def test_a_stall_delays_what_comes_after_it_only(monkeypatch):
    def latencies(found):
        return [entry["latency"] for entry in call_benchmark.reactions_of(found, np.full(15, 0.1))[0]]

    before, plain = latencies(talk(5, 5, [1.013, 4.513])), Engine.step

    def stalls(engine, given):
        engine.clock.time += 1.0 if 103 < engine.clock.time < 103.2 else 0.0
        return plain(engine, given)

    monkeypatch.setattr(Engine, "step", stalls)
    found = talk(5, 5, [1.013, 4.513])
    assert found.counts.rebased == 1 and found.playout.offset > 0.8
    after = latencies(found)
    assert after[0] == pytest.approx(before[0])
    # the clock was moved by whole frames to where the user is: the avatar answers as soon as it did
    assert after[1] == pytest.approx(before[1], abs=2 / FPS + 1e-6)


def test_slow_work_makes_blocks_late():
    assert talk(5, 5, [], headroom=0.035).playout.late_blocks == 0
    assert talk(5, 5, [], headroom=0.025).playout.late_blocks > 10


@pytest.mark.parametrize(("block", "delay"), [(5, 5), (10, 0), (10, 5), (5, 2)])
def test_every_block_reads_its_newest_frame(block, delay):
    """Rows are frame numbers: in a machine that keeps up a block reads all of its own."""
    found = talk(block, delay, [], track=0.012, seconds=20.0, face=Counting)
    assert found.skipped == found.counts.late == found.counts.held == 0
    told = np.concatenate(found.given[:, 0, :, 0])
    assert len(told) >= 480
    np.testing.assert_array_equal(told[20:], np.arange(20, len(told)) - delay)  # it fades in at first


@pytest.mark.parametrize("delay", [5, 2])
def test_a_camera_that_piles_up_holds_no_block_up(delay):
    """Tracking takes longer than a frame: a block waits for the frame that is being tracked and for the newest one."""
    rows = [np.full(15, -1.0 - n, np.float32) for n in range(15)]
    found = talk(5, delay, [1.013], track=0.05, headroom=2 * 0.05 + 0.03 + 0.005, face=Counting, rows=rows)
    assert found.playout.late_blocks == 0 and found.counts.rebased == found.counts.late == 0
    assert found.skipped > 20 and found.counts.held >= found.skipped
    assert len(found.tracked) + found.skipped >= 6 * FPS - 5  # the rest waits at the end
    for block in found.blocks[2:]:
        (read,) = (done for frame, _, done in found.tracked if frame == block["first"] + 5 - delay - 1)
        assert read <= block["taken"]
    base, other = np.concatenate(found.given[:, :, :, 0], axis=1)
    assert (other < 0).sum() >= 10
    np.testing.assert_array_equal(-1 - other[other < 0], base[other < 0] - 25)  # row n is of frame 25 + n


def test_a_stall_is_followed_by_what_the_user_does_then(monkeypatch):
    plain = Engine.step

    def stalls(engine, given):
        engine.clock.time += 1.0 if 103 < engine.clock.time < 103.2 else 0.0
        return plain(engine, given)

    monkeypatch.setattr(Engine, "step", stalls)
    found = talk(5, 5, [], track=0.015, face=Counting)
    assert found.counts.rebased == 1 and found.counts.late == 0
    moved = next(n for n, block in enumerate(found.blocks) if block["taken"] > 4)
    fades = 0.2 * FPS  # a face that comes back
    for block, told in zip(found.blocks[moved : moved + 5], found.given[moved : moved + 5, 0, -1, 0], strict=True):
        now = block["taken"] * FPS
        assert now - 3 <= told <= now or (block is found.blocks[moved] and told >= (now - 3) / fades)


def test_every_arrival_and_delivery_is_noted():
    found = talk(5, 5, [1.0], track=0.003)
    frames = [frame for frame, _, _ in found.tracked]
    assert frames == list(range(len(frames))) and len(frames) >= 148
    assert all(done - arrived >= 0.003 - 1e-9 for _, arrived, done in found.tracked)
    for block in found.blocks:
        assert block["due"] <= block["taken"] <= block["computed"] <= block["parts"][-1][1]
        assert sum(count for count, _ in block["parts"]) == 5


@pytest.mark.parametrize(("block", "delay"), [(5, 5), (10, 0), (50, 0)])
def test_the_trial_counts_what_blocks_wait_for(block, delay):
    """10 ms for the step, 20 for the first picture, and 15 for a frame that arrived with the block's last one."""
    clock = Clock()
    smiling = [call.Event(0.5, [])]
    engine, face = Engine(clock, block, delay), Face(clock, 0.015)
    headroom = call.calibrate(engine, scene_of(smiling), Screen(clock), 6, face, clock)
    assert not engine.taken, "a trial has no events"
    assert 1.5 * 0.03 <= headroom <= 1.5 * (0.03 + 0.015 + 0.005)
    found = talk(block, delay, [], track=0.015, headroom=headroom, seconds=12.0)
    assert found.playout.late_blocks == 0 and found.playout.blocks >= 5
