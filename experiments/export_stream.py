"""A trained model's live step as a bundle that runs without afjax.

    python -m experiments.export_stream --out bundle/
    python -m experiments.export_stream --workdir out/demo/run --out bundle/ --platforms cpu,cuda --sessions 1
    python bundle/run.py

The folder holds the compiled step's program, parameters, a session's first state, an example, a manifest with hashes of
all of it, and a loader (`docs/export.md`). An earlier bundle there is replaced.
"""

from absl import flags

from afjax.errors import InputError
from afjax.export.bundle import PLATFORMS
from experiments import cli
from experiments.export.bundle import export

_WORKDIR = flags.DEFINE_string("workdir", "", "Run folder of a trained model; without it the one that ships.")
_OUT = flags.DEFINE_string("out", None, "Folder to write, or a bundle to replace.")
_PLATFORMS = flags.DEFINE_list("platforms", ["cpu", "cuda"], f"Where it shall run: {', '.join(PLATFORMS)}.")
_SESSIONS = flags.DEFINE_integer("sessions", 1, "Sessions of one step.", lower_bound=1)
_PRECISION = cli.define_precision()
_LICENCE = flags.DEFINE_string("licence", "", "Licence of the model's parameters, for the manifest.")


def main():
    if not _OUT.value:
        raise InputError("--out is missing", do="python -m experiments.export_stream --help")
    summary = export(_WORKDIR.value, _OUT.value, _PLATFORMS.value, _SESSIONS.value, _LICENCE.value, _PRECISION.value)
    cli.print_table([[name, f"{size / 1e3:.1f} kB"] for name, size in summary["bytes"].items()])
    if summary["latency_ms"]:
        latency, equal = summary["latency_ms"], "equal to the bit" if summary["example"]["bit_equal"] else "close"
        print(
            f"a block takes {latency['p50']:.1f} ms (p95 {latency['p95']:.1f}) on {latency['device']}; example {equal}"
        )
    else:
        print(f"not run: this machine is none of {', '.join(_PLATFORMS.value)}")
    print(f"{summary['seconds']} s: {summary['out']}; check it with python {summary['out']}/run.py")


if __name__ == "__main__":
    cli.run(main)
