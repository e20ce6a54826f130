"""Quickstart: face coefficients, mel features, minutes on a laptop.

    python -m experiments.train --config experiments/configs/quickstart.py --workdir out/quickstart

It takes minutes on two cores with 2 GB. docs/results.md has the figures of earlier settings and of the listener, which
is trained for longer.

Variants, `--config experiments/configs/quickstart.py:VARIANT`: `stream` (default) trains on what a stream computes with
a finished past before every noisy block; `passes` on the stream's passes, with a past as noisy as it is drawn and clean
in half of the clips; `frames` on the paper's masks. `listening`, which `python -m experiments.demo` trains and
measures, is `stream` after 2000 steps that train only the parts that hear and see. Every field is a flag:
`--config.training.num_steps=2000`.
"""

from ml_collections import ConfigDict

from afjax.audio import mel
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config, to_dict
from data_pipeline.schema import EVENT_KINDS
from experiments.configs import choose

KEPT_CONDITIONS = {
    "joint": 0.7,
    "avatar": 0.12,
    "avatar_and_user_audio": 0.05,
    "avatar_and_user_motion": 0.05,
    "user": 0.04,
    "none": 0.04,
}
"""Probabilities of the conditions that a clip keeps; they train every branch of guidance, and every user without a
camera or a microphone."""


def get_config(variant: str = "stream") -> ConfigDict:
    variant = choose(variant, "stream", "passes", "frames", "listening")
    config = ConfigDict(to_dict(Config()))
    config.name = "quickstart"
    config.model.motion_dim = len(CHANNELS)
    config.model.audio_dim = mel.DIM
    config.model.condition_convolutions = 4
    config.model.answer_head = True
    config.layout.tokens = "stream" if variant == "listening" else variant
    config.layout.look_ahead = 0
    config.objective.clean_prefix = 0.0 if config.layout.tokens == "stream" else 0.5
    config.objective.noise_level_power = 2.0
    config.objective.kept_conditions = KEPT_CONDITIONS
    config.sampler.nfe = 10
    config.sampler.solver, config.sampler.grid = "dpm_solver_pp", "power"
    config.training.num_steps = 1200
    config.training.sample_every = 600
    config.training.sample_seconds = 2.0
    config.training.probe_every = 300
    if variant == "listening":
        config.model.cause_kinds = len(EVENT_KINDS)
        config.sampler.guidance_joint = 1.3  # a network of so few steps answers faintly without guidance
        config.sampler.temperature = 1.03
        config.training.listening_steps = 2000
        config.training.num_steps += config.training.listening_steps
    return config
