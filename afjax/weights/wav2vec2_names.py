"""Names of wav2vec2's tensors in the Hugging Face files, where all begin with `wav2vec2.`."""

from collections.abc import Mapping

from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.errors import InputError

PREFIX = "wav2vec2."
UNUSED = ("wav2vec2.masked_spec_embed", "lm_head.*")
"""Patterns of tensors that may be there and play no part in computing features."""

_LINEAR = {"weight": "kernel", "bias": "bias"}
_NORM = {"weight": "scale", "bias": "bias"}
_LAYER = {
    "attention.q_proj": ("query", _LINEAR),
    "attention.k_proj": ("key", _LINEAR),
    "attention.v_proj": ("value", _LINEAR),
    "attention.out_proj": ("out", _LINEAR),
    "layer_norm": ("attention_norm", _NORM),
    "feed_forward.intermediate_dense": ("up", _LINEAR),
    "feed_forward.output_dense": ("down", _LINEAR),
    "final_layer_norm": ("norm", _NORM),
}
_POSITIONAL = "wav2vec2.encoder.pos_conv_embed.conv."
_SPELLINGS = {
    _POSITIONAL + "parametrizations.weight.original0": _POSITIONAL + "weight_g",
    _POSITIONAL + "parametrizations.weight.original1": _POSITIONAL + "weight_v",
}


def names(config: Wav2Vec2Config) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Released name -> paths below "params" among which its tensor is split along axis 0 (here always one)."""
    table = {f"feature_extractor.conv_layers.{i}.conv.weight": (f"convs_{i}", "kernel") for i in range(_convs(config))}
    table["feature_extractor.conv_layers.0.layer_norm.weight"] = ("group_scale",)
    table["feature_extractor.conv_layers.0.layer_norm.bias"] = ("group_bias",)
    table |= _pair("feature_projection.layer_norm", ("feature_norm",), _NORM)
    table |= _pair("feature_projection.projection", ("feature_projection",), _LINEAR)
    table["encoder.pos_conv_embed.conv.weight_g"] = ("positional", "g")
    table["encoder.pos_conv_embed.conv.weight_v"] = ("positional", "v")
    table["encoder.pos_conv_embed.conv.bias"] = ("positional", "bias")
    table |= _pair("encoder.layer_norm", ("norm",), _NORM)
    for i in range(config.depth):
        for name, (ours, leaves) in _LAYER.items():
            table |= _pair(f"encoder.layers.{i}.{name}", (f"layers_{i}", ours), leaves)
    return {PREFIX + name: (path,) for name, path in table.items()}


def shapes(config: Wav2Vec2Config) -> dict[str, tuple[int, ...]]:
    """Released name -> shape."""
    c, wide, deep = config, config.width, config.feed_forward
    inputs = (1, *c.conv_dim)
    found = {
        f"feature_extractor.conv_layers.{i}.conv.weight": (c.conv_dim[i], inputs[i], c.conv_kernel[i])
        for i in range(_convs(c))
    }
    found |= _vectors("feature_extractor.conv_layers.0.layer_norm", c.conv_dim[0])
    found |= _vectors("feature_projection.layer_norm", c.conv_dim[-1])
    found |= _matrix("feature_projection.projection", wide, c.conv_dim[-1])
    found["encoder.pos_conv_embed.conv.weight_g"] = (1, 1, c.positional_kernel)
    found["encoder.pos_conv_embed.conv.weight_v"] = (wide, wide // c.positional_groups, c.positional_kernel)
    found["encoder.pos_conv_embed.conv.bias"] = (wide,)
    found |= _vectors("encoder.layer_norm", wide)
    sizes = {"feed_forward.intermediate_dense": (deep, wide), "feed_forward.output_dense": (wide, deep)}
    for i in range(c.depth):
        for name, (_, leaves) in _LAYER.items():
            full = f"encoder.layers.{i}.{name}"
            found |= _vectors(full, wide) if leaves is _NORM else _matrix(full, *sizes.get(name, (wide, wide)))
    return {PREFIX + name: shape for name, shape in found.items()}


def canonical(tensors: Mapping, where: object = None) -> dict:
    """The same tensors with the older of the two spellings of the weight-normalised convolution.

    Raises InputError if a tensor is there in both.
    """
    both = [name for new, name in _SPELLINGS.items() if new in tensors and name in tensors]
    if both:
        raise InputError(f"{both[0]} is there in both of its spellings", where, "delete one")
    return {_SPELLINGS.get(name, name): value for name, value in tensors.items()}


def spelled_newer(tensors: Mapping) -> bool:
    """Whether the weight-normalised convolution has the names that recent PyTorch gives it."""
    return any(name in tensors for name in _SPELLINGS)


def newer(tensors: Mapping) -> dict:
    """The inverse of `canonical`."""
    back = {old: new for new, old in _SPELLINGS.items()}
    return {back.get(name, name): value for name, value in tensors.items()}


def _convs(config: Wav2Vec2Config) -> int:
    return len(config.conv_dim)


def _pair(name: str, path: tuple[str, ...], leaves: dict[str, str]) -> dict[str, tuple[str, ...]]:
    return {f"{name}.{theirs}": (*path, ours) for theirs, ours in leaves.items()}


def _vectors(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _matrix(name: str, out: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, inputs), f"{name}.bias": (out,)}
