"""Known synthetic weights: a tensor is a function of (seed, released name, shape) alone, the same bits everywhere.

`u` is uniform with mean 0 and variance 1, made of 24 random bits of Philox's raw stream, keyed by the seed and the
CRC-32 of the name. No tensor is zero, so that errors also show in layers that training starts at zero.
"""

import hashlib
import math
import zlib
from collections.abc import Mapping

import numpy as np

__all__ = ["digest", "manifest_shapes", "state_dict", "tensor", "unit_variance_uniform"]


def unit_variance_uniform(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """`u` float64 of a shape."""
    count = math.prod(shape)
    stream = np.random.Philox(key=np.array([seed, zlib.crc32(name.encode())], np.uint64))
    words = stream.random_raw((count + 1) // 2).astype("<u8").view("<u4")[:count]
    return (((words >> np.uint32(8)) + 0.5) * 2.0**-23 - 1).reshape(shape) * math.sqrt(3)


def tensor(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Parameter float32 of a released name: biases small, norms near 1, matrices of unit gain."""
    u, fan_in = unit_variance_uniform(name, shape, seed), math.prod(shape[1:])
    codec = name.startswith("motion_autoencoder.")
    if name.endswith(("weight_g", "modulation.bias")):
        value = 1 + 0.1 * u
    elif name.endswith("bias"):
        value = 0.1 * u
    elif len(shape) == 1 and name.endswith("weight"):
        value = 1 + 0.1 * u
    elif codec:  # these layers divide by sqrt(fan_in) themselves; sampling offsets stay moderate
        value = 0.1 * u if "to_flows." in name else u
    elif name.endswith(("weight_v", "masked_spec_embed")):
        value = u
    elif "feature_extractor." in name:
        value = math.sqrt(2 / fan_in) * u
    else:
        value = (1.5 if "t_embedder." in name else 1.0) / math.sqrt(fan_in) * u
    return value.astype(np.float32)


def manifest_shapes(manifest: Mapping) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every parameter that a manifest's content lists."""
    listed = manifest["parameters"]
    return {name: tuple(v["shape"] if isinstance(v, dict) else v) for name, v in listed.items()}


def state_dict(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Tensors by released name."""
    return {name: tensor(name, shape, seed) for name, shape in shapes.items()}


def digest(tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over sorted names and little-endian float32 bytes."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(np.ascontiguousarray(tensors[name], "<f4").tobytes())
    return found.hexdigest()
