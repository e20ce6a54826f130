"""Distillation: a model of few evaluations per block that makes, without guidance, what its guided teacher makes.

    python -m experiments.train --config experiments/configs/distill.py --workdir out/fast
    python -m experiments.train --config experiments/configs/distill.py:quickstart --workdir out/fast \\
        --config.distillation.model=out/demo/run --config.data.path=out/demo/run/data

Variants are the config that the teacher was trained by: `listener` (default, whose teacher is the model that ships) and
`quickstart`. A teacher of other sizes needs those sizes as flags. `--config.sampler.nfe` is the number of evaluations
per block, a divisor of the teacher's, and asks for a temperature of its own, above the teacher's: by .005 with two, by
.025 with one. docs/results.md, "Few evaluations", has the frontier.
"""

from ml_collections import ConfigDict

from experiments.configs import choose, listener, quickstart


def get_config(variant: str = "listener") -> ConfigDict:
    variant = choose(variant, "listener", "quickstart")
    config = listener.get_config() if variant == "listener" else quickstart.get_config("listening")
    config.name = f"distill_{variant}"
    config.distillation.model = "listener" if variant == "listener" else ""
    warmer = 1.015 if variant == "listener" else 1.035
    config.sampler.update({"solver": "euler", "nfe": 2, "guidance_joint": 1.0, "temperature": warmer})
    config.objective.kept_conditions = {"joint": 0.9, "avatar": 0.1}
    config.optimizer.muon_learning_rate *= 0.3
    config.optimizer.learning_rate *= 0.3
    config.data.window, config.data.batch = 100, 4
    config.training.update(
        {"num_steps": 6000, "listening_steps": 0, "probe_every": 0, "sample_every": 100000, "log_every": 50}
    )
    return config
