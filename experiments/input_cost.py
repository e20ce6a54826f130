"""Cost of training data that does not fit into memory: memory, bytes per window, waiting.

    python -m experiments.input_cost --out out/input_cost

The program writes, for each of `--hours`, a data set of noise as wide as the paper's (512 latents, 9216 numbers of
wav2vec2 per frame). Its files are links to one file, so that 200 hours take a quarter of a gigabyte; the disk itself is
not measured. The program trains a small network on it (`resident_mb`: memory of the process without pages of files),
emulates steps of `--milliseconds` (`input_wait`: the share of the time that they wait for batches, which needs a
machine that does nothing else; `processor_ms_per_batch` does not), and counts the bytes read per window. Only Linux
says these things of a process.
"""

import shutil

from absl import flags

from afjax import files
from afjax.errors import InputError
from experiments import cli
from experiments.live.input_cost import measure

_OUT = flags.DEFINE_string("out", "out/input_cost", "Folder of the result.")
_HOURS = flags.DEFINE_list("hours", ["10", "200"], "Hours of the data sets.")
_BATCH = flags.DEFINE_integer("batch", 8, "Windows of a batch.", lower_bound=1)
_FRAMES = flags.DEFINE_integer("frames", 50, "Frames of a window.", lower_bound=1)
_MILLISECONDS = flags.DEFINE_float("milliseconds", 50.0, "An emulated step.", lower_bound=0.0)
_STEPS = flags.DEFINE_integer("steps", 40, "Steps of either kind.", lower_bound=1)


def main():
    out = files.writable(_OUT.value, folder=True)
    try:
        hours = [float(each) for each in _HOURS.value]
    except ValueError:
        raise InputError("--hours is no list of numbers", do="--hours=10,200") from None
    work = out / "work"
    shutil.rmtree(work, ignore_errors=True)
    try:
        rows = [measure(work, h, _BATCH.value, _FRAMES.value, _MILLISECONDS.value, _STEPS.value) for h in hours]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    files.write_json(out / "summary.json", {"batch": _BATCH.value, "frames": _FRAMES.value, "rows": rows})
    cli.print_table([list(row.values()) for row in rows], list(rows[0]))
    print(f"written: {out / 'summary.json'}")


if __name__ == "__main__":
    cli.run(main)
