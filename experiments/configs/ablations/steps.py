"""Solver steps a block.

python -m experiments.ablate --suite steps --seeds 3 --out out/steps
"""

from experiments.configs.ablations.cell import Cell, Suite

SUITE = Suite(
    about="Five Euler steps a block.",
    cells=(Cell("nfe 5"), *(Cell(f"nfe {n}", samples="nfe 5", changes={"sampler.nfe": n}) for n in (1, 2, 4, 8, 16))),
)
