"""Listener: how the model that ships is trained before its tuning; hours on two cores.

    python -m experiments.make_listener --out out/listener

simulates, trains by this file (`out/listener/base`) and tunes by `dpo.py:listener` and centres (`out/listener/model`);
stopped, it goes on. `afjax.load("listener_base")` loads a model that was trained by this file and further; its card,
afjax/models/listener_base/README.md, says how.

    python -m experiments.train --config experiments/configs/listener.py:finetune --config.data.path=DATA \\
        --workdir out/mine

goes on from that model with conversations of your own: 12000 steps at a quarter of its learning rates.

The model is somewhat larger than the quickstart, whose objective it has. Its blocks of five frames see their user five
frames late, so that a block is made when it starts.
"""

from ml_collections import ConfigDict

from experiments.configs import choose, quickstart


def get_config(variant: str = "") -> ConfigDict:
    variant = choose(variant, "listener", "finetune")
    config = quickstart.get_config("listening")
    config.name = "listener"
    config.model.width = 128
    config.model.condition_width = 96
    # a nod of a calm user is as large as the fidgeting of a lively one; these are told apart by what is usual for each
    config.model.relative_frames = 75
    config.layout.block = 5
    config.layout.cache = 40
    config.layout.user_delay = 5
    # guidance is against no condition at all, its scale chosen on conversations set aside: against the avatar's voice
    # alone lips and answers to interruptions stay faint; answers are too small below, expressions too large from 1.7 on
    config.sampler.guidance_joint = 1.4
    config.sampler.nfe = 12
    config.sampler.temperature = 1.015  # by the variance of generated motion on conversations set aside
    # a model that trusts its past less listens more, but shakes where blocks meet: two fifths too much with noise to .2
    config.objective.history_noise = 0.05
    config.optimizer.ema = 0.999
    config.data.train_clips = 3600
    config.data.batch = 8
    config.optimizer.muon_learning_rate = 0.015
    config.training.num_steps = 62000
    config.training.listening_steps = 30000
    config.training.log_every = 100
    config.training.save_every = 1000
    config.training.sample_every = 100000
    config.training.probe_every = 2000
    if variant == "finetune":
        config.name = "listener_finetune"
        config.optimizer.learning_rate *= 0.25
        config.optimizer.muon_learning_rate *= 0.25
        config.sampler.temperature = 1.005
        config.training.update({"start_from": "listener_base", "num_steps": 12000, "listening_steps": 0})
    return config
