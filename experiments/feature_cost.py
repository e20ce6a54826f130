"""Cost of audio features per training step: stored in the records, or computed on the device in every step.

    python -m experiments.feature_cost --config experiments/configs/quickstart.py --out out/feature_cost
    python -m experiments.feature_cost --config experiments/configs/paper.py --repeats 0 --out out/paper_feature_cost

The program counts the work and the bytes of a step for wav2vec2-base. Unless `--repeats` is 0 it also times, on this
device, the config's train step, whose batch brings its features. Beside it are the times of the features of the same
windows, two voices each: mel from the windows and the past that their first rows read, wav2vec2-base from the windows
alone (weights of any value take as long). `--voices` times fewer voices and multiplies.
"""

from pathlib import Path

import jax
from absl import flags

from afjax import files
from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.config import from_dict
from experiments import cli
from experiments.live.feature_cost import counted, measure

_CONFIG = cli.define_config("config", Path(__file__).parent / "configs" / "quickstart.py")
_OUT = flags.DEFINE_string("out", "out/feature_cost", "Folder of the result.")
_VOICES = flags.DEFINE_integer("voices", 0, "Voices timed at a time; 0: all of a batch.", lower_bound=0)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Calls after the first; 0: nothing is timed.", lower_bound=0)


def main():
    out = files.writable(_OUT.value, folder=True)
    config = from_dict(_CONFIG.value.to_dict())
    counts = counted(config, Wav2Vec2Config())
    cli.print_table([list(row.values()) for row in counts], list(counts[0]))
    device, times = jax.devices()[0].device_kind, {}
    if _REPEATS.value:
        times = measure(config, Wav2Vec2Config(), _VOICES.value, _REPEATS.value)
        first = times["step, features stored"]
        cli.print_table([[name, value, value / first] for name, value in times.items()], [device, "ms", "steps"])
    summary = {"device": device, "config": config.name, "counted": counts, "milliseconds": times}
    files.write_json(out / "summary.json", summary)
    print(f"written: {out / 'summary.json'}")


if __name__ == "__main__":
    cli.run(main)
