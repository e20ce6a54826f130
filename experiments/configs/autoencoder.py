"""The latent codec's training. Variant `paper` (default): 512 px on videos, by FLOAT's recipe, which the paper follows.

    python -m experiments.train_autoencoder --config experiments/configs/autoencoder.py --workdir out/autoencoder \\
        --config.pictures.videos=VIDEOS --config.loss.vgg=vgg16.ckpt

VIDEOS holds the folders train and eval of face videos. FLOAT took 460,000 steps of 8 pictures, nine days on one A100,
with VGG-19. We have VGG-16 (`afjax/weights/lpips.py` says where its weights come from; `--config.loss.perceptual=0
--config.loss.part_perceptual=0` trains without). A step makes both pictures of 4 pairs.

Variant `small`: 64 px on drawn people, 17 minutes on two cores, no weights. It has neither perceptual nor adversarial
losses, which 64 px do not repay; L1 of eyes and mouth takes their place. Crops are closer, since a mouth of few pixels
teaches little. The first coefficients learn the people's known motion, for 3000 steps before the decoder begins. Videos
of your own need `--config.loss.known_motion=0 --config.encoder_steps=0`.

    python -m experiments.train_autoencoder --config experiments/configs/autoencoder.py:small --workdir out/ae
"""

from ml_collections import ConfigDict

from afjax.config import to_dict
from afjax.training.latent_codec.config import LatentTrainingConfig
from experiments.configs import choose


def get_config(variant: str = "paper") -> ConfigDict:
    variant = choose(variant, "paper", "small")
    config = ConfigDict(to_dict(LatentTrainingConfig()))
    if variant == "small":
        config.name = "autoencoder_small"
        at_small_size(config)
    else:
        config.loss.perceptual = 10.0
        config.loss.part_perceptual = 100.0
        config.training.num_steps = 460_000
        config.training.log_every = 100
        config.training.save_every = 5_000
    return config


def at_small_size(config: ConfigDict):
    """Gives a config the sizes and losses that train in minutes on a CPU."""
    config.codec.size = 64
    config.codec.dim = 128
    config.codec.margin = 0.35
    config.codec.channels = (64, 64, 64, 32, 16)
    config.loss.part_pixels = 2.0
    config.loss.known_motion = 1.0
    config.loss.adversarial = 0.0
    config.loss.part_adversarial = 0.0
    config.loss.style = 0.0
    config.loss.part_size = 16
    config.pictures.frames = 16
    config.pictures.train_people = 480
    config.adam.learning_rate = 3e-3
    config.adam.muon = 0.08
    config.adam.warmup_steps = 50
    config.adam.final_share = 0.02
    config.adam.beta1 = 0.9
    config.adam.ema = 0.995
    config.encoder_steps = 3000
    config.training.num_steps = 7000
    config.training.log_every = 20
    config.training.save_every = 500
