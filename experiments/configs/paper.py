"""The paper's model as its text has it: latent motion, wav2vec2 features, two million steps on one data-centre GPU.

    python -m experiments.train --config experiments/configs/paper.py --config.data.path=DATA --workdir out/paper

DATA must be given: records with 512 motion channels of the latent codec and 9216 audio features per frame (12 hidden
layers of wav2vec2-base); simulated conversations have neither. The model has 153.5 M parameters, as many as the
released network; weights, their average and Adam's moments take 2.5 GB. We chose what the paper leaves open: a constant
learning rate, clipping at norm 1, and weights averaged over ten thousand steps (.9999) in place of a decaying rate. The
reference is dropped in a tenth of the windows, as in the released code. The checkpoint with the smallest held-out loss
is kept beside the newest ones. `--config.compute.precision=bfloat16` is for accelerators (docs/training.md).

Variant `voice`: the user is heard and not seen, the first row of table 5.

Variant `quickstart`, `--config experiments/configs/paper.py:quickstart`: the same mask, encoder, objective and guidance
at the size of the quickstart and on its data, minutes on a laptop. Adam's learning rate is 2e-3 there, with the
quickstart's warm-up and decay, and the batch is 16: 1e-4 and 8 are for two million steps.
"""

from ml_collections import ConfigDict

from experiments.configs import choose, quickstart


def get_config(variant: str = "full") -> ConfigDict:
    variant = choose(variant, "full", "voice", "quickstart")
    config = quickstart.get_config("frames")
    config.name = "paper"
    config.model.condition_encoder = "released"
    config.model.condition_convolutions = 0
    config.model.answer_head = False
    config.layout.condition_window = 0
    config.layout.mask = "blockwise_lookahead"
    config.layout.block = 10
    config.layout.look_ahead = 2
    config.layout.cache = 38
    config.layout.alignment = 2
    config.objective.noise_level_per = "block"
    config.objective.clean_prefix = 0.0
    config.objective.norm = "l1"
    config.objective.condition_dropout = 0.1
    config.objective.kept_conditions = {}
    config.objective.noise_level_power = 1.0
    config.sampler.nfe = 10
    config.sampler.solver, config.sampler.grid = "euler", "uniform"
    config.sampler.guidance_avatar = 2.0
    config.sampler.guidance_user = 1.0
    config.sampler.guidance_joint = 0.0
    config.optimizer.kind = "adamw"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.weight_decay = 0.0
    config.optimizer.beta2 = 0.999
    if variant != "quickstart":
        at_full_size(config)
    if variant == "voice":
        config.objective.kept_conditions = {"avatar_and_user_audio": 0.8, "avatar": 0.1, "none": 0.1}
    return config


def at_full_size(config: ConfigDict):
    """Gives a config the paper's sizes, data and training length."""
    config.model.motion_dim = 512
    config.model.audio_dim = 12 * 768
    config.model.width = 1024
    config.model.depth = 8
    config.model.heads = 8
    config.model.condition_width = 512
    config.optimizer.learning_rate = 1e-4
    config.optimizer.warmup_steps = 0
    config.optimizer.final_share = 1.0
    config.optimizer.ema = 0.9999
    config.objective.reference_dropout = 0.1
    config.data.batch = 8
    config.training.num_steps = 2_000_000
    config.training.log_every = 500
    config.training.save_every = 20_000
    config.training.sample_every = 20_000
    config.training.probe_every = 5_000
    config.training.keep_best = "held_out/loss"
