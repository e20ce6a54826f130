"""Guidance: which branches, which scales, and how training drops conditions.

    python -m experiments.ablate --suite guidance --seeds 5 --out out/paper

The first model is the base of the suite `paper`, and is taken from that suite's folder. "Drops by branch" trains the
paper's four branches alone.
"""

from experiments.configs.ablations.paper import LISTENING, LOOK_AHEAD
from experiments.configs.ablations.suite import Cell, Suite

INDEPENDENT = {"objective.kept_conditions": {}, "objective.condition_dropout": 0.1}
TABLE = {"objective.kept_conditions": {"joint": 0.6, "avatar": 0.15, "user": 0.15, "none": 0.1}}


def _guided(name: str, of: str, avatar: float, user: float, joint: float) -> Cell:
    scales = {"sampler.guidance_avatar": avatar, "sampler.guidance_user": user, "sampler.guidance_joint": joint}
    return Cell(f"{name} ({of})", samples=of, changes=scales)


SUITE = Suite(
    about="No guidance, conditions dropped as the quickstart does.",
    base=LOOK_AHEAD | LISTENING,
    cells=(
        Cell("base"),
        Cell("independent drops", changes=INDEPENDENT),
        Cell("drops by branch", changes=TABLE),
        *(
            cell
            for trained in ("base", "independent drops", "drops by branch")
            for cell in (
                _guided("paper: avatar 2, user 1", trained, 2.0, 1.0, 0.0),
                _guided("user 1.5", trained, -0.5, 0.0, 1.5),
                _guided("user 2", trained, -1.0, 0.0, 2.0),
                _guided("all 1.5", trained, 0.0, 0.0, 1.5),
            )
        ),
    ),
)
