"""Stand-ins for a lab's networks, for rehearsals: right shapes, drawn weights, meaningless figures.

A network is the mean over the cells of a grid, flattened, times a matrix: `AveragePool`, `Flatten`, `MatMul`. The ONNX
file is written by hand (a protocol buffer of some dozen fields, onnx/onnx.proto), so that no package is needed.
"""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from afjax import files
from afjax.metrics.pretrained.networks import KINDS, SUFFIX

__all__ = ["CELLS", "write_linear", "write_tiny"]

CELLS = {
    "arcface": (14, 14),
    "inception": (37, 37),
    "i3d": (4, 56, 56),
    "syncnet_lips": (1, 56, 56),
    "syncnet_sound": (1, 1),
}
"""Cells of the grid by kind, in pixels, frames or coefficients."""
CLIP = 16
"""Frames that the tiny i3d takes."""
_IR, _OPSET, _FLOAT, _INTS = 8, 13, 1, 7


def write_tiny(folder: str | Path, seed: int = 0) -> Path:
    """Writes a network of every kind into a folder, as `afjax.metrics.pretrained.networks.load_folder` reads them."""
    folder = files.absolute(folder)
    for number, kind in enumerate(KINDS):
        size = _flat(kind, CELLS[kind])
        rng = np.random.default_rng([seed, number])
        weights = rng.standard_normal((size, KINDS[kind].features)) / np.sqrt(size)
        write_linear(folder / f"{kind}{SUFFIX}", kind, CELLS[kind], weights)
    return folder


def write_linear(path: str | Path, kind: str, cells: Sequence[int], weights: np.ndarray) -> Path:
    """Writes one network: means over cells of a grid, flattened in C order, times `weights` `[cells, features]`."""
    path = files.absolute(path)
    shape = ["N", *(CLIP if length is None else length for length in KINDS[kind].shape)]
    window = b"".join(_varint_field(8, length) for length in cells)
    pool = _node("AveragePool", ["x"], ["pooled"], (_ints("kernel_shape", window), _ints("strides", window)))
    nodes = [pool, _node("Flatten", ["pooled"], ["flat"]), _node("MatMul", ["flat", "w"], ["y"])]
    weights = np.ascontiguousarray(weights, "<f4")
    dims = b"".join(_varint_field(1, length) for length in weights.shape)
    tensor = dims + _varint_field(2, _FLOAT) + _text(8, "w") + _length_delimited(9, weights.tobytes())
    graph = b"".join(_length_delimited(1, node) for node in nodes) + _text(2, kind) + _length_delimited(5, tensor)
    graph += _length_delimited(11, _value("x", shape)) + _length_delimited(12, _value("y", ["N", KINDS[kind].features]))
    model = (
        _varint_field(1, _IR)
        + _length_delimited(7, graph)
        + _length_delimited(8, _text(1, "") + _varint_field(2, _OPSET))
    )
    with files.aside(path) as partial:
        partial.write_bytes(model)
    return path


def _flat(kind: str, cells: Sequence[int]) -> int:
    channels, *lengths = (CLIP if length is None else length for length in KINDS[kind].shape)
    return channels * int(np.prod([length // cell for length, cell in zip(lengths, cells, strict=True)]))


def _node(kind: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Sequence[bytes] = ()) -> bytes:
    ends = b"".join(_text(1, name) for name in inputs) + b"".join(_text(2, name) for name in outputs)
    return ends + _text(4, kind) + b"".join(_length_delimited(5, each) for each in attributes)


def _ints(name: str, values: bytes) -> bytes:
    return _text(1, name) + values + _varint_field(20, _INTS)


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    lengths = [_varint_field(1, one) if isinstance(one, int) else _text(2, one) for one in shape]
    tensor = _varint_field(1, _FLOAT) + _length_delimited(2, b"".join(_length_delimited(1, one) for one in lengths))
    return _text(1, name) + _length_delimited(2, _length_delimited(1, tensor))


def _varint_field(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _length_delimited(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _length_delimited(field, text.encode())


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + struct.pack("B", value & 127 | 128), value >> 7
    return out + struct.pack("B", value)
