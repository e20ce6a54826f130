"""How far a stream's audio features are from those of the whole clip.

    python -m experiments.audio_window --weights weights/ --sound speech.wav --out out/audio_window

A stream computes the features of each block from a window of past sound (`afjax.audio.wav2vec2.features`); the whole
clip's see all of it. For the features and for their projection, which is what the generator reads, the table gives the
rms difference as a share of the whole clip's own rms about its mean, and the correlation.
"""

import time

import jax.numpy as jnp
import numpy as np
from absl import flags

from afjax.audio import framing
from afjax.audio.wav2vec2 import features
from afjax.errors import InputError
from afjax.media.audio import read_audio
from afjax.nn.condition_encoder import AudioProjection
from afjax.weights import convert
from experiments import cli

SECONDS = 60


def streamed(params, config, wave: np.ndarray, rows: int, window: int) -> np.ndarray:
    """Rows `[T, dim]` of sound `[T * 640]` as a stream makes them, `rows` at a time."""
    past, found = features.unheard(config), []
    for first in range(0, len(wave), rows * framing.FRAME):
        block = wave[first : first + rows * framing.FRAME]
        past = features.hear(params, config, past, block[None])
        heard = wave[: first + len(block)]
        found.append(features.latest(params, config, heard, len(block) // framing.FRAME, past, window))
    return np.concatenate(found)


def distance(found: np.ndarray, whole: np.ndarray) -> dict[str, float]:
    """Of two arrays `[T, dim]`: rms difference in units of the second's rms about its mean, and correlation."""
    ours, theirs = found - found.mean(0), whole - whole.mean(0)
    spread = np.sqrt(np.square(theirs).mean())
    return {
        "difference": float(np.sqrt(np.square(found - whole).mean()) / spread),
        "correlation": float((ours * theirs).mean() / (spread * np.sqrt(np.square(ours).mean()))),
    }


def measure(weights: convert.Weights, wave: np.ndarray, rows: int, window: int) -> dict[str, dict[str, float]]:
    """Distances of features and projection, over the whole sound and without its first `window` frames."""
    params, config = weights.wav2vec2.params(), weights.wav2vec2.config
    projection = {"params": weights.flow.params()["condition_encoder"]["audio_projection"]}
    project = AudioProjection(weights.flow.config.condition_width)
    wave = features.fill(wave)
    whole = features.features(params, config, wave)
    stream = streamed(params, config, wave, rows, window)
    found = {}
    for name, view in (("features", np.asarray), ("projected", lambda x: project.apply(projection, jnp.asarray(x)))):
        ours, theirs = np.asarray(view(stream)), np.asarray(view(whole))
        found[name] = distance(ours, theirs)
        if len(whole) > window:
            found[f"{name}, later"] = distance(ours[window:], theirs[window:])
    return found


def main():
    for flag in (_WEIGHTS, _SOUND, _OUT):
        if not flag.value:
            raise InputError(f"--{flag.name} is missing")
    if _ROWS.value > _WINDOW.value:
        raise InputError(f"--rows {_ROWS.value} is more than --window {_WINDOW.value}")
    out = cli.writable(_OUT.value, folder=True)
    started = time.monotonic()
    wave = read_audio(_SOUND.value)[: SECONDS * framing.RATE]
    found = measure(convert.load(_WEIGHTS.value), wave, _ROWS.value, _WINDOW.value)
    seconds = round(time.monotonic() - started, 1)
    summary = {"window": _WINDOW.value, "rows": _ROWS.value, "frames": framing.count(len(wave)), **found}
    cli.write_json(out / "summary.json", {**summary, "seconds": seconds})
    cli.print_table([[name, *row.values()] for name, row in found.items()], ["", "difference", "correlation"])
    print(f"{seconds} s: {out / 'summary.json'}")


if __name__ == "__main__":
    _WEIGHTS = flags.DEFINE_string("weights", None, "Converted folder.")
    _SOUND = flags.DEFINE_string("sound", None, "Sound file; its first minute is used.")
    _OUT = flags.DEFINE_string("out", None, "Folder of the results.")
    _WINDOW = flags.DEFINE_integer("window", features.WINDOW, "Frames of past sound.", lower_bound=1)
    _ROWS = flags.DEFINE_integer("rows", 10, "Frames of a block.", lower_bound=1)
    cli.run(main)
