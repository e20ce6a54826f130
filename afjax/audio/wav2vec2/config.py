"""Sizes of a wav2vec2 network, checked when made; read from a Hugging Face config.json as well."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from afjax.audio.framing import FRAME
from afjax.errors import InputError

# What the network is built for: name in config.json -> the only value that is supported (also the default).
_FIXED = {
    "do_stable_layer_norm": False,
    "feat_extract_norm": "group",
    "conv_bias": False,
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "add_adapter": False,
}
_NAMES = {
    "width": "hidden_size",
    "depth": "num_hidden_layers",
    "heads": "num_attention_heads",
    "feed_forward": "intermediate_size",
    "conv_dim": "conv_dim",
    "conv_kernel": "conv_kernel",
    "conv_stride": "conv_stride",
    "positional_kernel": "num_conv_pos_embeddings",
    "positional_groups": "num_conv_pos_embedding_groups",
    "epsilon": "layer_norm_eps",
}
_MOST = 1 << 16  # no size of a network is larger: a damaged file must not ask for all memory


@dataclass(frozen=True)
class Wav2Vec2Config:
    """Defaults are the base size. `epsilon` is that of every norm but the group norm, which has 1e-5.

    Raises InputError unless one frame of 640 samples holds the whole receptive field of exactly one kept row.
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    feed_forward: int = 3072
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    positional_kernel: int = 128
    positional_groups: int = 16
    epsilon: float = 1e-5

    def __post_init__(self):
        for name in ("width", "depth", "heads", "feed_forward", "positional_kernel", "positional_groups"):
            _size(getattr(self, name), name)
        for name in ("conv_dim", "conv_kernel", "conv_stride"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            for value in getattr(self, name):
                _size(value, name)
        if not len(self.conv_dim) == len(self.conv_kernel) == len(self.conv_stride) > 0:
            raise InputError("conv_dim, conv_kernel and conv_stride must be of one length", "wav2vec2 config")
        if self.width % self.heads or self.width % self.positional_groups:
            raise InputError("width must be a multiple of heads and of positional_groups", "wav2vec2 config")
        if isinstance(self.epsilon, bool) or not isinstance(self.epsilon, int | float) or not 0 < self.epsilon < 1:
            raise InputError(f"epsilon = {self.epsilon!r} must lie between 0 and 1", "wav2vec2 config")
        if FRAME % self.hop or not 0 <= FRAME - self.receptive < self.hop:
            raise InputError(
                f"rows of {self.receptive} samples every {self.hop} don't fit frames of {FRAME} samples",
                "wav2vec2 config",
                "use the convolutions of wav2vec2-base",
            )

    @property
    def hop(self) -> int:
        """Samples from one row of convolutional features to the next."""
        return math.prod(self.conv_stride)

    @property
    def receptive(self) -> int:
        """Samples that one row of convolutional features reads."""
        samples, hop = 1, 1
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            samples += (kernel - 1) * hop
            hop *= stride
        return samples

    @property
    def dim(self) -> int:
        """Features of a frame: all hidden layers side by side."""
        return self.width * self.depth


def from_huggingface(content: Mapping[str, Any], where: object = "config.json") -> Wav2Vec2Config:
    """Config from the content of a Hugging Face config.json; what it doesn't name has the base size.

    Raises InputError for another kind of network (stable layer norm, layer-normed convolutions, adapters, ...).
    """
    if not isinstance(content, Mapping):
        raise InputError("is not a table of settings", where)
    kind = content.get("model_type", "wav2vec2")
    if kind != "wav2vec2":
        raise InputError(f"model_type is {kind!r}, not 'wav2vec2'", where, "take facebook/wav2vec2-base-960h")
    for name, value in _FIXED.items():
        if content.get(name, value) != value:
            raise InputError(f"{name} = {content[name]!r} is not supported", where, f"only {value!r} is")
    values = {ours: content[theirs] for ours, theirs in _NAMES.items() if theirs in content}
    for name in ("conv_dim", "conv_kernel", "conv_stride"):
        if not isinstance(values.get(name, []), list | tuple):
            raise InputError(f"{name} is not a list", where)
    try:
        return Wav2Vec2Config(**values)
    except InputError as error:
        raise InputError(str(error), where) from None


def _size(value, name: str):
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MOST:
        raise InputError(f"{name} = {value!r} is not a size", "wav2vec2 config")
