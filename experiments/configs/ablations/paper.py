"""The paper's claims, cell by cell (sections 5.3 and 5.4, tables 1, 5, 6 and 7).

    python -m experiments.ablate --suite paper --seeds 5 --out out/paper

By the rates of a few steps a cell and seed take some six minutes of one core.
"""

from data_pipeline.schema import EVENT_KINDS
from experiments.configs.ablations.objectives import OBJECTIVES
from experiments.configs.ablations.suite import Cell, Suite

PASSES = {
    "layout.tokens": "passes", "objective.clean_prefix": 0.5, "sampler.guidance_joint": 1.0, "sampler.temperature": 1.0,
}  # fmt: skip
"""Settings that all suites share: a past as noisy as it is drawn, and no guidance."""
LISTENING = {
    "model.cause_kinds": len(EVENT_KINDS), "training.listening_steps": 2000, "training.num_steps": 3200,
}  # fmt: skip
"""Training of whatever begins from random weights, that of `quickstart:listening`."""
BLOCKWISE = PASSES | {"layout.mask": "blockwise", "layout.look_ahead": 0}
LOOK_AHEAD = PASSES | {"layout.look_ahead": 2, "layout.mask": "blockwise_lookahead"}
NO_LOOK_AHEAD = {"layout.look_ahead": 0}
NO_USER_MOTION = {"avatar_and_user_audio": 0.8, "avatar": 0.12, "user_audio": 0.04, "none": 0.04}
AS_RELEASED = {"model.condition_encoder": "released", "layout.condition_window": 0, "model.condition_convolutions": 0}


def _tuned(name: str, config: str, losing: str, against: str = "more steps") -> Cell:
    return Cell(name, config=config, changes=LOOK_AHEAD, tunes="base", losing=losing, against=against)


SUITE = Suite(
    about="Diffusion forcing on the stream's passes, look-ahead of two frames, blocks of ten.",
    base=LOOK_AHEAD | LISTENING,
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
        Cell("encoder released", changes=AS_RELEASED),
        Cell("infp", config="infp", changes=LISTENING),
        Cell("talking only", config="talking_only", changes=LISTENING),
        Cell("guidance on the user 2", samples="base", changes={"sampler.guidance_reaction": 1.0}),
        _tuned("more steps", "dpo:control", "talking only", against=""),
        _tuned("dpo", "dpo", "talking only"),
        _tuned("dpo, paper's formula", "dpo:paper", "talking only"),
        _tuned("dpo, own losing samples", "dpo", "base"),
    ),
)
