"""The released files as one checked folder, and back.

    flow.safetensors         flow_transformer.*, audio_encoder.audio_projection.*, perhaps audio_encoder.wav2vec2.*
    autoencoder.safetensors  motion_autoencoder.*
    wav2vec2.safetensors     wav2vec2.*
    config.json              sizes: of the first two as our configs, of wav2vec2 as Hugging Face's
    provenance.json          where each came from, SHA-256 of sources and of the files above, licences

All tensors keep their released names and every bit, also those that play no part (noise strengths, masks, blur kernels,
the speech recogniser's head): `restore` gives back what `convert` was given.

wav2vec2 tensors inside the flow file win over the folder's, name by name, as in the released program.
"""

import dataclasses
import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from afjax import digests
from afjax.audio.wav2vec2.config import from_huggingface
from afjax.codec.latent.config import LatentConfig
from afjax.config import ModelConfig, from_dict
from afjax.errors import InputError
from afjax.weights import names, readers, tensor_shapes, wav2vec2_names

__all__ = ["Part", "Weights", "convert", "load", "restore"]

Tensors = dict[str, np.ndarray]

FILES = ("flow.safetensors", "autoencoder.safetensors", "wav2vec2.safetensors", "config.json")
NOTE = (
    "flow and autoencoder: Avatar Forcing (arXiv 2601.00664), CC BY-NC 4.0: no commercial use, name the authors, "
    "say what was changed (nothing but the file format). wav2vec2: facebook/wav2vec2-base-960h, Apache-2.0."
)
_AGAIN = "convert again: python -m experiments.convert"
_INNER = "audio_encoder."


@dataclass(frozen=True)
class Part:
    """One network: its sizes, its tensors by released name, and the table of their paths in the tree."""

    config: Any
    tensors: Tensors
    names: names.Names

    def params(self) -> dict:
        """The parameter tree, below "params"."""
        return names.to_tree(self.tensors, self.names)


@dataclass(frozen=True)
class Weights:
    """Everything the released network needs."""

    flow: Part  # ModelConfig
    autoencoder: Part  # LatentConfig
    wav2vec2: Part  # Wav2Vec2Config


def convert(flow: Path, autoencoder: Path, wav2vec2: Path, folder: Path, heads: int = 8) -> dict[str, list[str]]:
    """Reads and checks the released files and writes the folder's files into `folder`, which exists.

    Args:
      flow, autoencoder: .safetensors or .pth files; wav2vec2: a Hugging Face folder.
      heads: attention heads of the flow transformer; no shape tells them.

    Returns the names of the tensors that play no part, by file. Raises InputError for anything missing or misplaced.
    """
    sources = {"flow": readers.read(flow), "autoencoder": readers.read(autoencoder)}
    spoken, config, file = readers.read_huggingface(wav2vec2)
    newer = wav2vec2_names.spelled_newer(spoken)
    sources["wav2vec2"] = wav2vec2_names.canonical(spoken, file)
    sizes = {
        "flow": tensor_shapes.flow_config(sources["flow"], heads, config.dim, flow),
        "autoencoder": tensor_shapes.latent_config(sources["autoencoder"], autoencoder),
        "wav2vec2": config,
    }
    wheres = {"flow": flow, "autoencoder": autoencoder, "wav2vec2": file}
    ignored = {part: _check(part, sources[part], sizes, wheres[part]) for part in sources}
    _match(sizes, flow)
    for part, tensors in sources.items():
        readers.write_safetensors(folder / f"{part}.safetensors", tensors)
    settings = {
        "flow": dataclasses.asdict(sizes["flow"]),
        "autoencoder": dataclasses.asdict(sizes["autoencoder"]),
        "wav2vec2": readers.read_json(Path(wav2vec2).expanduser() / "config.json"),
    }
    _write_json(folder / "config.json", settings)
    origins = {**wheres, "wav2vec2_config": file.with_name("config.json")}
    provenance = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "sources": {part: {"name": Path(f).name, "sha256": digests.of_file(f)} for part, f in origins.items()},
        "files": {name: {"sha256": digests.of_file(folder / name)} for name in FILES},
        "wav2vec2_spelled_newer": newer,
        "licence": NOTE,
    }
    _write_json(folder / "provenance.json", provenance)
    return ignored


def load(folder: str | Path) -> Weights:
    """The weights of a converted folder, SHA-256 sums verified and tensors checked.

    Tensors stay on disk until they are used. Raises InputError for anything missing, changed or misplaced.
    """
    folder = Path(folder).expanduser().absolute()
    settings, tensors, _ = _stored(folder)
    sizes = {
        "flow": from_dict(settings["flow"], ModelConfig, str(folder / "config.json")),
        "autoencoder": _latent_config(settings["autoencoder"], folder / "config.json"),
        "wav2vec2": from_huggingface(settings["wav2vec2"], folder / "config.json"),
    }
    for part in tensors:
        _check(part, tensors[part], sizes, folder / f"{part}.safetensors")
    _match(sizes, folder)
    inner = {name.removeprefix(_INNER): value for name, value in tensors["flow"].items() if _is_inner(name)}
    tensors["wav2vec2"] |= wav2vec2_names.canonical(inner)
    strength = np.zeros(1, np.float32)
    tables = {part: tensor_shapes.table(config) for part, config in sizes.items()}
    noise = [name for name in tables["autoencoder"] if name.endswith(tensor_shapes.NOISE)]
    tensors["autoencoder"] = dict.fromkeys(noise, strength) | tensors["autoencoder"]
    return Weights(**{part: Part(sizes[part], tensors[part], tables[part]) for part in sizes})


def restore(weights: Path, folder: Path):
    """Writes the files that `weights` was converted from into `folder`, which exists.

    They are flow_transformer.safetensors, motion_autoencoder.safetensors and the Hugging Face folder wav2vec2.
    """
    settings, tensors, provenance = _stored(Path(weights).expanduser().absolute())
    readers.write_safetensors(folder / "flow_transformer.safetensors", tensors["flow"])
    readers.write_safetensors(folder / "motion_autoencoder.safetensors", tensors["autoencoder"])
    spelled = wav2vec2_names.newer if provenance.get("wav2vec2_spelled_newer") else dict
    (folder / "wav2vec2").mkdir()
    readers.write_safetensors(folder / "wav2vec2" / "model.safetensors", spelled(tensors["wav2vec2"]))
    _write_json(folder / "wav2vec2" / "config.json", settings["wav2vec2"])


def _match(sizes: Mapping[str, Any], where: Path):
    """InputError unless the three networks belong together."""
    flow, latent, features = sizes["flow"], sizes["autoencoder"].dim, sizes["wav2vec2"].dim
    do = "use files that were released together"
    if flow.motion_dim != latent:
        fault = f"the flow transformer makes latents of {flow.motion_dim} numbers, the autoencoder's have {latent}"
        raise InputError(fault, where, do)
    if flow.audio_dim != features:
        fault = f"the flow transformer hears {flow.audio_dim} features a frame, wav2vec2 makes {features}"
        raise InputError(fault, where, do)


def _is_inner(name: str) -> bool:
    return name.startswith(_INNER + wav2vec2_names.PREFIX)


def _check(part: str, tensors: Tensors, sizes: Mapping[str, Any], where: Path) -> list[str]:
    """Names of a file's tensors that play no part. Raises one InputError that lists all faults of the others."""
    expected = dict(tensor_shapes.shapes(sizes[part]))
    if part != "flow":
        if part == "autoencoder":
            expected = {
                name: s for name, s in expected.items() if name in tensors or not name.endswith(tensor_shapes.NOISE)
            }
        ignored = names.check(tensors, expected, where, tensor_shapes.UNUSED[part])
        return ignored + [name for name in expected if name.endswith(tensor_shapes.NOISE)]
    spoken = {_INNER + name: shape for name, shape in tensor_shapes.shapes(sizes["wav2vec2"]).items()}
    renamed = {name.removeprefix(_INNER): value for name, value in tensors.items() if _is_inner(name)}
    renamed = {_INNER + name: value for name, value in wav2vec2_names.canonical(renamed, where).items()}
    expected |= {name: spoken[name] for name in renamed if name in spoken}
    tensors = {name: value for name, value in tensors.items() if not _is_inner(name)} | renamed
    return names.check(tensors, expected, where, tensor_shapes.UNUSED[part])


def _stored(folder: Path) -> tuple[dict, dict[str, Tensors], dict]:
    """Content of config.json, tensors by file, and content of provenance.json, after the sums are verified."""
    if not folder.is_dir():
        raise InputError("no such folder of converted weights", folder, "see docs/weights.md")
    provenance = readers.read_json(folder / "provenance.json")
    files = provenance.get("files")
    for name in FILES:
        if not (folder / name).is_file():
            raise InputError("no such file", folder / name, _AGAIN)
        entry = files.get(name) if isinstance(files, dict) else None
        if not isinstance(entry, dict) or entry.get("sha256") != digests.of_file(folder / name):
            raise InputError("its SHA-256 is not the one in provenance.json: it was changed", folder / name, _AGAIN)
    settings = readers.read_json(folder / "config.json")
    parts = ("flow", "autoencoder", "wav2vec2")
    if not all(isinstance(settings.get(part), dict) for part in parts):
        raise InputError(f"must hold {', '.join(parts)}", folder / "config.json", _AGAIN)
    return settings, {part: readers.read(folder / f"{part}.safetensors") for part in parts}, provenance


def _latent_config(values: Mapping, where: Path) -> LatentConfig:
    try:
        return LatentConfig(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})
    except TypeError as error:
        raise InputError(f"bad settings of the autoencoder ({error})", where, _AGAIN) from None


def _write_json(path: Path, content: Mapping):
    path.write_text(json.dumps(content, indent=2) + "\n")
