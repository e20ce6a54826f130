"""Reaction lag: how soon a model answers its user's smile, beside the people from whom it learned.

    python -m experiments.reaction_lag --workdir out/quickstart --out out/reaction_lag.json

Every held-out conversation is generated twice with one key: as it was, and with a user who smiles as much as possible
from the start of frame t on, at times when the user does not smile (`calm`). The reaction is the first frame that
differs by `afjax.streaming.latency.SEEN` in any channel, in the block that saw the smile or within RESPONSE after it.
The play-out clock shows it `offset + (frame - t) / 25` seconds after the smile, with the offset of a computation of
--headroom seconds. `own` is the second term; it is negative where a block that has waited for the smile answers in
frames before it. `people` is the same smile in the simulation, whose avatar's answer is known without noise; people
collect and compute nothing.

`experiments.benchmark` measures this at real-time pace, with smiles that begin anywhere in a frame. Here all pairs are
generated at once, tracking is exact, and a model's own lag is separate from what buffers and computing add.
"""

from absl import flags

from afjax import files
from experiments import cli
from experiments.evaluation.reaction_lag import HEADROOM, of_run

_WORKDIR = flags.DEFINE_string("workdir", "", "Run folder of a trained model; the model that ships without it.")
_DATA = flags.DEFINE_string("data", "", "Folder of simulated conversations; the run's own by default, or simulated.")
_ROUNDS = flags.DEFINE_integer("rounds", 4, "Smiles in each conversation, one at a time.", lower_bound=1)
_HEADROOM = flags.DEFINE_float("headroom", HEADROOM, "Seconds for computing a block.", lower_bound=0.0)
_OUT = flags.DEFINE_string("out", "out/reaction_lag.json", "File to write.")


def main():
    out = files.writable(_OUT.value)
    summary = of_run(_WORKDIR.value, _DATA.value, out.with_suffix(""), _ROUNDS.value, _HEADROOM.value)
    files.write_json(out, summary)
    rows = [(who, *(summary[who][name] for name in ("p50", "p95", "seen"))) for who in ("model", "own", "people")]
    cli.print_table(rows, ("", "p50, ms", "p95, ms", "seen, share"))
    print(f"written: {out}")


if __name__ == "__main__":
    cli.run(main)
