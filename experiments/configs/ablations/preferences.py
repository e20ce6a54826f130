"""Preference tuning: whose losing samples, and how strongly.

    python -m experiments.ablate --suite preferences --seeds 3 --out out/paper

Every cell goes on from the base of the suite `paper` for 200 steps and is compared with as many plain steps of it, at
its own learning rate. The model itself makes the losing samples unless the name says otherwise.
"""

from experiments.configs.ablations.paper import LOOK_AHEAD
from experiments.configs.ablations.suite import Cell, Suite

CONTROL, FAST_CONTROL = "more steps", "more steps, learning rate 1e-4"
FAST = {"optimizer.learning_rate": 1e-4}


def _tuned(name: str, changes=None, against: str = CONTROL, losing: str = "base", **more) -> Cell:
    changes = LOOK_AHEAD | (changes or {})
    return Cell(name, config="dpo", changes=changes, tunes="base", losing=losing, against=against, **more)


def _control(name: str, changes=None) -> Cell:
    changes = LOOK_AHEAD | (changes or {})
    return Cell(name, config="dpo:control", changes=changes, tunes="base", losing="talking only")


SUITE = Suite(
    about="Diffusion forcing on the stream's passes, look-ahead of two frames, before any tuning.",
    base=LOOK_AHEAD,
    cells=(
        Cell("base"),
        Cell("talking only", config="talking_only"),
        _control(CONTROL),
        _control(FAST_CONTROL, FAST),
        _tuned("user dropped, beta 1000, lambda 1"),
        _tuned("beta 300", {"preference.beta": 300.0}),
        _tuned("lambda 3", {"preference.weight": 3.0}),
        _tuned("learning rate 1e-4", FAST, against=FAST_CONTROL),
        _tuned("another clip's user", user="partner"),
        _tuned("talking only's samples", losing="talking only"),
    ),
)
