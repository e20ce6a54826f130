"""Tensors by name from files: safetensors, PyTorch's .pth without its code, a Hugging Face folder of wav2vec2.

Nothing in a file is run. A safetensors file is a length (8 bytes, little-endian), a JSON header that gives each
tensor's type, shape and byte range, and the bytes. Every number of the header is checked against the size of the file
before a byte of data is touched. The bytes stay on disk until a tensor is read.
"""

import json
import math
import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from afjax import files
from afjax.audio.wav2vec2.config import Wav2Vec2Config, from_huggingface
from afjax.errors import InputError

__all__ = ["Place", "read", "read_huggingface", "read_json", "tensors", "write_safetensors"]

_TYPES = {
    "F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype(jnp.bfloat16),
    "I64": np.dtype("<i8"), "I32": np.dtype("<i4"), "I16": np.dtype("<i2"), "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"), "U32": np.dtype("<u4"), "U16": np.dtype("<u2"), "U8": np.dtype("u1"), "BOOL": np.dtype("?"),
}  # fmt: skip
_CODES = {dtype: code for code, dtype in _TYPES.items()}
_MAX_HEADER = 100_000_000
_MAX_JSON = 1_000_000
_AGAIN = "get the file again"


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Tensors of a .safetensors, .pth, .pt or .bin file, by name. Raises InputError for other or damaged files."""
    path = _regular(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in (".pth", ".pt", ".bin"):
        return _read_torch(path)
    raise InputError(f"{path.suffix or 'a name without suffix'} is not known", path, "give a .safetensors or .pth file")


def read_huggingface(folder: str | Path) -> tuple[dict[str, np.ndarray], Wav2Vec2Config, Path]:
    """Tensors, sizes and the tensors' file of a folder with config.json and model.safetensors or pytorch_model.bin.

    Raises InputError if a file is missing or damaged.
    """
    folder = Path(folder).expanduser().absolute()
    if not folder.is_dir():
        raise InputError("no such folder", folder, "give the folder of facebook/wav2vec2-base-960h")
    config = from_huggingface(read_json(folder / "config.json"), folder / "config.json")
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).exists():
            return read(folder / name), config, folder / name
    raise InputError("neither model.safetensors nor pytorch_model.bin is in it", folder, _AGAIN)


def read_json(path: str | Path) -> dict:
    """A small JSON table. Raises InputError for anything else."""
    path = _regular(path)
    if path.stat().st_size > _MAX_JSON:
        raise InputError("is too large for a table of settings", path)
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON ({error})", path, _AGAIN) from None
    if not isinstance(content, dict):
        raise InputError("is not a table of settings", path, _AGAIN)
    return content


def write_safetensors(path: str | Path, tensors: Mapping[str, np.ndarray]):
    """Writes tensors aside and renames the file. The same tensors in any order give the same bytes."""
    arrays = {name: np.asarray(array) for name, array in tensors.items()}
    # wide types first, then by name: every tensor begins at a multiple of its own item's size
    arrays = dict(sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])))
    header, end = {}, 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": _CODES[array.dtype], "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with files.aside(path) as partial, partial.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def _regular(path: str | Path) -> Path:
    path = Path(path).expanduser().absolute()
    if not path.exists():
        raise InputError("no such file", path)
    if not path.is_file():
        raise InputError("is not a regular file", path)
    if not os.access(path, os.R_OK):
        raise InputError("no permission to read it", path)
    return path


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    places = tensors(path)
    data = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
    return {
        name: np.frombuffer(data[p.start : p.start + p.size], p.dtype).reshape(p.shape) for name, p in places.items()
    }


class Place(NamedTuple):
    """Place of a tensor in a file: type, shape, first byte, number of bytes."""

    dtype: np.dtype
    shape: tuple[int, ...]
    start: int
    size: int


def tensors(path: str | Path) -> dict[str, Place]:
    """Places of the tensors of a safetensors file by name; only the header is read. Raises InputError for damage."""
    path = Path(path)
    total = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if total < 8 or not 2 <= length <= min(_MAX_HEADER, total - 8):
            raise InputError(f"is damaged or truncated: a header of {length} bytes in {total}", path, _AGAIN)
        header = _header(file.read(length), path)
    size = total - 8 - length
    spans = []
    for name, entry in header.items():
        dtype, shape, start, end = _entry(name, entry, path)
        if end > size:
            raise InputError(f"is truncated: {name} ends at byte {end} of {size}", path, _AGAIN)
        spans.append((start, end, name, dtype, shape))
    spans.sort(key=lambda span: span[:2])
    reached, before = 0, "the header"
    for start, end, name, _, _ in spans:
        if start != reached:
            fault = "overlap" if start < reached else "leave bytes between them"
            raise InputError(f"is damaged: {before} and {name} {fault}", path, _AGAIN)
        reached, before = end, name
    if reached != size:
        raise InputError(f"is damaged: {size - reached} bytes belong to no tensor", path, _AGAIN)
    found = {name: Place(dtype, shape, 8 + length + start, end - start) for start, end, name, dtype, shape in spans}
    return {name: found[name] for name in header}


def _header(text: bytes, path: Path) -> dict:
    def unique(pairs):
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in found if names.count(name) > 1)
            raise InputError(f"is damaged: {twice!r} is there twice", path, _AGAIN)
        return found

    try:
        header = json.loads(text, object_pairs_hook=unique)
    except InputError:
        raise
    except (ValueError, RecursionError):
        raise InputError("is damaged: its header is not JSON", path, _AGAIN) from None
    if not isinstance(header, dict):
        raise InputError("is damaged: its header is not a table", path, _AGAIN)
    header.pop("__metadata__", None)
    return header


def _entry(name: str, entry, path: Path) -> tuple[np.dtype, tuple[int, ...], int, int]:
    fields = entry if isinstance(entry, dict) else {}
    shape, span = fields.get("shape"), fields.get("data_offsets")
    dtype = _TYPES.get(fields["dtype"]) if isinstance(fields.get("dtype"), str) else None
    if dtype is None:
        fault = f"{name} has type {fields.get('dtype')!r}, which is not known"
        raise InputError(fault, path, f"use {', '.join(_TYPES)}")
    if not _naturals(shape) or not _naturals(span) or len(span) != 2 or len(shape) > 32:
        raise InputError(f"is damaged: shape or place of {name}", path, _AGAIN)
    if math.prod(shape) * dtype.itemsize != span[1] - span[0]:
        raise InputError(f"is damaged: {name} of shape {shape} has {span[1] - span[0]} bytes", path, _AGAIN)
    if math.prod(size for size in shape if size) * dtype.itemsize >= 1 << 63:  # for NumPy, even an empty array
        raise InputError(f"is damaged: {name} of shape {shape}", path, _AGAIN)
    return dtype, tuple(shape), *span


def _naturals(values) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError:
        raise InputError("needs PyTorch to be read", path, "pip install torch, or give a .safetensors file") from None
    try:
        with warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a damaged or hostile pickle can raise anything
        raise _torch_error(error, path) from None
    if not isinstance(content, Mapping):
        raise InputError(f"holds a {type(content).__name__}, not tensors by name", path)
    tensors = {}
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise InputError(f"holds a {type(value).__name__} under {name!r}, not tensors by name", path)
        tensors[name] = _from_torch(torch, value, name, path)
    return tensors


def _from_torch(torch, value, name: str, path: Path) -> np.ndarray:
    if value.layout is not torch.strided or value.is_quantized or value.is_meta:
        raise InputError(f"{name} is not a plain tensor", path)
    if str(value.dtype).removeprefix("torch.") not in {dtype.name for dtype in _CODES}:
        raise InputError(f"{name} has type {value.dtype}, which is not known", path, f"use {', '.join(_TYPES)}")
    held = value.untyped_storage().nbytes()
    if value.numel() * value.element_size() > held:
        fault = f"is damaged: {name} of shape {list(value.shape)} has {held} bytes"
        raise InputError(fault, path, _AGAIN)
    value = value.detach().contiguous()
    if value.dtype is torch.bfloat16:
        return value.view(torch.int16).numpy().view(jnp.bfloat16)
    return value.numpy()


def _torch_error(error: Exception, path: Path) -> InputError:
    code = re.search(r"GLOBAL ([\w.]+)", str(error))
    if code:
        return InputError(f"is refused: holds more than tensors ({code[1]})", path, "ask its authors for .safetensors")
    return InputError(f"is damaged or not a PyTorch file ({type(error).__name__})", path, _AGAIN)
