"""Preference tuning: the source of the losing samples, and the strength.

    python -m experiments.ablate --suite preferences --seeds 5 --out out/paper

Every cell goes on from the base of the suite `paper` for 200 steps and is compared with as many plain steps of that
base, at the cell's learning rate. The model itself makes the losing samples unless the name says otherwise. Samples
made with the user are a control: they lack only what any sample lacks. `renewed` takes four rounds of 50 steps; in each
the model of the round before makes the losing samples and is the reference. `paper's dose` has the paper's 5000 steps
at 1e-4 (an hour each on two cores), validated and not stopped. `afjax.losses.dpo` says what beta means in standardised
units.
"""

from experiments.configs.ablations.paper import LISTENING, LOOK_AHEAD
from experiments.configs.ablations.suite import Cell, Suite

CONTROL, FAST_CONTROL = "more steps", "more steps, learning rate 1e-4"
FAST = {"optimizer.learning_rate": 1e-4}
DOSE = FAST | {
    "training.num_steps": 5000, "training.save_every": 500, "training.sample_every": 5000,
    "preference.max_lip_corr_drop": 1.0, "preference.max_fd_growth": 1e6,
}  # fmt: skip
DOSE_CONTROL = "more steps, paper's dose"
ROUND = {"training.num_steps": 50}
ROUNDS = ("base", *(f"renewed {n}" for n in (1, 2, 3, 4)))


def _tuned(name: str, changes=None, against=CONTROL, losing="base", tunes="base", **more) -> Cell:
    changes = LOOK_AHEAD | (changes or {})
    return Cell(name, config="dpo", changes=changes, tunes=tunes, losing=losing, against=against, **more)


def _control(name: str, changes=None) -> Cell:
    changes = LOOK_AHEAD | (changes or {})
    return Cell(name, config="dpo:control", changes=changes, tunes="base", losing="talking only")


SUITE = Suite(
    about="Diffusion forcing on the stream's passes, look-ahead of two frames, before any tuning.",
    base=LOOK_AHEAD | LISTENING,
    cells=(
        Cell("base"),
        Cell("talking only", config="talking_only", changes=LISTENING),
        _control(CONTROL),
        _control(FAST_CONTROL, FAST),
        _tuned("user dropped, beta 1000, lambda 1"),
        _tuned("beta 300", {"preference.beta": 300.0}),
        _tuned("lambda 3", {"preference.weight": 3.0}),
        _tuned("learning rate 1e-4", FAST, against=FAST_CONTROL),
        _tuned("user unseen", user="unseen"),
        _tuned("another clip's user", user="partner"),
        _tuned("talking only's samples", losing="talking only"),
        _tuned("with the user", user="kept"),
        *(_tuned(name, ROUND, tunes=last, losing=last) for last, name in zip(ROUNDS, ROUNDS[1:], strict=False)),
        _control(DOSE_CONTROL, DOSE),
        _tuned("paper's dose", DOSE, against=DOSE_CONTROL),
        _tuned("paper's dose, with the user", DOSE, against=DOSE_CONTROL, user="kept"),
    ),
)
