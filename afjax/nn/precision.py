"""Mixed precision of networks: one setting, `compute.precision`, for training, streaming, export and benchmark.

    float32     products in full float32: what parity with other code's numbers needs
    tf32        products as JAX has them by default: rounded to TF32 by NVIDIA's tensor cores, full on a CPU
    bfloat16    activations, weights and caches have half the bytes and 8 bits of mantissa

Some parts stay in float32 under bfloat16, because they sum over many steps or need more than 8 bits: norms, softmax,
rotations, the level's embedding, how much the user moves, the solver and its motion, running means, latents and the
coordinates of warps. Products among them are as in tf32. Weights of products are cast once where a model streams, those
of wav2vec2 at each use where it reads recorded sound.
"""

import contextlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

__all__ = ["activation_dtype", "matmul_precision"]


@contextlib.contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Context or decorator that gives the products and convolutions traced inside this precision.

    `precision`: `float32`, `tf32` or `bfloat16`.
    """
    with jax.default_matmul_precision("highest") if precision == "float32" else contextlib.nullcontext():
        yield


def activation_dtype(precision: str, given: DTypeLike = jnp.float32) -> np.dtype:
    """dtype of activations for an input of dtype `given`; `precision` as in `products`."""
    return jnp.dtype(jnp.bfloat16) if precision == "bfloat16" else jnp.dtype(given)
