"""The paper's claims, cell by cell (sections 5.3 and 5.4, tables 1, 5, 6 and 7).

    python -m experiments.ablate --suite paper --seeds 5 --out out/paper

It takes about four minutes per cell and seed on two cores.
"""

from experiments.configs.ablations.objectives import OBJECTIVES
from experiments.configs.ablations.suite import Cell, Suite

PASSES = {
    "layout.tokens": "passes",
    "model.condition_convolutions": 0,
    "model.answer_head": False,
    "objective.clean_prefix": 0.5,
    "objective.noise_level_power": 1.0,
    "objective.kept_conditions": {},
    "sampler.solver": "euler",
    "sampler.grid": "uniform",
    "sampler.nfe": 5,
}
"""Settings that all suites share: a past as noisy as it is drawn, independent drops, five Euler steps."""
LOOK_AHEAD = PASSES | {"layout.look_ahead": 2, "layout.mask": "blockwise_lookahead"}
NO_LOOK_AHEAD = {"layout.look_ahead": 0}
NO_USER_MOTION = {"avatar_and_user_audio": 0.81, "avatar": 0.09, "user_audio": 0.09, "none": 0.01}


def _tuned(name: str, config: str, losing: str, against: str = "more steps") -> Cell:
    return Cell(name, config=config, changes=LOOK_AHEAD, tunes="base", losing=losing, against=against)


SUITE = Suite(
    about="Diffusion forcing on the stream's passes, look-ahead of two frames, blocks of ten.",
    base=LOOK_AHEAD,
    cells=(
        Cell("base"),
        Cell("no user motion", changes={"objective.kept_conditions": NO_USER_MOTION}),
        Cell("trained on masks", changes={"layout.tokens": "frames"}),
        Cell("mask framewise", changes={"layout.mask": "framewise", **NO_LOOK_AHEAD}),
        Cell("mask blockwise", changes={"layout.mask": "blockwise", **NO_LOOK_AHEAD}),
        Cell("mask framewise, look-ahead", changes={"layout.mask": "framewise_lookahead"}),
        Cell("blocks of 5", changes={"layout.block": 5, "layout.cache": 43}),
        Cell("blocks of 25", changes={"layout.block": 25, "layout.cache": 23}),
        Cell("no clean prefix", changes=OBJECTIVES["forcing_block"]),
        Cell("level a frame", changes=OBJECTIVES["forcing_token"]),
        Cell("teacher forcing", changes=OBJECTIVES["teacher_forcing"]),
        Cell("shared level", changes=OBJECTIVES["shared_level"]),
        Cell("encoder released", changes={"model.condition_encoder": "released", "layout.condition_window": 0}),
        Cell("infp", config="infp"),
        Cell("talking only", config="talking_only"),
        Cell("guidance on the user 2", samples="base", changes={"sampler.guidance_reaction": 1.0}),
        _tuned("more steps", "dpo:control", "talking only", against=""),
        _tuned("dpo", "dpo", "talking only"),
        _tuned("dpo, paper's formula", "dpo:paper", "talking only"),
        _tuned("dpo, own losing samples", "dpo", "base"),
    ),
)
