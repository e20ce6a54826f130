"""The avatar of a run folder: configuration, statistics and averaged weights of its latest checkpoint."""

from functools import partial
from pathlib import Path
from typing import Any

import jax

from afjax import files
from afjax.audio.feature_extractors import FeatureExtractor
from afjax.avatar.avatar import Avatar
from afjax.avatar.codecs import codecs_of
from afjax.avatar.features import features_of, require_same
from afjax.config import Config, differences, stored_config, to_dict
from afjax.config.dicts import read_config
from afjax.errors import InputError
from afjax.normalizer import Normalizer
from afjax.streaming.generator import Generator, generation_config
from afjax.training.generator.state import init_params

__all__ = ["load_run"]


def load_run(workdir: str | Path) -> Avatar:
    """Avatar of a folder that `experiments.train` wrote, or of one of its checkpoints, `WORKDIR/checkpoints/STEP`.

    An avatar that was trained in bfloat16 generates in tf32, as its samples did. Raises InputError without a checkpoint
    or if it is of another config.
    """
    from afjax.training.checkpoint import load_ema  # imports orbax, which models that ship do without

    workdir, step = files.absolute(workdir), None
    if workdir.parent.name == "checkpoints" and workdir.name.isdigit():
        workdir, step = workdir.parents[1], int(workdir.name)
    path = workdir / "config.json"
    if not workdir.is_dir():
        raise InputError("no such run folder", workdir, "train first: python -m experiments.train --workdir ...")
    if not path.is_file():
        raise InputError("no checkpoint: config.json is missing", workdir, "train first")
    config = read_config(workdir, Config, "give a folder of experiments.train")
    shapes = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    params, meta, step = load_ema(workdir, shapes, step)
    trained = to_dict(stored_config(meta["config"], str(workdir / "checkpoints")))
    changed = differences(trained, to_dict(config), free=("name", "sampler", "data", "training", "compute"))
    if changed:
        raise InputError(f"the checkpoint is of another config ({changed[0]})", path, "use the one it came with")
    config = generation_config(config)
    normalizer = Normalizer.from_json(meta["statistics"], config.model.motion_dim, config.model.audio_dim)
    load_features = partial(_features, config, meta.get("features"), path)
    return Avatar(
        config, Generator(config, params, normalizer), load_features, codecs_of(config.data.codec), step, workdir
    )


def _features(config: Config, stored: dict[str, Any] | None, path: Path) -> FeatureExtractor:
    """The feature extractor of a run; `stored`: its description from the training, None if the run has none."""
    features = features_of(config)
    if stored is not None:
        require_same(features, stored, path)
    if features.dim != config.model.audio_dim:
        what = f"the model reads {config.model.audio_dim} audio features, {features.name} has {features.dim}"
        raise InputError(what, path, "set data.features to the folder of the weights that made them")
    return features
