"""Likeness of simulated users and avatars to the people of real clips (`experiments.evaluation.likeness`).

    python -m experiments.likeness --data out/demo/run/data --clip a.mp4 --clip b.mp4 --out out/likeness.json

The table has, per figure and channel, the simulated median over the real one, and the number of clips outside the 5th
to the 95th percentile of simulated users.
"""

from absl import flags

from afjax import files
from afjax.codec.face.channels import CHANNELS
from afjax.errors import InputError
from data_pipeline.records import read_split
from experiments import cli
from experiments.evaluation import likeness

_DATA = flags.DEFINE_string("data", "", "Folder of simulated conversations; its evaluation split is read.")
_CLIPS = flags.DEFINE_multi_string("clip", [], "Video of one person; once for each of several.")
_OUT = flags.DEFINE_string("out", "out/likeness.json", "File to write.")


def main():
    if not _DATA.value or not _CLIPS.value:
        raise InputError("--data and --clip are needed", do="--help lists the flags")
    out = files.writable(_OUT.value)
    paths = [files.absolute(name) for name in _CLIPS.value]
    people = list(read_split(files.absolute(_DATA.value), "eval"))
    real = {path.stem: likeness.of_clip(path) for path in paths}
    found = {
        side: likeness.compare([likeness.figures(getattr(clip, f"{side}_motion")) for clip in people], real)
        for side in ("user", "avatar")
    }
    summary = {side: likeness.shares(table, len(real)) for side, table in found.items()}
    table = {side: {**found[side], **summary[side]} for side in found}
    files.write_json(out, {"clips": list(real), "warnings": cli.said(), **table})
    for side, table in found.items():
        rows = [
            (figure, *(f"{row[name]['ratio']:.2f}" + f" {len(row[name]['outside']) or ''}" for name in CHANNELS))
            for figure, row in table.items()
        ]
        cli.print_table(rows, (side, *CHANNELS))
        print(f"{side}s: {summary[side]['inside']:.0%} inside, {summary[side]['within_1.5']:.0%} of medians within 1.5")
    print(f"written: {out}")


if __name__ == "__main__":
    cli.run(main)
