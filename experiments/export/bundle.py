"""A run's live step as a bundle, with held-out conversations for its example."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from afjax import files
from afjax.audio.framing import FRAME
from afjax.avatar.avatar import Avatar
from afjax.errors import InputError
from afjax.export.bundle import STEP, check_platforms
from afjax.export.example import BLOCKS, Clip, blocks_of
from data_pipeline.dataset import first
from data_pipeline.records import read_split
from experiments import cli


def export(
    workdir: str, out: str, platforms: Sequence[str], sessions: int, licence: str, precision: str | None = None
) -> dict:
    """Writes the bundle of a run, or of the model that ships. Returns the summary that is written into it.

    Raises InputError, and then leaves nothing.
    """
    started = time.monotonic()
    check_platforms(platforms)
    target = files.writable(out, folder=True)
    run = cli.load_avatar(workdir, precision)
    clips = stored(run, sessions)
    facts = {"licence": {"run.py": "Apache-2.0", "model": licence or ("not stated" if workdir else "Apache-2.0")}}
    blocks = blocks_of(run.config.layout, clips) if clips else None
    with files.folder_aside(target, replaces=STEP) as folder:
        manifest, result = run.write_bundle(folder, platforms, sessions, blocks, facts)
        summary = {
            "out": str(target),
            "seconds": round(time.monotonic() - started, 1),
            "bytes": {file.name: file.stat().st_size for file in sorted(folder.iterdir())},
            "latency_ms": manifest["latency_ms"],
            "example": result or None,
        }
        files.write_json(folder / "summary.json", summary)
    return summary


def stored(run: Avatar, sessions: int) -> list[Clip]:
    """One held-out conversation of the run's data per session; none where none has sound."""
    frames = BLOCKS * run.config.layout.block
    data = Path(first(run.config.data.path)).expanduser() if run.config.data.path else run.folder / "data"
    try:
        found = [clip for clip, _ in zip(read_split(data, "eval"), range(sessions), strict=False)]
    except InputError:
        return []
    found = [clip for clip in found if clip.frames >= frames and clip.user_wave is not None]
    clips = [
        (
            *(sound[: frames * FRAME] / np.float32(32768) for sound in (clip.avatar_wave, clip.user_wave)),
            clip.user_motion,
        )
        for clip in found
    ]
    return [clips[index % len(clips)] for index in range(sessions)] if clips else []
