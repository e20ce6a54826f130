"""Compares every array of a folder of parity fixtures with ours.

    python -m experiments.parity --fixtures parity --out out/parity
    python -m experiments.parity --fixtures parity --out out/parity --x64 --only "sampler_*:T80/*"

It prints a table (array, largest and rms error, limit, share of the limit taken), writes `parity.json` to `--out`, and
exits 1 if an array is over its limit or has no counterpart here.
"""

import sys

import jax
from absl import flags

from afjax import files
from afjax.errors import InputError
from afjax.parity.run import Fixtures, Row
from experiments import cli

_FIXTURES = flags.DEFINE_string("fixtures", None, "Folder of fixtures.")
_OUT = flags.DEFINE_string("out", "out/parity", "Folder for the report.")
_ONLY = flags.DEFINE_string("only", "*", "Pattern of FILE or FILE:KEY, e.g. 'ae_*' or '*:*/latents'.")
_X64 = flags.DEFINE_bool("x64", False, "Compute in float64 and compare with the float64 references.")


def main():
    if not _FIXTURES.value:
        raise InputError("--fixtures is missing", do="name a folder of parity fixtures")
    out = files.writable(_OUT.value, folder=True)
    jax.config.update("jax_enable_x64", _X64.value)
    jax.config.update("jax_default_matmul_precision", "highest")
    fixtures = Fixtures(_FIXTURES.value)
    only = _ONLY.value if ":" in _ONLY.value else f"{_ONLY.value}:*"
    names = [file for file in fixtures.files if fixtures.keys(file, _X64.value, only)]
    if not names:
        raise InputError(f"no array matches --only={_ONLY.value}", fixtures.folder, "patterns are FILE or FILE:KEY")
    rows = []
    with cli.Progress(len(names), "compare", "files") as progress:
        for file in names:
            rows += fixtures.rows(file, only, _X64.value)
            progress.update(note=file)
    bad = [row for row in rows if not row.ok]
    report(rows)
    content = {"x64": _X64.value, "failed": len(bad), "arrays": [_entry(row) for row in rows]}
    files.write_json(out / "parity.json", content)
    print(f"{len(rows) - len(bad)} of {len(rows)} arrays within their limits; written: {out / 'parity.json'}")
    if bad:
        sys.exit(1)


def report(rows: list[Row]):
    """Prints one line per array."""
    cells = [
        (f"{row.file}:{row.key}", f"{row.error:.1e}", f"{row.rms:.1e}", f"{row.limit:.1e}", f"{row.share:.2f}",
         "" if row.ok else "FAILED")
        for row in rows
    ]  # fmt: skip
    cli.print_table(cells, ("array", "max", "rms", "limit", "share", ""))


def _entry(row: Row) -> dict:
    names = ("file", "key", "error", "rms", "limit", "limit_rms", "share", "ok")
    return {name: getattr(row, name) for name in names}


if __name__ == "__main__":
    cli.run(main)
