"""Trains the quickstart model, streams held-out conversations, measures and shows them.

    python -m experiments.demo --out out/demo
    python -m experiments.demo --out out/ahead --config.layout.look_ahead=2      # any setting, measured the same way

It writes to `--out`: `run/` (the trained model), `conversation.mp4` (user left, avatar right, each voice in its
channel), `contact_sheet.png`, `masks.png`, `response_map.png`, `motion_curves.png`, `report.html`, `eval.npz` and
`summary.json`. The model that ships is shown and measured beside it: `conversation_listener.mp4`,
`contact_sheet_listener.png`, the table's column `listener`. Started again it continues an unfinished training and makes
the rest anew. The conversation shown is the first held-out one, with the noise of a fixed seed.
"""

from pathlib import Path

from absl import flags

from afjax import files
from afjax.config import from_dict
from afjax.metrics.table import report
from experiments import cli
from experiments.evaluation.demo import demo

_OUT = flags.DEFINE_string("out", "out/demo", "Folder for everything.")
_CONFIG = cli.define_config("config", f"{Path(__file__).parent / 'configs' / 'quickstart.py'}:listening")


def main():
    out = files.writable(_OUT.value, folder=True)
    summary, table = demo(from_dict(_CONFIG.value.to_dict()), out)
    print(report.text(table))
    for name in report.not_discriminative(table):
        print(f"note: {name} does not tell recorded from shuffled conversations here, so it is no evidence")
    cli.print_table([(stage, round(seconds, 1)) for stage, seconds in summary["seconds"].items()], ("stage", "s"))
    print(f"written: {out}")


if __name__ == "__main__":
    cli.run(main)
