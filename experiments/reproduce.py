"""The paper's tables, from recordings, by the named commands that it prints (docs/reproduce.md).

    python -m experiments.reproduce --table 1 --table 5 --data DATA --networks NETWORKS --out out/paper
    python -m experiments.reproduce --data DATA --networks NETWORKS --out out/paper --dry_run
    python -m experiments.reproduce --tiny --out out/tiny

All seven tables are made without `--table`. The program stops and goes on: a finished step is not run again
(`--out`/steps). `--tiny` makes recordings and networks of its own and goes through all steps in minutes; its figures
mean nothing. The program writes `table1.json` to `table7.json` and `tables.md`, the paper's numbers beside ours.
"""

from pathlib import Path

from absl import flags

from afjax import files
from afjax.errors import InputError
from experiments import cli
from experiments.reproduction import recipe, steps, tables, tiny

_TABLES = flags.DEFINE_multi_integer("table", [], "Table of the paper, once for each; all without it.", 1, 7)
_DATA = flags.DEFINE_string("data", "", "Folder of the recordings.")
_NETWORKS = flags.DEFINE_string("networks", "", "Folder of the metrics' networks and of wav2vec2's weights.")
_TRACKS = flags.DEFINE_string("tracks", "", "Folder of tracks of SPECTRE or EMOCA, PROTOCOL/MODEL/ROW/NAME.npz.")
_TINY = flags.DEFINE_bool("tiny", False, "The whole way at next to no size, on recordings that it makes.")
_DRY = flags.DEFINE_bool("dry_run", False, "Print the steps and their hours, and run none.")
_OUT = flags.DEFINE_string("out", "out/reproduce", "Folder of all that is made.")


def given(out: Path) -> recipe.Settings:
    """The settings that the flags name. Raises InputError where a file or folder is missing."""
    if _TINY.value:
        if _DATA.value or _NETWORKS.value:
            raise InputError("--tiny makes its own recordings and networks", do="leave out --data and --networks")
        return tiny.settings(out)
    if not (_DATA.value and _NETWORKS.value):
        raise InputError("--data and --networks are needed", do="docs/reproduce.md says what they hold; or --tiny")
    data, networks = files.absolute(_DATA.value), files.absolute(_NETWORKS.value)
    for path in (data / "pairs.csv", data / "faces" / "train", data / "faces" / "eval", networks / "weights"):
        if not path.exists():
            raise InputError("it is missing", path, "docs/reproduce.md says what it is")
    tracks = str(files.absolute(_TRACKS.value)) if _TRACKS.value else ""
    return recipe.Settings(data, networks, out, tracks)


def main():
    out = files.writable(_OUT.value, folder=True)
    asked = tuple(sorted(set(_TABLES.value))) or tuple(range(1, 8))
    settings = given(out)
    if _TINY.value and not _DRY.value:
        tiny.prepare(out)
    planned = recipe.plan(asked, settings)
    if _DRY.value:
        rows = [
            (step.name, "done" if steps.done(step, out) else "" if step.hours is None else f"{step.hours:g} h")
            for step in planned
        ]
        for step in planned:
            print(step.command)
        cli.print_table([*rows, ("all, on one H100", f"{sum(step.hours or 0 for step in planned):g} h")])
        return
    steps.run(planned, out, jobs=2 if _TINY.value else 1)
    said = (
        "Made at next to no size with networks of drawn weights: **the figures mean nothing.**" if _TINY.value else ""
    )
    written = tables.write(out, asked, said)
    print(written.read_text())
    print(f"written: {written}")


if __name__ == "__main__":
    cli.run(main)
