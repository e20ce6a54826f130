"""Distance of a stream's audio features from those of the whole clip.

    python -m experiments.audio_window --weights weights/ --sound speech.wav --out out/audio_window

A stream computes the features of each block from a window of past sound (`afjax.audio.wav2vec2.features`); features of
the whole clip see all of it. The table has the features and their projection, which the generator reads. It gives the
rms difference as a share of the whole clip's own rms about its mean, and the correlation. R² says how much of the
stream's rows a fixed projection to fewer numbers keeps; it is fitted to the first half of the sound and counted in the
second.
"""

import time

from absl import flags

from afjax import files
from afjax.audio import framing
from afjax.audio.wav2vec2 import features
from afjax.errors import InputError
from afjax.media.audio import read_audio
from afjax.weights import convert
from experiments import cli
from experiments.evaluation.audio_window import SECONDS, measure

_WEIGHTS = flags.DEFINE_string("weights", None, "Converted folder.")
_SOUND = flags.DEFINE_string("sound", None, "Sound file; its first minute is used.")
_OUT = flags.DEFINE_string("out", None, "Folder of the results.")
_WINDOW = flags.DEFINE_integer("window", features.WINDOW, "Frames of past sound.", lower_bound=1)
_ROWS = flags.DEFINE_integer("rows", 10, "Frames of a block.", lower_bound=1)


def main():
    for flag in (_WEIGHTS, _SOUND, _OUT):
        if not flag.value:
            raise InputError(f"--{flag.name} is missing")
    if _ROWS.value > _WINDOW.value:
        raise InputError(f"--rows {_ROWS.value} is more than --window {_WINDOW.value}")
    out = files.writable(_OUT.value, folder=True)
    started = time.monotonic()
    wave = read_audio(_SOUND.value)[: SECONDS * framing.RATE]
    found = measure(convert.load(_WEIGHTS.value), wave, _ROWS.value, _WINDOW.value)
    seconds = round(time.monotonic() - started, 1)
    summary = {"window": _WINDOW.value, "rows": _ROWS.value, "frames": framing.count(len(wave)), **found}
    files.write_json(out / "summary.json", {**summary, "seconds": seconds, "warnings": cli.said()})
    kept = found.pop("r2")
    cli.print_table([[name, *row.values()] for name, row in found.items()], ["", "difference", "correlation"])
    cli.print_table([[numbers, share] for numbers, share in kept.items()], ["projected to", "R²"])
    print(f"{seconds} s: {out / 'summary.json'}")


if __name__ == "__main__":
    cli.run(main)
