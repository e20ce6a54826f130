"""The codec of a model: the face codec at any size, or a trained latent codec at its own."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import jax

from afjax import files
from afjax.codec.base import Codec
from afjax.codec.face.codec import FaceCodec
from afjax.codec.latent.codec import LatentCodec
from afjax.codec.latent.network import init_params
from afjax.config.dicts import read_config
from afjax.errors import InputError
from afjax.training.latent_codec.config import LatentTrainingConfig

__all__ = ["codecs_of", "load_autoencoder", "of_one_size"]


def load_autoencoder(workdir: str | Path) -> LatentCodec:
    """The codec of a run folder, with averaged weights. Raises InputError without a checkpoint."""
    from afjax.training.checkpoint import load_ema  # imports orbax, which models that ship do without

    workdir = files.absolute(workdir)
    config = read_config(workdir, LatentTrainingConfig, "give the run folder of experiments.train_autoencoder").codec
    shapes = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    return LatentCodec(config, load_ema(workdir, shapes)[0])


def codecs_of(workdir: str = "") -> Callable[[int, str], Codec]:
    """Gives a codec by size in pixels and precision: the face codec (0: 256 px), or the latent codec of a run."""
    if not workdir:
        return lambda size, precision: FaceCodec(size=size or 256)
    return of_one_size(lambda: load_autoencoder(workdir))


def of_one_size(load: Callable[[], LatentCodec]) -> Callable[[int, str], Codec]:
    """Gives one codec, loaded when it is first needed. It raises InputError for another size than the codec's or 0."""
    load = cache(load)
    at = cache(lambda precision: load().at(precision))

    def codec(size: int, precision: str) -> Codec:
        found = at(precision)
        if size not in (0, found.size):
            raise InputError(f"size {size}: this codec renders {found.size} px", do="leave the size out")
        return found

    return codec
