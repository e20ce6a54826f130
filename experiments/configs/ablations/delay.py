"""User delay and block length: the cost of a user who comes late, and of shorter blocks.

    python -m experiments.ablate --suite delay --seeds 5 --out out/paper

A block is made when it starts if the delay is one block; what the user does is then seen, on average, half a block and
the computation later. A block without a delay waits until its own user frames have happened. INFP's windows are the
paper's baseline. It and the first cell are models of the suite `paper`, and are taken from that suite's folder if they
are there.
"""

from experiments.configs.ablations.paper import BLOCKWISE, LISTENING, LOOK_AHEAD
from experiments.configs.ablations.suite import Cell, Suite

BLOCK_5 = {"layout.block": 5, "layout.cache": 43}

SUITE = Suite(
    about="Blocks of ten frames, no delay, no look-ahead.",
    base=BLOCKWISE | LISTENING,
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
        Cell("infp", config="infp", changes=LISTENING),
    ),
)
