"""A run's live step as a bundle, with held-out conversations for its example."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from afjax import files
from afjax.audio.framing import FRAME, RATE
from afjax.avatar.avatar import load_run
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config
from afjax.errors import InputError
from afjax.export.bundle import PLATFORMS, write
from afjax.files import folder_aside
from afjax.streaming import live_step
from afjax.user_delay import delayed
from data_pipeline.dataset import first
from data_pipeline.records import read_split

BLOCKS = 8


def bundle(workdir: str, out: str, platforms: Sequence[str], sessions: int, licence: str) -> dict:
    """Writes the bundle; -> the summary that is written into it."""
    started = time.monotonic()
    for name in platforms or [""]:
        if name not in PLATFORMS:
            raise InputError(f"unknown platform {name!r}", "--platforms", f"choose of {', '.join(PLATFORMS)}")
    platforms, target = list(dict.fromkeys(platforms)), files.writable(out, folder=True)
    run = load_run(workdir)
    with folder_aside(target, replaces="step.jax_exported") as folder:
        facts = {"step": run.step, "licence": {"run.py": "Apache-2.0", "model": licence}}
        blocks = example(run.config, run.folder, sessions)
        manifest, result = write(folder, run.config, *run.live, platforms, blocks, CHANNELS, facts)
        summary = {
            "out": str(target),
            "seconds": round(time.monotonic() - started, 1),
            "bytes": {file.name: file.stat().st_size for file in sorted(folder.iterdir())},
            "latency_ms": manifest["latency_ms"],
            "example": result or None,
        }
        files.write_json(folder / "summary.json", summary)
    return summary


def example(config: Config, workdir: Path, sessions: int) -> live_step.Inputs:
    """Inputs [n, sessions, ...] of BLOCKS blocks: held-out conversations of the run's data, else drawn ones."""
    block, delay = config.layout.block, config.layout.user_delay
    frames, given = BLOCKS * block, []
    for clip in _clips(config, workdir, sessions):
        user = delayed(clip[1].reshape(-1, FRAME), delay), delayed(clip[2], delay)
        given.append([clip[0].reshape(-1, FRAME)[:frames], *(track[:frames] for track in user)])
    tracks = [np.stack(track).reshape(sessions, BLOCKS, -1) for track in zip(*given, strict=True)]
    avatar, user, motion = (np.moveaxis(track, 0, 1) for track in tracks)
    return live_step.Inputs(avatar, user, motion.reshape(BLOCKS, sessions, block, -1))


def _clips(config: Config, workdir: Path, count: int):
    """(avatar's sound, user's sound, user's motion) of `count` conversations."""
    frames = BLOCKS * config.layout.block
    data = Path(first(config.data.path)).expanduser() if config.data.path else workdir / "data"
    try:
        stored = [clip for clip, _ in zip(read_split(data, "eval"), range(count), strict=False)]
    except InputError:
        stored = []
    stored = [clip for clip in stored if clip.frames >= frames and clip.user_audio is not None]
    for index in range(count):
        if stored:
            clip = stored[index % len(stored)]
            avatar, user = (
                sound[: frames * FRAME] / np.float32(32768) for sound in (clip.avatar_audio, clip.user_audio)
            )
            yield avatar, user, clip.user_motion
        else:
            avatar, user = (_voice(frames, seed) for seed in (2 * index, 2 * index + 1))
            yield avatar, user, _nods(frames, config.model.motion_dim)


def _voice(frames: int, seed: int) -> np.ndarray:
    """A buzz that comes and goes: harmonics of a gliding pitch."""
    t = np.arange(frames * FRAME) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 30 * seed + 20 * np.sin(2 * np.pi * 0.7 * t)) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    return (0.1 * tone * np.clip(np.sin(2 * np.pi * 1.5 * t + seed), 0, 1)).astype(np.float32)


def _nods(frames: int, channels: int) -> np.ndarray:
    """Slow waves of small height in every channel."""
    t, channel = np.arange(frames)[:, None] / 25, np.arange(channels)
    return (0.1 * np.sin(2 * np.pi * (0.3 + 0.1 * channel) * t)).astype(np.float32)
