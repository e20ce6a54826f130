"""Settings of the latent codec's training, checked when made (`afjax.config.from_dict` and `to_dict` read them)."""

from dataclasses import dataclass, field, replace

from afjax.codec.face.channels import CHANNELS
from afjax.codec.latent.config import LatentConfig
from afjax.config import ComputeConfig, TrainingConfig
from afjax.config.checks import require

__all__ = ["LatentTrainingConfig", "LossConfig", "PicturesConfig", "AdamConfig"]


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses (`afjax.losses.latent_codec`), 0 = left out.

    `pixels`: L1 of the whole picture; `part_pixels`: of eyes and mouth. `perceptual`, `part_perceptual`: L1 of their
    VGG-16 maps at four scales, with the weights file `vgg`. `adversarial`, `part_adversarial`: discriminators of the
    picture and of `part_size` pixels around each eye and the mouth; `style`: Gram matrices of the latter's maps. `r1`:
    weight of the gradient penalty, applied every `r1_every` steps at `r1_every` times the weight. `known_motion`:
    squared error of the first coefficients against the face codec's channels (drawn people only).
    """

    pixels: float = 1.0
    part_pixels: float = 0.0
    perceptual: float = 0.0
    part_perceptual: float = 0.0
    vgg: str = ""
    adversarial: float = 1.0
    part_adversarial: float = 1.0
    style: float = 100.0
    known_motion: float = 0.0
    part_size: int = 64
    r1: float = 10.0
    r1_every: int = 16

    def __post_init__(self):
        for name in (*self.weights, "r1"):
            require(getattr(self, name) >= 0, f"loss.{name} must not be negative")
        require(any(getattr(self, name) for name in self.weights), "all weights of the loss are 0")
        require(self.r1_every > 0, "loss.r1_every must be positive")
        require(self.part_size in (16, 32, 64, 128), "loss.part_size must be 16, 32, 64 or 128")
        require(
            self.part_adversarial > 0 or self.style == 0,
            "loss.style compares maps of the parts' discriminators",
            "give loss.part_adversarial a weight, or set loss.style=0",
        )
        require(
            bool(self.vgg) or not (self.perceptual or self.part_perceptual),
            "the perceptual losses need weights of VGG-16",
            "give --config.loss.vgg=vgg16.ckpt (afjax/weights/lpips.py says where it comes from), or set "
            "--config.loss.perceptual=0 --config.loss.part_perceptual=0",
        )

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of the losses."""
        return (
            "pixels", "part_pixels", "perceptual", "part_perceptual", "adversarial", "part_adversarial", "style",
            "known_motion",
        )  # fmt: skip


@dataclass(frozen=True)
class PicturesConfig:
    """Clips to train on (`data_pipeline.face_crops`): `videos`, a folder with train/ and eval/; empty: drawn people.

    `frames`: most pictures of a clip; `batch`: pairs of pictures per step, in which each is made from the other.
    """

    videos: str = ""
    frames: int = 64
    train_people: int = 160
    eval_people: int = 24
    batch: int = 4

    def __post_init__(self):
        for name in ("train_people", "eval_people", "batch"):
            require(getattr(self, name) > 0, f"pictures.{name} must be positive")
        require(self.frames >= 2, "pictures.frames must be at least 2")


@dataclass(frozen=True)
class AdamConfig:
    """Adam for the codec and, at `critic_rate`, for the discriminators (beta1 0); an average of the codec's weights.

    The rates rise over `warmup_steps` and fall by half a cosine to `final_share` of their peak. `muon`: rate of Muon
    (Jordan et al. 2024) for the codec's matrices and convolutions; 0: Adam, as for all else.
    """

    learning_rate: float = 2e-4
    critic_rate: float = 2e-4
    muon: float = 0.0
    warmup_steps: int = 0
    final_share: float = 1.0
    beta1: float = 0.0
    beta2: float = 0.99
    ema: float = 0.999

    def __post_init__(self):
        for name in ("learning_rate", "critic_rate"):
            require(getattr(self, name) > 0, f"adam.{name} must be positive")
        require(self.muon >= 0, "adam.muon must not be negative")
        for name in ("beta1", "beta2", "ema"):
            require(0 <= getattr(self, name) < 1, f"adam.{name} must lie in [0, 1)")
        require(0 <= self.final_share <= 1, "adam.final_share must lie in [0, 1]")


@dataclass(frozen=True)
class LatentTrainingConfig:
    """One training of the latent codec.

    `encoder_steps`: the first of `training.num_steps`, in which the encoder alone learns known motion. `compute`:
    `data` divides the pairs of a step over devices; `precision` is that of the maps of codec and perceptual network
    (`afjax.codec.latent.network.narrowed`). The other settings of `ComputeConfig` are the generator's.
    """

    name: str = "autoencoder"
    codec: LatentConfig = field(default_factory=LatentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    pictures: PicturesConfig = field(default_factory=PicturesConfig)
    adam: AdamConfig = field(default_factory=AdamConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    encoder_steps: int = 0

    def __post_init__(self):
        only = replace(ComputeConfig(), data=self.compute.data, precision=self.compute.precision)
        require(
            self.compute == only,
            "of compute the latent codec has data and precision alone", "leave the others as they are",
        )  # fmt: skip
        known = self.encoder_steps > 0 or self.loss.known_motion > 0
        require(
            not (known and self.pictures.videos), "motion is known of drawn people only",
            "set loss.known_motion=0 and encoder_steps=0",
        )  # fmt: skip
        require(
            not known or self.codec.directions >= len(CHANNELS),
            f"known motion has {len(CHANNELS)} channels, the codec {self.codec.directions} coefficients",
        )
        require(0 <= self.encoder_steps <= self.training.num_steps, "encoder_steps must lie in [0, training.num_steps]")
