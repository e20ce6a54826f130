"""Measurement of one live conversation, which `experiments.benchmark` makes per model."""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from afjax import files
from afjax.audio.framing import FPS
from afjax.codec.face.channels import CHANNELS, USUAL_HIGH, channel
from afjax.codec.face.codec import FaceCodec
from afjax.codec.face.track.live_tracker import LiveFace
from afjax.config import Config, to_dict
from afjax.diffusion.guidance import guidance_branches
from afjax.errors import InputError
from afjax.streaming import latency, live_step
from afjax.streaming.latency import percentiles
from data_pipeline.records import read_split
from data_pipeline.simulate.portrait.draw import paint_portrait
from experiments import cli
from experiments.evaluation.reaction_lag import RESPONSE, calm
from experiments.live import call, device
from experiments.live.systems import CLIPS, SystemUnderTest
from experiments.report import waterfall
from experiments.report.conversation_video import AVATAR, USER

__all__ = ["measure"]

QUIET = 8.0
"""Seconds before the first event, in which the tracker learns the user's resting face."""
TRIAL = 20
"""Seconds of the trial conversation that sets the play-out clock, if they hold five blocks."""


def measure(subject: SystemUnderTest, data: Path, out: Path, seconds: float, events: int, size: int) -> dict[str, Any]:
    """Measures one model and writes `times.jsonl` and `waterfall.png`; returns its summary."""
    config = subject.config
    clock = time.perf_counter()
    engine = subject.engine(2)
    compiled = time.perf_counter() - clock
    with cli.quiet():
        scene = make_scene(data, config.layout.block, events, size)
        screen = call.Screen(FaceCodec(size=size).identity(paint_portrait(AVATAR)))
        headroom = call.calibrate(engine, scene, screen, max(TRIAL * FPS // config.layout.block, 5))
        talk = call.Conversation(engine, scene, screen, headroom)
        seconds = max(seconds, scene.events[-1].time + (4 * config.layout.block + RESPONSE) / FPS)
        print(f"{config.name}: a conversation of {seconds:.0f} s")
        talk.run(seconds)
    reactions, curves = reactions_of(talk, subject.deviation)
    _write_times(out / "times.jsonl", talk, reactions)
    waterfall.plot(out / "waterfall.png", talk)
    return {
        "setting": _setting(config, size),
        "device": device.device(),
        "jax": jax.__version__,
        "seconds": seconds,
        "blocks": talk.playout.blocks,
        "late_blocks": talk.playout.late_blocks,
        "slack_ms": {"min": 1000 * min(talk.playout.slack), "p50": 1000 * float(np.median(talk.playout.slack))},
        "algorithmic_ms": latency.algorithmic(config.layout),
        "headroom_ms": 1000 * headroom,
        "offset_ms": 1000 * talk.playout.offset,
        "compute_ms": compute_of(talk),
        "reaction_latency_ms": percentiles([1000 * r["latency"] for r in reactions if r["latency"] is not None]),
        "unseen_events": sum(r["latency"] is None for r in reactions),
        "channels": sorted({r["channel"] for r in reactions if r["latency"] is not None}),
        "visible_reaction_ms": _ms(latency.half_peak(curves)),
        "visible_channel": "smile",
        "skipped_user_frames": talk.skipped,
        "session": vars(talk.counts),
        "compile_seconds": compiled,
        "cold_start_seconds": cold_start(subject),
        "sessions_at_real_time": capacity(subject),
    }


def make_scene(data: Path, block: int, events: int, size: int) -> call.Scene:
    """The user's side of some held-out conversations, with smiles added where the user does not smile."""
    clips = [clip for clip, _ in zip(read_split(data, "eval"), range(CLIPS), strict=False)]
    if not clips or clips[0].user_wave is None:
        raise InputError("it has no held-out conversations with sound", data)
    codec = FaceCodec(size=size)
    face = codec.identity(paint_portrait(USER))
    motion = np.concatenate([clip.user_motion for clip in clips]).astype(np.float32)
    voices = [
        np.concatenate([getattr(clip, side) for clip in clips]).astype(np.float32) / 32768
        for side in ("user_features", "avatar_features")
    ]
    pictures, length = codec.render(face, motion), block + RESPONSE
    made, tracker, seen = [], LiveFace(), 0
    with cli.Progress(events, "draw and track", "events") as progress:
        for start in smile_frames(_calm_in_turns(motion), block, events, data):
            while seen < int(start):
                tracker.step(pictures[seen % len(pictures)])
                seen += 1
            smiling = motion[(seen + np.arange(length)) % len(motion)].copy()
            smiling[:, channel("smile")] = USUAL_HIGH[channel("smile")]
            other = tracker.fork()
            made.append(call.Event(start / FPS, [other.step(picture) for picture in codec.render(face, smiling)]))
            progress.update()
    return call.Scene(pictures, *voices, made)


def _calm_in_turns(motion: np.ndarray) -> np.ndarray:
    """`calm` of motion that is played over and over."""
    return calm(np.concatenate([motion] * 3))[len(motion) : 2 * len(motion)]


def smile_frames(calm: np.ndarray, block: int, events: int, data: Path | str) -> list[float]:
    """Times in frames at which smiles begin, each over before the next: all places of a block, in any order.

    `calm`: where the user does not smile, bool `[t]`, repeated. Raises InputError where the user always smiles.
    """
    left, found, first = (np.arange(events) + 0.5) / events * block, [], QUIET * FPS
    blocks = block * np.arange(len(calm))[:, None]  # these cover all places of the scene
    while len(left):
        turns = blocks + first + (left - first) % block
        turns[~calm[turns.astype(int) % len(calm)]] = np.inf
        turn, taken = turns.min(), turns.min(axis=0).argmin()
        if np.isinf(turn):
            raise InputError("users smile wherever a smile may begin", data, "give other --data")
        found.append(float(turn))
        left, first = np.delete(left, taken), int(turn) + block + RESPONSE + 5
    return found


def reactions_of(talk: call.Conversation, deviation: np.ndarray) -> tuple[list[dict], list]:
    """Latencies of all events; and per event the time from it to its first frame, and the smile's difference."""
    found, curves = [], []
    for twin in talk.twins:
        event, entry = twin.event, {"time": twin.event.time, "latency": None, "channel": None}
        if twin.base:
            base, other = np.concatenate(twin.base), np.concatenate(twin.other)
            curves.append((_shown(talk, twin.first) - event.time, (other - base)[:, channel("smile")]))
            seen = latency.first_seen(base, other, deviation)
            if seen is not None:
                frame = twin.first + seen[0]
                shown = _shown(talk, frame)
                entry |= {"latency": shown - event.time, "channel": CHANNELS[seen[1]], "frame": frame, "shown": shown}
        found.append(entry)
    return found, curves


def _shown(talk: call.Conversation, frame: int) -> float:
    """Time at which a frame is on the screen: when it is due, or delivered if that is later."""
    block = talk.blocks[frame // talk.block]
    count = frame - block["first"]
    for frames, delivered in block["parts"]:
        if count < frames:
            return max(block["offset"] + frame / FPS, delivered)
        count -= frames
    raise ValueError(f"frame {frame} was never delivered")


def compute_of(talk: call.Conversation) -> dict[str, dict]:
    """Percentiles of the stages in ms: tracking a frame, the step, rendering a block, and the whole block."""
    blocks = talk.blocks
    return {
        "track_frame": percentiles([1000 * (done - begun) for _, begun, done in talk.tracked]),
        "step": percentiles([1000 * (b["computed"] - b["taken"]) for b in blocks]),
        "render_block": percentiles([1000 * (b["parts"][-1][1] - b["computed"]) for b in blocks]),
        "block": percentiles([1000 * (b["parts"][-1][1] - b["taken"]) for b in blocks]),
        "due_to_delivered": percentiles([1000 * (b["parts"][0][1] - b["due"]) for b in blocks]),
    }


def capacity(subject: SystemUnderTest, blocks: int = 200, seconds: float = 30.0) -> dict[str, Any]:
    """Sessions whose step has a p99 below the block's length, by doubling; rendering and tracking are not counted.

    Each number is measured for `blocks` blocks, or for `seconds` seconds if that is less.
    """
    length, table = 1000 * subject.config.layout.block / FPS, {}
    for sessions in subject.sessions:
        engine = subject.engine(sessions)
        given, times = live_step.silence(subject.config, sessions), []
        while len(times) < blocks and sum(times) < 1000 * seconds:
            start = time.perf_counter()
            np.asarray(engine.step(given))
            times.append(1000 * (time.perf_counter() - start))
        table[sessions] = percentiles(times)
        if table[sessions]["p99"] >= length:
            break
    held = max((sessions for sessions, times in table.items() if times["p99"] < length), default=0)
    return {"sessions": held, "block_ms": length, "step_ms": table}


def cold_start(subject: SystemUnderTest) -> dict[str, float]:
    """Seconds from a new process to its first block, without and with the persistent cache of compiled programs."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        settings = {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        for name in ("without_cache", "with_cache"):
            start = time.perf_counter()
            subprocess.run(subject.command, env=os.environ | settings, check=True, stdout=subprocess.DEVNULL)
            found[name] = time.perf_counter() - start
    return found


def _setting(config: Config, size: int) -> dict[str, Any]:
    layout = to_dict(config.layout)
    kept = ("block", "look_ahead", "user_delay", "cache", "mask", "condition_window")
    return {
        "name": config.name, **{name: layout[name] for name in kept}, "nfe": config.sampler.nfe,
        "branches": len(guidance_branches(config.sampler)[0]), "size": size,
    }  # fmt: skip


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def _write_times(path: Path, talk: call.Conversation, reactions: list[dict]):
    with files.aside(path) as partial, partial.open("w") as file:
        for frame, arrived, done in talk.tracked:
            file.write(json.dumps({"frame": frame, "arrived": arrived, "tracked": done}) + "\n")
        for block in talk.blocks:
            file.write(json.dumps({"block": block}) + "\n")
        for entry in reactions:
            file.write(json.dumps({"event": entry}) + "\n")
