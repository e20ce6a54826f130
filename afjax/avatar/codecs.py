"""The latent codec of a run folder."""

from pathlib import Path

import jax

from afjax import files
from afjax.codec.latent.autoencoder import init_params
from afjax.codec.latent.codec import LatentCodec
from afjax.config.dicts import read_config
from afjax.training.autoencoder.config import AutoencoderConfig
from afjax.training.checkpoint import load_ema


def load_autoencoder(workdir: str | Path) -> LatentCodec:
    """The codec of a run folder, with averaged weights. Raises InputError without a checkpoint."""
    workdir = files.absolute(workdir)
    config = read_config(workdir, AutoencoderConfig, "give the run folder of experiments.train_autoencoder").codec
    shapes = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    return LatentCodec(config, load_ema(workdir, shapes)[0])
