"""Few evaluations a block: students of one teacher, and what its solver makes of as few without distillation.

    python -m experiments.ablate --suite distillation --seeds 3 --out out/distillation

The teacher is the quickstart that listens, ten evaluations of two branches a block. `--budget` shortens its training,
not the students'. A student's noise is warmer than its teacher's, as experiments/configs/distill.py says (that of five
evaluations as that of two), and that of the solver alone, the student's control, is as warm.
`distillation_evaluations.png` has the frontier.
"""

from experiments.configs.ablations.suite import Cell, Suite

WARMER = {1: 0.025, 2: 0.005, 5: 0.005}
"""What is added to the teacher's temperature, by evaluations a block."""


def _cells(nfe: int) -> tuple[Cell, Cell]:
    control = f"solver alone, {nfe}"
    few = {"sampler.nfe": nfe, "sampler.temperature": 1.03 + WARMER[nfe]}
    taught = {"config": "distill:quickstart", "taught_by": "teacher", "against": control}
    return (
        Cell(control, samples="teacher", changes=few),
        Cell(f"student, {nfe}", changes=few | {"training.num_steps": 2000}, **taught),
    )


SUITE = Suite(
    about="The quickstart that listens, guided against no condition.",
    cells=(
        Cell("teacher", config="quickstart:listening"),
        Cell("converged, 40", samples="teacher", changes={"sampler.nfe": 40}),
        *(cell for nfe in WARMER for cell in _cells(nfe)),
    ),
)
