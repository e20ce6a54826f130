"""Solver steps per block.

    python -m experiments.ablate --suite steps --seeds 5 --out out/paper

The model is the base of the suite `paper`, and is taken from that suite's folder.
"""

from experiments.configs.ablations.paper import LOOK_AHEAD
from experiments.configs.ablations.suite import Cell, Suite

SUITE = Suite(
    about="Five Euler steps a block.",
    base=LOOK_AHEAD,
    cells=(Cell("nfe 5"), *(Cell(f"nfe {n}", samples="nfe 5", changes={"sampler.nfe": n}) for n in (1, 2, 4, 8, 16))),
)
