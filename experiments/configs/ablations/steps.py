"""Evaluations per block: how many the solver needs, beside Euler's with uniform steps.

    python -m experiments.ablate --suite steps --seeds 5 --out out/paper

The model is the base of the suite `paper`, and is taken from that suite's folder. Every other cell is its model sampled
anew, with the same noise: what differs is the error of truncation.
"""

from experiments.configs.ablations.paper import LISTENING, LOOK_AHEAD
from experiments.configs.ablations.suite import Cell, Suite

EULER = {"sampler.solver": "euler", "sampler.grid": "uniform"}


def _sampled(name: str, nfe: int, changes: dict) -> Cell:
    return Cell(f"{name}, {nfe}", samples="second order, 10", changes=changes | {"sampler.nfe": nfe})


SUITE = Suite(
    about="Ten evaluations a block of the second order.",
    base=LOOK_AHEAD | LISTENING,
    cells=(
        Cell("second order, 10"),
        *(_sampled("second order", nfe, {}) for nfe in (2, 5, 20, 40)),
        *(_sampled("Euler", nfe, EULER) for nfe in (1, 2, 5, 10, 40)),
    ),
)
