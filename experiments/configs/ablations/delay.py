"""What it costs to answer to a user who is heard and seen late, and to work in shorter blocks.

    python -m experiments.ablate --suite delay --seeds 5 --out out/paper

With a delay of a block a block is made when it starts, and what the user does is seen half a block and the computation
later on average; without one a block waits until its own user frames have happened. INFP's windows are the paper's
baseline. It and the first cell are models of the suite `paper`, from whose folder they are taken if they are there.
"""

from experiments.configs.ablations.paper import LOOK_AHEAD, PASSES
from experiments.configs.ablations.suite import Cell, Suite

BLOCK_5 = {"layout.block": 5, "layout.cache": 43}

SUITE = Suite(
    about="Blocks of ten frames, no delay, no look-ahead.",
    base=PASSES | {"layout.mask": "blockwise", "layout.look_ahead": 0},
    smiles=2,
    cells=(
        Cell("block 10"),
        *(Cell(f"block 10, delay {d}", changes={"layout.user_delay": d}) for d in (5, 10, 15)),
        *(Cell(f"block 5, delay {d}", changes={**BLOCK_5, "layout.user_delay": d}) for d in (0, 5)),
        Cell("block 5, delay 5, look-ahead 2", changes={**BLOCK_5, **LOOK_AHEAD, "layout.user_delay": 5}),
        Cell(
            "block 5, delay 5, anchored",
            samples="block 5, delay 5",
            changes={"sampler.anchor_seconds": 5.0, "sampler.anchor_band": 0.5},
        ),
        Cell("block 2, delay 2", changes={"layout.block": 2, "layout.cache": 46, "layout.user_delay": 2}),
        Cell("infp", config="infp"),
    ),
)
