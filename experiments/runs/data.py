"""The conversations of a run, and whether they fit its model."""

import shutil
from pathlib import Path
from typing import Any

from afjax import files
from afjax.audio.feature_extractors import described
from afjax.audio.framing import FPS
from afjax.avatar.avatar import Avatar
from afjax.avatar.features import load_features, require_same
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config
from afjax.errors import InputError
from data_pipeline.dataset import first
from data_pipeline.records import EXTRACTOR, Metadata, read_metadata
from data_pipeline.simulate.build import build

FITTING = "give --data, conversations like those that it was trained on"


def training_data(config: Config, workdir: Path) -> Path:
    """Folder of the records: the first that is configured, or simulated into the run folder."""
    if config.data.path:
        return files.absolute(first(config.data.path))
    if (config.model.motion_dim, config.model.audio_dim) != (len(CHANNELS), EXTRACTOR.dim):
        raise InputError(
            f"simulated conversations have {len(CHANNELS)} motion channels and {EXTRACTOR.dim} audio features, "
            f"the model {config.model.motion_dim} and {config.model.audio_dim}",
            "config",
            "give a data set that fits, --config.data.path=...",
        )
    folder = workdir / "data"
    for unfinished in workdir.glob(".data.*"):  # of a run that was killed
        shutil.rmtree(unfinished, ignore_errors=True)
    counts = {"train": config.data.train_clips, "eval": config.data.eval_clips}
    if not folder.exists():
        build(folder, counts, config.data.seconds, config.training.seed)
    frames = round(config.data.seconds * FPS)
    for split, stored in read_metadata(folder).splits.items():
        if (stored["count"], stored["frames"]) != (counts[split], frames):
            found = f"{stored['count']} {split} clips of {stored['frames']} frames"
            raise InputError(f"it holds {found}, the config asks for others", folder, "delete it or change data.*")
    return folder


def check_data(config: Config, metadata: Metadata, folder: Path) -> dict[str, Any]:
    """What made the features of the records, `described`.

    Raises InputError if the records do not fit the model or its settings.
    """
    check_fits(config, len(metadata.channels), metadata.feature_dim, folder, "build the data again, or change model.*")
    features = load_features(config.data.features)
    require_same(features, metadata.features, folder)
    return described(features)


def check_same_data(run: Avatar, metadata: Metadata, where: object, do: str):
    """Raises InputError unless a model was trained on the data of this metadata, going by their statistics."""
    ours, theirs = (normalizer.to_json()["sha256"] for normalizer in (run.normalizer, metadata.normalizer))
    if ours != theirs:
        raise InputError("the model was trained on other data", where, do)


def check_fits(config: Config, channels: int, features: int, where: object = None, do: str = FITTING):
    """Raises InputError unless conversations of so many motion channels and audio features fit the model."""
    for what, found, wanted in (
        ("motion channels", channels, config.model.motion_dim),
        ("audio features", features, config.model.audio_dim),
    ):
        if found != wanted:
            raise InputError(f"the conversations have {found} {what}, the model {wanted}", where, do)
