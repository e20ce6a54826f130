"""A stream's audio features beside those of the whole clip."""

import jax.numpy as jnp
import numpy as np

from afjax.audio.wav2vec2 import features
from afjax.audio.wav2vec2.extractor import Wav2Vec2Features
from afjax.nn.condition_encoder import AudioProjection
from afjax.weights import convert

SECONDS = 60
PROJECTIONS = (64, 256, 512)


def distance(found: np.ndarray, whole: np.ndarray) -> dict[str, float]:
    """rms difference of two arrays `[t, dim]`, in units of the second's rms about its mean, and their correlation."""
    ours, theirs = found - found.mean(0), whole - whole.mean(0)
    spread = np.sqrt(np.square(theirs).mean())
    return {
        "difference": float(np.sqrt(np.square(found - whole).mean()) / spread),
        "correlation": float((ours * theirs).mean() / (spread * np.sqrt(np.square(ours).mean()))),
    }


def explained(rows: np.ndarray, numbers: int) -> float:
    """R² of a fixed projection of rows `[t, dim]` to `numbers` numbers, channels standardised as a model reads them.

    Its directions are those of most variance in the first half of the rows; the share is that of the second half's
    variance.
    """
    half = len(rows) // 2
    standard = (rows - rows[:half].mean(0)) / np.maximum(rows[:half].std(0), 1e-6)
    directions = np.linalg.svd(standard[:half], full_matrices=False)[2][:numbers]
    rest = standard[half:]
    return float(1 - np.square(rest - rest @ directions.T @ directions).sum() / np.square(rest).sum())


def measure(weights: convert.Weights, wave: np.ndarray, rows: int, window: int) -> dict[str, dict[str, float]]:
    """Distances of features and projection, over the whole sound and without its first `window` frames."""
    params, config = weights.wav2vec2.params(), weights.wav2vec2.config
    projection = {"params": weights.flow.params()["condition_encoder"]["audio_projection"]}
    project = AudioProjection(weights.flow.config.condition_width)
    wave = features.fill(wave)
    whole = features.features(params, config, wave)
    stream = Wav2Vec2Features(config, params, window, rows).clip(wave, len(whole))
    found = {"r2": {str(n): explained(stream, n) for n in PROJECTIONS if n < len(stream) // 2}}
    for name, view in (("features", np.asarray), ("projected", lambda x: project.apply(projection, jnp.asarray(x)))):
        ours, theirs = np.asarray(view(stream)), np.asarray(view(whole))
        found[name] = distance(ours, theirs)
        if len(whole) > window:
            found[f"{name}, later"] = distance(ours[window:], theirs[window:])
    return found
