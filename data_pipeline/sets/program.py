"""The frame of every importer: flags, table, report, and a few lines about table and report."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from absl import flags

from afjax import files
from afjax.errors import InputError
from data_pipeline import command
from data_pipeline.sets import table


def run(read: Callable[..., Iterator[table.Row]], source: str, licence: str, **further: tuple[str, str]):
    """Runs an importer.

    Args:
      read: gives the table's lines from a folder, a `table.Skipped` and the values of the further flags.
      further: default and help of the importer's own flags, by name.
    """
    start(partial(_main, read, source, licence), source, "pairs.csv", **further)


def start(main: Callable[..., None], source: str, out: str, **further: tuple[str, str]):
    """Defines flags and calls `main(root, out, **further)` with their values."""
    flags.DEFINE_string("root", None, f"Folder of {source} as it was downloaded.")
    flags.DEFINE_string("out", out, "What to make.")
    for name, (default, said) in further.items():
        flags.DEFINE_string(name, default, said)

    def called():
        main(folder(flags.FLAGS.root), flags.FLAGS.out, **{name: flags.FLAGS[name].value for name in further})

    command.run(called)


def folder(path: str | None, flag: str = "root") -> Path:
    """A folder. Raises InputError where it is missing."""
    if not path:
        raise InputError(f"--{flag} is missing", do=f"name the folder: --{flag} FOLDER")
    found = files.absolute(path)
    if not found.is_dir():
        raise InputError("no such folder", found, f"--{flag} names it")
    return found


def _main(read, source: str, licence: str, root: Path, out: str, **settings: str):
    skip = table.Skipped()
    summary = table.write(out, read(root, skip, **settings), skip, source, licence)
    for split, count in summary["conversations"].items():
        print(f"{split:10}{count:>8} conversations")
    for reason, count in skip.counts().most_common(12):
        print(f"{'left out':10}{count:>8} {reason}")
    print(f"{summary['table']}, {summary['report']}")
