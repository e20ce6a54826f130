"""A data set with other audio features, of the sound that its records hold."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from afjax import files
from afjax.audio import mel
from afjax.audio.wav2vec2 import features
from afjax.errors import InputError
from afjax.weights import convert
from data_pipeline import records, schema
from experiments import cli

Ear = Callable[[np.ndarray, int], np.ndarray]
"""Sound in -1 .. 1 at 16 kHz `[T * 640]` and T -> features `[T, F]`."""


def hear_mel(wave: np.ndarray, frames: int) -> np.ndarray:
    """`afjax.audio.mel`."""
    return mel.features(wave)[:frames]


def wav2vec2_ear(weights: str | Path) -> Ear:
    """`afjax.audio.wav2vec2.features` with the weights of a converted folder."""
    part = convert.load(weights).wav2vec2
    params = part.params()
    return lambda wave, frames: features.features(params, part.config, wave, frames)


def make_features(data: Path, out: Path, name: str, ear: Ear) -> dict:
    """Writes the data set `data` to the folder `out` with features of `ear`; -> its summary.

    Raises InputError if a record has no sound, or `out` is taken.
    """
    started = time.monotonic()
    metadata = records.read_metadata(data)
    moments, width = records.Moments(), 0
    total = sum(split["count"] for split in metadata.splits.values())
    with files.folder_aside(out) as folder, cli.Progress(total, name, "conversations") as progress:

        def heard(split: str):
            nonlocal width
            for number, clip in enumerate(records.read_split(data, split)):
                if clip.avatar_audio is None or clip.user_audio is None:
                    do = "build it with --sound" if split == "train" else "build it again"
                    raise InputError(f"record {number} of {split} has no sound", data, do)
                made = {}
                for side in ("avatar", "user"):
                    wave = getattr(clip, f"{side}_audio") / np.float32(32768)
                    made[f"{side}_features"] = rows = ear(wave, clip.frames).astype(np.float16)
                    width = rows.shape[1]
                    if split == "train":
                        moments.add(rows)
                progress.update()
                yield schema.encode(dataclasses.replace(clip, **made))

        for split in metadata.splits:
            records.write_split(folder, split, heard(split))
        mean, std = moments.result()
        normalizer = dataclasses.replace(metadata.normalizer, audio_mean=mean, audio_std=std)
        changed = dataclasses.replace(metadata, feature_name=name, feature_dim=width, normalizer=normalizer)
        records.write_metadata(folder, changed)
        summary = {
            "out": out,
            "features": name,
            "width": width,
            "conversations": total,
            "bytes": sum(file.stat().st_size for file in folder.iterdir()),
            "seconds": time.monotonic() - started,
        }
        files.write_json(folder / "summary.json", summary)
    return summary
