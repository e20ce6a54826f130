"""Every array of the files `wav2vec2_*`, computed by ours, for the parity report."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from afjax.audio.framing import FRAME
from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.audio.wav2vec2.features import fill, interpolate, standardise
from afjax.audio.wav2vec2.network import Wav2Vec2
from afjax.nn.condition_encoder import AudioProjection
from afjax.weights import names
from afjax.weights.wav2vec2_names import names as wav2vec2_names

_PROJECTION = {
    "audio_encoder.audio_projection.0.weight": (("linear", "kernel"),),
    "audio_encoder.audio_projection.0.bias": (("linear", "bias"),),
    "audio_encoder.audio_projection.1.weight": (("norm", "scale"),),
    "audio_encoder.audio_projection.1.bias": (("norm", "bias"),),
}


def config_of(tensors: Mapping[str, np.ndarray]) -> Wav2Vec2Config:
    """Sizes from the shapes. The number of heads has no shape: 64 channels a head, or 4 heads in narrow networks."""
    conv = "wav2vec2.feature_extractor.conv_layers.{}.conv.weight"
    kernels = [tensors[conv.format(i)].shape for i in range(sum(conv.format(i) in tensors for i in range(32)))]
    positional = tensors["wav2vec2.encoder.pos_conv_embed.conv.weight_v"].shape
    width = positional[0]
    return Wav2Vec2Config(
        width=width,
        depth=sum(name.endswith(".attention.q_proj.weight") for name in tensors),
        heads=width // 64 or 4,
        feed_forward=len(tensors["wav2vec2.encoder.layers.0.feed_forward.intermediate_dense.bias"]),
        conv_dim=tuple(shape[0] for shape in kernels),
        conv_kernel=tuple(shape[2] for shape in kernels),
        positional_kernel=positional[2],
        positional_groups=width // positional[1],
    )


def projection_shapes(tensors: Mapping[str, np.ndarray], width: int = 512) -> dict[str, tuple[int, ...]]:
    """Shapes of the audio projection that belongs to a wav2vec2; its manifest doesn't list it."""
    shapes = [(width, config_of(tensors).dim), (width,), (width,), (width,)]
    return dict(zip(_PROJECTION, shapes, strict=True))


def arrays(file: str, stored: Mapping[str, np.ndarray], tensors: Mapping[str, np.ndarray], dtype) -> dict:
    """Key -> array for every computed array of a file.

    Args:
      file: its name without suffix; every `wav2vec2_*` file is computed alike.
      stored: all its arrays: inputs `in/...`, and the others for their shapes, numbers of samples and channels kept.
      tensors: by released name, those of `projection_shapes` among them.
      dtype: of parameters and inputs; float64 only with 64-bit floats enabled.
    """
    config = config_of(tensors)
    cast = {name: np.asarray(value, dtype) for name, value in tensors.items()}
    params = {"params": names.to_tree(cast, wav2vec2_names(config))}
    projection = {"params": names.to_tree(cast, _PROJECTION)}
    network, project = Wav2Vec2(config), AudioProjection(len(tensors["audio_encoder.audio_projection.0.bias"]))

    @jax.jit
    def inner(params, wave, filled):
        bound = network.bind(params)
        rows = bound.rows(wave, bound.statistics(wave))
        aligned = interpolate(rows, filled.shape[1] // FRAME)
        projected = bound.project(aligned)
        states = bound.hidden(projected)
        return {
            "features": rows,
            "features_interpolated": aligned,
            "feature_projection": projected,
            "pos_conv": bound.embed(projected),
            "hidden_states0": states[0],
            "last_hidden_state": states[-1],
            "stacked": jnp.concatenate(states[1:], axis=-1),
        }

    @jax.jit
    def outer(params, projection, waves):
        return project.apply(projection, network.apply(params, waves))

    with jax.default_matmul_precision("highest"):
        wave = np.asarray(stored["in/wave_normalised"], dtype)
        found = inner(params, wave[None], fill(wave)[None])
        short = np.asarray(standardise(stored["in/wave_raw"][: int(stored["in/padded_case_samples"])]), dtype)
        frames = stored["padded_case/audio_projection"].shape[1]
        both = outer(params, projection, np.stack([fill(wave, frames), fill(short, frames)]))
        found |= {"audio_projection": both[:1], "padded_case/audio_projection": both[1:]}
        found["num_features"] = np.asarray(rows_of(config, len(wave)), np.int32)
        for key in stored:
            if key.startswith("linear_interp/to"):
                x = jnp.asarray(stored["in/linear_interp/x"], dtype)
                found[key] = interpolate(x, int(key.removeprefix("linear_interp/to")))
            elif key == "num_samples_to_features":
                samples = stored[key][:, 0]
                found[key] = np.stack([samples, [rows_of(config, int(n)) for n in samples]], axis=1)
    return {key: _kept(np.asarray(value), stored[key].shape) for key, value in found.items()}


def rows_of(config: Wav2Vec2Config, samples: int) -> int:
    """Rows of the convolutions of a wave."""
    return max((samples - config.receptive) // config.hop + 1, 0)


def _kept(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Every k-th channel, where a file stores no more."""
    return value[..., :: value.shape[-1] // shape[-1]] if value.ndim and value.shape != shape else value
