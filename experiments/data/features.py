"""A data set with other audio features, made from the sound in its records."""

import dataclasses
import shutil
import time
from pathlib import Path

import numpy as np

from afjax import files
from afjax.audio.feature_extractors import FeatureExtractor, described, silent_row
from afjax.errors import InputError
from data_pipeline import records, schema
from data_pipeline.recorded.build import WORK
from data_pipeline.recorded.table import CLIPS
from experiments import cli


def make_features(data: Path, out: Path, extractor: FeatureExtractor) -> dict:
    """Writes the data set `data` to the folder `out` with features of `extractor`. Returns its summary.

    Raises InputError if a record has no sound, or `out` is taken.
    """
    started = time.monotonic()
    metadata = records.read_metadata(data)
    moments = records.Moments()
    total = sum(split["count"] for split in metadata.splits.values())
    with files.folder_aside(out) as folder, cli.Progress(total, extractor.name, "conversations") as progress:

        def with_features(split: str):
            for number, clip in enumerate(records.read_split(data, split)):
                if clip.avatar_wave is None or clip.user_wave is None:
                    do = "build it with --sound" if split == "train" else "build it again"
                    raise InputError(f"record {number} of {split} has no sound", data, do)
                made = {}
                for side in ("avatar", "user"):
                    wave = getattr(clip, f"{side}_wave") / np.float32(32768)
                    made[f"{side}_features"] = rows = extractor.clip(wave, clip.frames).astype(np.float16)
                    if split == "train":
                        moments.add(rows)
                progress.update()
                yield schema.encode(dataclasses.replace(clip, **made))

        for split in metadata.splits:
            records.write_split(folder, split, with_features(split))
        mean, std = moments.result()
        audio = {"audio_mean": mean, "audio_std": std, "audio_silence": silent_row(extractor)}
        normalizer = dataclasses.replace(metadata.normalizer, **audio)
        changed = dataclasses.replace(metadata, features=described(extractor), normalizer=normalizer)
        records.write_metadata(folder, changed)
        _carry(data, folder)
        summary = {
            "out": out,
            "features": extractor.name,
            "width": extractor.dim,
            "conversations": total,
            "bytes": sum(file.stat().st_size for file in folder.rglob("*")),
            "seconds": time.monotonic() - started,
        }
        files.write_json(folder / "summary.json", summary)
    return summary


def _carry(data: Path, folder: Path):
    """Copies where recorded clips were cut, for `experiments.evaluate --recordings`, and what `data.filter` reads."""
    for path in (data / "clips.csv", data / CLIPS, *data.glob(f"{WORK}/*/survey.json")):
        if path.is_file():
            copy = folder / path.relative_to(data)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
