"""A live conversation on a clock that moves only when somebody sleeps or computes: latencies with known answers."""

import dataclasses

import numpy as np
import pytest

from afjax.codec.face.channels import channel
from afjax.config import Config
from experiments import live_benchmark, realtime

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


class Engine:
    """An avatar that does what its user does, frame by frame."""

    sessions, seconds = 2, 0.01

    def __init__(self, clock, block, delay):
        layout = dataclasses.replace(Config().layout, block=block, look_ahead=0, user_delay=delay)
        self.config = dataclasses.replace(Config(), layout=layout, data=dataclasses.replace(Config().data, window=50))
        self.clock, self.taken = clock, []

    def join(self):
        return 0

    def fork(self, slot):
        self.taken.append(1)
        return 1

    def leave(self, slot):
        pass

    def step(self, given):
        self.clock.time += self.seconds
        return given.user_motion.copy()


class Screen:
    def __init__(self, clock):
        self.clock = clock

    def show(self, motion):
        self.clock.time += 0.02
        yield motion


def scene_of(events):
    sound = np.zeros(16000, np.float32)
    return realtime.Scene(np.zeros((7, 2, 2, 3), np.uint8), sound, sound + 1, events)


def talk(block, delay, events, track=0.0, headroom=0.1, seconds=6.0):
    clock = Clock()
    smile = np.eye(15, dtype=np.float32)[SMILE]
    scene = scene_of([realtime.Event(time, [smile] * (block + 10)) for time in events])
    engine = Engine(clock, block, delay)
    found = realtime.Conversation(engine, scene, Screen(clock), headroom, Face(clock, track), clock)
    found.run(seconds)
    return found


@pytest.mark.parametrize(("block", "delay"), [(5, 5), (10, 0), (10, 5), (2, 2)])
def test_an_echo_is_seen_after_delay_offset_and_headroom(block, delay):
    times = [1.013, 3.27]
    found = talk(block, delay, times)
    assert found.playout.late_blocks == 0 and found.playout.blocks >= 6 * FPS // block - 2
    behind = max(block - delay, 0) / FPS
    assert found.playout.offset == pytest.approx(behind + 0.1)
    reactions, curves = live_benchmark.reactions_of(found, np.full(15, 0.1))
    for time, entry in zip(times, reactions, strict=True):
        frame = int(time * FPS) + delay  # the avatar's frame that shows what the user's frame showed
        assert entry["channel"] == "smile" and entry["frame"] == frame
        assert entry["latency"] == pytest.approx(behind + 0.1 + frame / FPS - time, abs=1e-6)
    assert len(curves) == 2


def test_a_stall_delays_what_comes_after_it_only(monkeypatch):
    def latencies(found):
        return [entry["latency"] for entry in live_benchmark.reactions_of(found, np.full(15, 0.1))[0]]

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


def test_a_camera_that_piles_up_holds_no_block_up():
    """Tracking takes longer than a frame: a block waits for the frame that is being tracked and for the newest one."""
    found = talk(5, 5, [1.013], track=0.05, headroom=2 * 0.05 + 0.03 + 0.005)
    assert found.playout.late_blocks == 0 and found.counts.rebased == 0
    assert found.skipped > 20 and found.counts.held >= found.skipped
    assert len(found.tracked) + found.skipped >= 6 * FPS - 5  # the rest waits at the end
    for block in found.blocks:
        read = [done for frame, _, done in found.tracked if frame == block["first"] - 1]
        assert not read or read[0] <= block["taken"], "the newest frame was not tracked before its block"
    (entry,) = live_benchmark.reactions_of(found, np.full(15, 0.1))[0]
    assert entry["frame"] - int(1.013 * FPS) in range(5, 5 + 5), "the twin's frames went by as they did for all others"


def test_pictures_that_are_shown_later_wait_for_the_camera(monkeypatch):
    def show(screen, motion):
        for start in range(0, 10, 2):
            screen.clock.time += 0.04
            yield motion[start : start + 2]

    monkeypatch.setattr(Screen, "show", show)
    found = talk(10, 10, [], track=0.012, headroom=0.1)
    assert found.playout.late_blocks == 0 and found.skipped == 0
    tracked = [done for _, _, done in found.tracked]
    between = [sum(block["computed"] < time < block["parts"][-1][1] for time in tracked) for block in found.blocks[1:]]
    assert min(between) >= 1


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
    smiling = [realtime.Event(0.5, [])]
    engine, face = Engine(clock, block, delay), Face(clock, 0.015)
    headroom = realtime.calibrate(engine, scene_of(smiling), Screen(clock), 6, face, clock)
    assert not engine.taken, "a trial has no events"
    assert 1.5 * 0.03 <= headroom <= 1.5 * (0.03 + 0.015 + 0.005)
    found = talk(block, delay, [], track=0.015, headroom=headroom, seconds=12.0)
    assert found.playout.late_blocks == 0 and found.playout.blocks >= 5
