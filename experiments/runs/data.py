"""The conversations of a run, and whether they fit its model."""

import shutil
from pathlib import Path

from afjax import files
from afjax.audio import mel
from afjax.audio.framing import FPS
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config
from afjax.errors import InputError
from data_pipeline.dataset import first
from data_pipeline.records import Metadata, read_metadata
from data_pipeline.schema import Conversation
from data_pipeline.simulate.build import build


def check_fits(config: Config, clips: list[Conversation]):
    """Raises InputError if conversations are not of the width that a model takes."""
    for what, track, wanted in (
        ("motion channels", clips[0].user_motion, config.model.motion_dim),
        ("audio features", clips[0].user_features, config.model.audio_dim),
    ):
        if track.shape[-1] != wanted:
            fault = f"the conversations have {track.shape[-1]} {what}, the model {wanted}"
            raise InputError(fault, do="give --data, conversations like those that it was trained on")


def training_data(config: Config, workdir: Path) -> Path:
    """Folder of the records: the first that is configured, or simulated into the run folder."""
    if config.data.path:
        return files.absolute(first(config.data.path))
    if (config.model.motion_dim, config.model.audio_dim) != (len(CHANNELS), mel.DIM):
        raise InputError(
            f"simulated conversations have {len(CHANNELS)} motion channels and {mel.DIM} audio features, the model "
            f"{config.model.motion_dim} and {config.model.audio_dim}",
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


def check_data(config: Config, metadata: Metadata, folder: Path):
    """Raises InputError if the records do not fit the model."""
    for what, found, wanted in (
        ("motion channels", len(metadata.channels), config.model.motion_dim),
        ("audio features", metadata.feature_dim, config.model.audio_dim),
    ):
        if found != wanted:
            raise InputError(f"{found} {what}, the config has {wanted}", folder, "build the data again")
