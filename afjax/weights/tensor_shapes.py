"""Tensors that each released file must hold: sizes from the shapes, then every name and shape from the sizes.

Vectors of several layers together tell the sizes, so that one missing or transposed tensor is reported as that and
doesn't make all others look wrong.
"""

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping

import jax
import numpy as np

from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.codec.latent import network
from afjax.codec.latent.config import LatentConfig
from afjax.config import LayoutConfig, ModelConfig
from afjax.errors import InputError
from afjax.nn.condition_encoder import Conditions
from afjax.nn.token_layout import frame_layout
from afjax.nn.transformer import ForcingTransformer
from afjax.weights import flow_names, latent_names, names, wav2vec2_names

__all__ = ["NOISE", "UNUSED", "flow_config", "latent_config", "shapes", "table", "wav2vec2_config"]

Config = ModelConfig | LatentConfig | Wav2Vec2Config

NOISE = ".noise.weight"
"""End of the names of parameters that are in the released file but are never used at inference."""

UNUSED = {
    "flow": (
        "flow_transformer.alignment_mask",
        "flow_transformer.block_bidir_causal_lookahead_mask",
        "flow_transformer.blocks.*.attn.freqs_cis",
        "audio_encoder.wav2vec2.masked_spec_embed",
    ),
    "autoencoder": (
        "motion_autoencoder.enc.net_app.convs.*.conv2.0.kernel",
        "motion_autoencoder.enc.net_app.convs.*.skip.0.kernel",
        "motion_autoencoder.dec.convs.*.conv.blur.kernel",
        "motion_autoencoder.dec.to_rgbs.*.upsample.kernel",
        "motion_autoencoder.dec.to_flows.*.upsample.kernel",
    ),
    "wav2vec2": wav2vec2_names.UNUSED,
}
"""Patterns of constants and leftovers that a file may hold besides its parameters."""

_FLOW = "flow_transformer."
_MOST = 64  # layers: a damaged name must not ask for a million of them


def table(config: Config) -> names.Names:
    """Name table of a network."""
    if isinstance(config, ModelConfig):
        return flow_names.names(config)
    return (latent_names if isinstance(config, LatentConfig) else wav2vec2_names).names(config)


@functools.lru_cache(maxsize=16)
def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Released name -> shape, of every parameter of a network."""
    if isinstance(config, Wav2Vec2Config):
        return wav2vec2_names.shapes(config)
    if isinstance(config, LatentConfig):
        tree = jax.eval_shape(functools.partial(network.init_params, config), jax.random.key(0))
    else:
        tree = _flow_tree(config)
    return names.tree_shapes(tree, table(config))


def _flow_tree(config: ModelConfig):
    def init(key):
        motion = np.zeros((1, 1, config.motion_dim), np.float32)
        audio = np.zeros((1, 1, config.audio_dim), np.float32)
        layout = frame_layout(LayoutConfig(condition_window=0), 1)
        conditions = Conditions(audio, audio, motion)
        condition_mask, noise_level = np.ones((1, 3), np.float32), motion[..., 0]
        return ForcingTransformer(config).init(
            key, motion, noise_level, motion[:, 0], conditions, condition_mask, layout, method="forward"
        )

    return jax.eval_shape(init, jax.random.key(0))["params"]


def flow_config(tensors: Mapping[str, np.ndarray], heads: int, audio_dim: int, where: object) -> ModelConfig:
    """Sizes of the flow transformer. No shape tells `heads`; `audio_dim` is that of the wav2vec2 beside it."""
    width = _vote(tensors, (_FLOW + "x_embedder.proj.bias", _FLOW + r"blocks\.\d+\.(cross_)?attn\.proj\.bias"), where)
    inner = _vote(tensors, (_FLOW + r"blocks\.\d+\.mlp\.fc1\.bias",), where)
    return ModelConfig(
        motion_dim=_vote(tensors, (_FLOW + "final_layer.linear.bias",), where),
        audio_dim=audio_dim,
        width=width,
        depth=_layers(tensors, _FLOW + r"blocks\.(\d+)\."),
        heads=heads,
        mlp_ratio=max(inner // width, 1),
        condition_encoder="released",
        condition_width=_vote(tensors, (_FLOW + r"c_embedder\.(ln\d|motion_embedder\.\d)\.bias",), where),
    )


def latent_config(tensors: Mapping[str, np.ndarray], where: object) -> LatentConfig:
    """Sizes of the latent codec."""
    start, head = latent_names.PREFIX + "dec.", latent_names.PREFIX + "enc.fc."
    levels = _layers(tensors, re.escape(start) + r"to_(?:rgbs|flows)\.(\d+)\.")
    first = start + r"conv1\.activate\.bias", start + r"to_flows\.0\.conv\.modulation\.bias"
    channels = [_vote(tensors, first, where)]
    for n in range(levels):
        own = rf"convs\.({2 * n}|{2 * n + 1})\.activate\.bias", rf"to_flows\.{n}\.conv\.modulation\.bias"
        channels.append(_vote(tensors, [start + name for name in own], where))
    directions = tensors.get(start + "direction.weight", np.zeros(())).shape
    if len(directions) != 2:
        directions = [_vote(tensors, (head + layer + r"\.bias",), where) for layer in ("[0-3]", "4")]
    try:
        return LatentConfig(4 * 2**levels, max(directions), min(directions), tuple(channels))
    except InputError as error:
        raise InputError(str(error), where) from None


def wav2vec2_config(tensors: Mapping[str, np.ndarray], heads: int, where: object) -> Wav2Vec2Config:
    """Sizes of a wav2vec2 that comes without its config.json; strides are those of its family."""
    start = wav2vec2_names.PREFIX
    layer, conv = re.escape(start) + r"encoder\.layers\.", start + "feature_extractor.conv_layers.{}.conv.weight"
    count = _layers(tensors, re.escape(conv).replace(r"\{\}", r"(\d+)"))
    try:
        kernels = [tensors[conv.format(i)].shape for i in range(count)]
        width, group, taps = tensors[start + "encoder.pos_conv_embed.conv.weight_v"].shape
        return Wav2Vec2Config(
            width=width,
            depth=_layers(tensors, layer + r"(\d+)\."),
            heads=heads,
            feed_forward=_vote(tensors, (layer + r"\d+\.feed_forward\.intermediate_dense\.bias",), where),
            conv_dim=tuple(shape[0] for shape in kernels),
            conv_kernel=tuple(shape[2] for shape in kernels),
            positional_kernel=taps,
            positional_groups=width // group,
        )
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise InputError(f"these are not wav2vec2's tensors ({error})", where) from None


def _vote(tensors: Mapping[str, np.ndarray], patterns: Iterable[str], where: object) -> int:
    """The size of most vectors whose names match these patterns."""
    named = (value.size for name, value in tensors.items() if any(re.fullmatch(p, name) for p in patterns))
    found = Counter(size for size in named if size)
    if not found:
        first = next(iter(tensors), "nothing")
        family = next(iter(patterns)).split(".")[0]
        fault = f"no tensor of {family}.* tells the sizes (the first is {first})"
        raise InputError(fault, where, "is it another file?")
    return found.most_common(1)[0][0]


def _layers(tensors: Iterable[str], pattern: str) -> int:
    """One more than the highest number of a layer with at least half as many tensors as the fullest layer."""
    found = (re.match(pattern, name) for name in tensors)
    counts = Counter(int(match[1]) for match in found if match and len(match[1]) < 4)
    enough = max(counts.values(), default=0) / 2
    return max([n for n, count in counts.items() if n < _MOST and count >= enough], default=0) + 1
