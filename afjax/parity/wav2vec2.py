"""Every array of the files `wav2vec2_*`, computed by ours, for the parity report."""

import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from afjax.audio.framing import FRAME, count
from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.audio.wav2vec2.features import fill, interpolate, standardise
from afjax.audio.wav2vec2.network import Wav2Vec2
from afjax.nn.condition_encoder import AudioProjection
from afjax.parity.arrays import Stored, kept
from afjax.weights import names
from afjax.weights.wav2vec2_names import names as wav2vec2_names

_PROJECTION = {
    "audio_encoder.audio_projection.0.weight": (("linear", "kernel"),),
    "audio_encoder.audio_projection.0.bias": (("linear", "bias"),),
    "audio_encoder.audio_projection.1.weight": (("norm", "scale"),),
    "audio_encoder.audio_projection.1.bias": (("norm", "bias"),),
}


def projection_shapes(config: Wav2Vec2Config, width: int = 512) -> dict[str, tuple[int, ...]]:
    """Shapes of the audio projection that belongs to a wav2vec2; its manifest doesn't list it."""
    return dict(zip(_PROJECTION, [(width, config.dim), (width,), (width,), (width,)], strict=True))


def arrays(config: Wav2Vec2Config, stored: Stored, tensors: Mapping[str, np.ndarray], dtype) -> dict[str, np.ndarray]:
    """Known arrays of a file by key.

    Args:
      stored: all its arrays: inputs `in/...`, and the others for their names and the channels kept.
      tensors: by released name, those of `projection_shapes` among them.
      dtype: that of parameters and inputs; float64 only with 64-bit floats enabled.
    """
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
        found["audio_projection"] = outer(params, projection, fill(wave)[None])
        if "padded_case/audio_projection" in stored:
            short = np.asarray(standardise(stored["in/wave_raw"][: int(stored["in/padded_case_samples"])]), dtype)
            found["padded_case/audio_projection"] = outer(params, projection, fill(short, count(len(wave)))[None])
        found["num_features"] = np.asarray(rows_of(config, len(wave)), np.int32)
        for key in stored:
            if frames := re.fullmatch(r"linear_interp/to([1-9]\d*)", key):
                found[key] = interpolate(jnp.asarray(stored["in/linear_interp/x"], dtype), int(frames[1]))
            elif key == "num_samples_to_features":
                samples = stored[key][:, 0]
                found[key] = np.stack([samples, [rows_of(config, int(n)) for n in samples]], axis=1)
    return {key: kept(np.asarray(value), stored[key].shape) for key, value in found.items() if key in stored}


def rows_of(config: Wav2Vec2Config, samples: int) -> int:
    """Rows of the convolutions of a wave."""
    return max((samples - config.receptive) // config.hop + 1, 0)
