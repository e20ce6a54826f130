"""A trained model as a folder to give away, with all that generation needs and nothing of the run.

    model.safetensors  averaged weights, float32, by their dotted path in the network
    model.json         format, config, statistics, features, channels, step, SHA-256 of the weights
    README.md          model card, for people

A folder can hold models of the face codec that hear mel features; others need weights beside their own. Paths of the
machine that trained are left out. Nothing in a folder is run, and every number is checked before a network is built.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax

from afjax import __version__, digests, files
from afjax.audio.feature_extractors import MelFeatures, described
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config, DistillationConfig, stored_config, to_dict
from afjax.errors import InputError
from afjax.export.bundle import named, rebuilt
from afjax.normalizer import Normalizer
from afjax.training.generator.state import init_params
from afjax.weights import names, readers

__all__ = ["CARD", "FILES", "Model", "read", "write"]

FORMAT = "afjax.model/1"
FILES = ("model.json", "model.safetensors")
CARD = "README.md"
_AGAIN = "get the folder again"
_PLAIN_CARD = """# {name}

A model of afjax: `afjax.load("FOLDER")`, or `--workdir FOLDER` of its programs. {parameters:,} parameters, {step} steps
of training. `model.json` holds all settings. Whoever shares it says here what it was trained on, what it is for, what
it is not for, how it was measured and under which licence it comes.
"""


@dataclass(frozen=True)
class Model:
    """Contents of a folder."""

    config: Config
    params: dict
    normalizer: Normalizer
    step: int


def write(folder: str | Path, model: Model, features: dict[str, Any], channels: tuple[str, ...], card: str = ""):
    """Writes the folder, whole or not at all.

    Args:
      folder: new or empty, or one of this format, which is replaced; its card stays unless there is another.
      model: config, parameters (`{"params": ...}`), statistics and step.
      features: `described` of its feature extractor; channels: those of its codec.
      card: the model card, Markdown; by default the card that is there, else a plain one.

    Raises InputError for a model that the format doesn't hold, weights that are not finite, and a folder of another
    kind.
    """
    folder = files.writable(folder, folder=True)
    config = _portable(model.config)
    if config.data.codec or tuple(channels) != CHANNELS:
        raise InputError("its motion is of a latent codec, which a model folder doesn't hold", folder, "share the run")
    if features != described(MelFeatures()):
        what = f"it hears {features.get('name')} features, whose weights a model folder doesn't hold"
        raise InputError(what, folder, "share the run")
    tensors = {name: jax.device_get(leaf) for name, leaf in named(model.params["params"]).items()}
    names.check(tensors, {name: tensor.shape for name, tensor in tensors.items()}, "weights", do="train again")
    count = sum(tensor.size for tensor in tensors.values())
    kept = folder / CARD
    if not card and kept.is_file():
        card = kept.read_text(encoding="utf-8")
    with files.folder_aside(folder, replaces=_replaceable(folder)) as aside:
        readers.write_safetensors(aside / FILES[1], tensors)
        table = {
            "format": FORMAT,
            "name": config.name,
            "afjax": __version__,
            "step": model.step,
            "parameters": count,
            "sha256": digests.of_file(aside / FILES[1]),
            "features": features,
            "channels": list(channels),
            "statistics": model.normalizer.to_json(),
            "config": to_dict(config),
        }
        files.write_json(aside / FILES[0], table)
        card = card or _PLAIN_CARD.format(name=config.name, parameters=count, step=model.step)
        (aside / CARD).write_text(card, encoding="utf-8")


def read(folder: str | Path) -> Model:
    """The model in a folder, checked. Raises InputError, one line, if it is damaged or of another version."""
    folder = files.absolute(folder)
    about, weights = (folder / name for name in FILES)
    for path in (about, weights):
        if not path.is_file():
            raise InputError("no such file", path, _AGAIN)
    table = readers.read_json(about)
    if table.get("format") != FORMAT:
        what = f"its format is {table.get('format')!r}, this afjax reads {FORMAT}"
        raise InputError(what, about, "install the afjax that it was made for")
    if table.get("sha256") != digests.of_file(weights):
        raise InputError(f"its SHA-256 is not the one in {FILES[0]}: it was changed", weights, _AGAIN)
    config = stored_config(table.get("config"), str(about))
    _require_known(table, config, about)
    step = table.get("step")
    if type(step) is not int or step < 0:
        raise InputError(f"step is {step!r}, no count of steps", about, _AGAIN)
    sizes = config.model.motion_dim, config.model.audio_dim
    normalizer = Normalizer.from_json(table.get("statistics"), *sizes, where=f"{about}: statistics", do=_AGAIN)
    tensors = readers.read(weights)
    like = _shapes(config, tensors, about)
    names.check(tensors, {name: leaf.shape for name, leaf in named(like).items()}, weights, do=_AGAIN)
    params = jax.tree.map(jax.numpy.asarray, rebuilt(like, tensors))
    return Model(config, {"params": params}, normalizer, step)


def _portable(config: Config) -> Config:
    """The config without the folders of the machine that trained; of a teacher or a beginning the name stays."""
    training = replace(config.training, start_from=Path(config.training.start_from).name)
    distillation = DistillationConfig(Path(config.distillation.model).name)
    data, preference = replace(config.data, path=""), replace(config.preference, path="", model="")
    return replace(config, data=data, preference=preference, distillation=distillation, training=training)


def _replaceable(folder: Path) -> str:
    """A file by which the folder may be replaced; empty if it has none of our files, or has others as well."""
    ours = {*FILES, CARD}
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return next((name for name in (*FILES, CARD) if name in there), "") if there <= ours else ""


def _require_known(table: dict[str, Any], config: Config, where: Path):
    """Raises InputError unless the model's features and channels are those of this afjax."""
    own = {"features": described(MelFeatures()), "channels": list(CHANNELS)}
    odd = next((name for name, value in own.items() if table.get(name) != value), "")
    if odd or config.data.codec or config.data.features:
        what = f"its {odd} are not those of this afjax" if odd else "it needs weights that are not in the folder"
        raise InputError(what, where, "install the afjax that it was made for")


def _shapes(config: Config, tensors: Mapping[str, Any], where: Path) -> Any:
    """Shapes of the config's parameters. Nothing large is made, whatever sizes the config claims."""
    count = sum(tensor.size for tensor in tensors.values())
    sizes = [value for value in asdict(config.model).values() if isinstance(value, int)]
    if config.model.depth <= len(tensors) and max(sizes) <= max(count, 1):
        with contextlib.suppress(ValueError, TypeError, ArithmeticError):
            return jax.eval_shape(lambda: init_params(config, jax.random.key(0)))["params"]
    raise InputError("its weights are not those of its config.model", where, _AGAIN)
