"""The conversations of a run, and whether they fit its model."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from afjax import files
from afjax.audio.feature_extractors import described, silent_row
from afjax.audio.framing import FPS
from afjax.avatar.avatar import Avatar
from afjax.avatar.features import features_of, require_same
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config
from afjax.errors import InputError
from afjax.metrics import groups
from data_pipeline.dataset import first
from data_pipeline.records import EXTRACTOR, Metadata, read_metadata
from data_pipeline.schema import EVENT_KINDS, Conversation
from data_pipeline.simulate.build import build

STATISTICS = 4
"""Training conversations beside held-out ones: a data set needs statistics, though a measured model brings its own."""
FITTING = "give --data, conversations like those that it was trained on"


def training_data(config: Config, workdir: Path) -> Path:
    """Folder of the records: the first that is configured, or simulated into the run folder."""
    if config.data.path:
        return files.absolute(first(config.data.path))
    counts = {"train": config.data.train_clips, "eval": config.data.eval_clips}
    return simulated(config, workdir / "data", counts, "give a data set that fits, --config.data.path=...")


def measured_on(run: Avatar, data: str | Path = "", out: Path | None = None, clips: int = 0) -> Path:
    """Folder of the conversations on which a model is measured: `data`, or those with which it came.

    A model that came without any, such as one that ships, is measured on `clips` held-out conversations that are
    simulated into `out/data`, by default exactly those that its training set aside.
    """
    if data or run.config.data.path:
        return files.absolute(data or first(run.config.data.path))
    if out is None or (run.folder is not None and (run.folder / "data").is_dir()):
        return run.folder / "data"
    counts = {"train": STATISTICS, "eval": clips or run.config.data.eval_clips}
    return simulated(run.config, out / "data", counts, "give --data")


def simulated(config: Config, folder: Path, counts: dict[str, int], do: str, listening: float = 0.0) -> Path:
    """Simulates conversations for a config into a folder, unless they are there already. Returns the folder.

    `listening`: share of the time for which the avatar listens in training, where it always listens in evaluation; 0: a
    mix of styles in training.

    Raises InputError, with the advice `do`, for a model that they don't fit, and for other conversations in the folder.
    """
    if (config.model.motion_dim, config.model.audio_dim) != (len(CHANNELS), EXTRACTOR.dim):
        raise InputError(
            f"simulated conversations have {len(CHANNELS)} motion channels and {EXTRACTOR.dim} audio features, "
            f"the model {config.model.motion_dim} and {config.model.audio_dim}",
            "config",
            do,
        )
    for unfinished in folder.parent.glob(f".{folder.name}.*"):  # of a process that was killed
        shutil.rmtree(unfinished, ignore_errors=True)
    if not folder.exists():
        build(folder, counts, config.data.seconds, config.training.seed, listening=listening)
    frames = round(config.data.seconds * FPS)
    for split, stored in read_metadata(folder).splits.items():
        if (stored["count"], stored["frames"]) != (counts[split], frames):
            found = f"{stored['count']} {split} clips of {stored['frames']} frames"
            what = f"it holds {found}, {counts[split]} of {frames} are asked for"
            raise InputError(what, folder, "delete it, or ask for what is there")
    return folder


def check_data(config: Config, metadata: Metadata, folder: Path) -> dict[str, Any]:
    """Description of what made the features of the records.

    Raises InputError if the records do not fit the model or its settings.
    """
    if config.model.cause_kinds not in (0, len(EVENT_KINDS)):
        do = f"0, or {len(EVENT_KINDS)}: those that the records name"
        raise InputError(f"model.cause_kinds is {config.model.cause_kinds}", "config", do)
    check_fits(config, len(metadata.channels), metadata.feature_dim, folder, "build the data again, or change model.*")
    features = features_of(config)
    require_same(features, metadata.features, folder)
    if config.layout.user_delay and not np.any(metadata.normalizer.audio_silence) and np.any(silent_row(features)):
        what = f"layout.user_delay needs the features of silence, which it lacks ({features.name})"
        raise InputError(what, folder, "make them again: python -m experiments.make_features")
    return described(features)


def check_codec(run: Avatar, metadata: Metadata, where: object):
    """Raises InputError unless the motion of records is that of a model's codec."""
    if tuple(run.codec().channels) != metadata.channels:
        raise InputError("the conversations' motion is of another codec than the model's", where, FITTING)


def check_fits(config: Config, channels: int, features: int, where: object = None, do: str = FITTING):
    """Raises InputError unless conversations with these numbers of motion channels and audio features fit the model."""
    for what, found, wanted in (
        ("motion channels", channels, config.model.motion_dim),
        ("audio features", features, config.model.audio_dim),
    ):
        if found != wanted:
            raise InputError(f"the conversations have {found} {what}, the model {wanted}", where, do)


def people_of(clips: Sequence[Conversation]) -> np.ndarray:
    """The avatar and the user of each conversation, by name or number [n, 2].

    Recorded people talk in several conversations and go by their names. People of simulated conversations are drawn
    anew, though their voices may have one name; these conversations are recognised by their events, which no recording
    has.
    """
    if any(len(clip.event_kind) for clip in clips):
        return np.arange(2 * len(clips)).reshape(-1, 2)
    return np.array([(clip.avatar_voice, clip.user_voice) for clip in clips])


def groups_of(clips: Sequence[Conversation]) -> np.ndarray:
    """Groups [n] of conversations that share people (`afjax.metrics.groups`)."""
    return groups.of_people(people_of(clips))
