"""Runs a model for many minutes and says whether its motion drifts.

    python -m experiments.drift --minutes 30 --out out/drift
    python -m experiments.drift --workdir out/quickstart --minutes 30 --sessions 32 --out out/drift

Many sessions go through the stream's own step at once, first listening (the user speaks and moves, the avatar is
silent), then speaking. Their conditions are chained from held-out conversations
(`experiments.evaluation.endless_conditions`): those of `--data`, by default the model's own. If a model has none, as
the one that ships, they are simulated into `--out`/data. `afjax/metrics/long/minute_distances.py` defines the distances
and the bands. Only each minute's moments of motion are kept, so that memory doesn't grow with `--minutes`.
`--anchor_seconds` and `--anchor_band` take the place of the run's (`afjax/streaming/anchor.py`). Motion of the latent
codec is measured in coefficients of its directions; the part outside of their span is reported (`off_span`, a share of
the squared length). `--identity` renders two frames per session and minute and embeds them with dlib's network
(`requirements-metrics.txt`): cosines with the portraits, CSIM-dlib. The program writes `summary.json`, `table.txt`
(every minute) and `drift.png`.
"""

from absl import flags

from afjax import files
from afjax.codec.face.channels import CHANNELS
from afjax.metrics.pretrained.dlib_face import DlibFace
from experiments import cli
from experiments.evaluation import eval_set
from experiments.evaluation.long_stream import HEADER, drift, rows, with_anchor, write
from experiments.runs.data import measured_on

_WORKDIR = flags.DEFINE_string("workdir", "", "Run folder of a trained model; without it the one that ships.")
_DATA = flags.DEFINE_string("data", "", "Folder of conversations; without it the model's own.")
_MINUTES = flags.DEFINE_integer("minutes", 30, "Minutes of each kind.", lower_bound=3)
_SESSIONS = flags.DEFINE_integer("sessions", 32, "Sessions that run at once.", lower_bound=2)
_SECONDS = flags.DEFINE_float("anchor_seconds", None, "Time constant of the anchor; 0: none.", lower_bound=0.0)
_BAND = flags.DEFINE_float("anchor_band", None, "Dead band of the anchor.", lower_bound=0.0)
_IDENTITY = flags.DEFINE_bool("identity", False, "Render faces and embed them.")
_OUT = flags.DEFINE_string("out", "out/drift", "Folder of the results.")


def main():
    out = files.writable(_OUT.value, folder=True)
    run = with_anchor(cli.load_avatar(_WORKDIR.value), _SECONDS.value, _BAND.value)
    data = measured_on(run, _DATA.value, out)
    clips = eval_set.held_out(data, run.codec().channels if run.config.data.codec else CHANNELS)
    embed = DlibFace() if _IDENTITY.value else None
    summary = {
        "workdir": run.folder,
        "data": data,
        "step": run.step,
        "sampler": vars(run.config.sampler),
        "minutes": _MINUTES.value,
        "sessions": _SESSIONS.value,
        "conditions": drift(run, clips, _MINUTES.value, _SESSIONS.value, embed),
    }
    write(out, summary)
    cli.print_table(rows(summary["conditions"]), HEADER)
    print(f"written: {out}")


if __name__ == "__main__":
    cli.run(main)
