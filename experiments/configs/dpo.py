"""Preference tuning of a trained model (paper section 4.2): minutes on a laptop.

    python -m experiments.make_preferences --workdir out/demo/run --out out/losing
    python -m experiments.train --config experiments/configs/dpo.py --workdir out/dpo \\
        --config.preference.model=out/demo/run --config.preference.path=out/losing --config.data.path=out/demo/run/data

Variants, `--config experiments/configs/dpo.py:VARIANT`: `prototype` (default), `paper` (the formula as printed: beta
1000, lambda 0.1, L1 norms summed over channels, one sigmoid per frame) and `control`, the same extra steps without
preferences, against which every claim about them is measured. All else is as in the quickstart; a model of other sizes
needs those sizes as flags. `listener` tunes `listener_base`, a model that ships, with the paper's dose, 5000 steps at
1e-4, and does not stop. `full` tunes the config `paper` with the paper's formula and dose.
"""

from ml_collections import ConfigDict

from experiments.configs import choose, listener, paper, quickstart

PAPER = {"beta": 1000.0, "weight": 0.1, "formula": "paper"}


def get_config(variant: str = "prototype") -> ConfigDict:
    variant = choose(variant, "prototype", "paper", "control", "listener", "full")
    if variant == "full":
        return at_full_size()
    # `listening` has the demo's sizes
    config = listener.get_config() if variant == "listener" else quickstart.get_config("listening")
    config.name = f"dpo_{variant}"
    if variant == "paper":
        config.preference.update(PAPER)
    elif variant == "control":
        config.preference.weight = 0.0
    elif variant == "listener":
        config.preference.model = "listener_base"
        config.sampler.temperature = 1.01  # by variance and distance on conversations set aside
        config.data.train_clips = 1200
    config.objective.kept_conditions = {"joint": 1.0}  # both motions of a pair are judged under all conditions
    config.optimizer.update({"kind": "adamw", "learning_rate": 3e-5, "warmup_steps": 10, "ema": 0.98})
    config.data.batch = 8
    config.training.update(
        {"num_steps": 200, "listening_steps": 0, "log_every": 10, "save_every": 50, "sample_every": 50}
    )
    if variant == "listener":
        config.optimizer.learning_rate = 1e-4
        config.preference.update({"validation_clips": 16, "max_lip_corr_drop": 1.0, "max_fd_growth": 1e6})
        config.training.update(
            {"num_steps": 5000, "log_every": 100, "save_every": 2500, "sample_every": 2500, "probe_every": 0}
        )
    return config


def at_full_size() -> ConfigDict:
    """Preference tuning of `paper`; that config's average, over ten thousand steps, would hardly move in 5000."""
    config = paper.get_config()
    config.name = "dpo_full"
    config.preference.update(PAPER)
    config.optimizer.ema = 0.98
    config.objective.kept_conditions = {"joint": 1.0}
    config.training.keep_best = ""
    config.training.update({"num_steps": 5000, "log_every": 100, "save_every": 1000, "sample_every": 1000})
    return config
