"""Settings of training: objectives, optimizer, data, and the length of a run."""

from dataclasses import dataclass, field

from afjax.config.checks import one_of, require
from afjax.config.filters import parse_filter
from afjax.config.model import CONDITION_MASKS


@dataclass(frozen=True)
class ObjectiveConfig:
    """Flow matching with a noise level per token (paper eq. 6).

    `noise_level_per`: what has a noise level of its own: `token`, `block` (the paper's text) or `clip`. `clean_prefix`:
    share of the clips in which the blocks before a random one are clean. Levels have a density of p level^(p - 1), p =
    `noise_level_power`: 1 is uniform; above 1 high levels, where the conditions decide, come more often. Clean frames
    get noise of a deviation up to `history_noise` that the model is not told of, as a stream's finished frames hold
    errors (against exposure bias). Teacher forcing is `noise_level_per` clip with `clean_prefix` 1.
    `condition_dropout`: probability of each condition to be dropped, independently of the others; classifier-free
    guidance needs it. `kept_conditions`, if not empty, takes its place: the probability of each set of conditions to be
    kept, by a name of CONDITION_MASKS. `reference_dropout`: probability that the mean replaces the reference motion, so
    that it is no crutch. What training never keeps (`ever_kept`) is dropped at inference as well.
    """

    noise_level_per: str = "block"
    clean_prefix: float = 0.5
    noise_level_power: float = 1.0
    history_noise: float = 0.0
    norm: str = "l2"
    condition_dropout: float = 0.1
    reference_dropout: float = 0.0
    kept_conditions: dict[str, float] = field(default_factory=dict)

    def __post_init__(self):
        one_of("objective.noise_level_per", self.noise_level_per, ("token", "block", "clip"))
        one_of("objective.norm", self.norm, ("l1", "l2"))
        require(self.noise_level_power > 0, "objective.noise_level_power must be positive")
        for name in ("clean_prefix", "history_noise", "condition_dropout", "reference_dropout"):
            require(0 <= getattr(self, name) <= 1, f"objective.{name} must lie in [0, 1]")
        for name, share in self.kept_conditions.items():
            one_of("objective.kept_conditions", name, tuple(CONDITION_MASKS))
            require(share >= 0, f"objective.kept_conditions.{name} must not be negative")
        total = sum(self.kept_conditions.values())
        require(
            not self.kept_conditions or abs(total - 1) < 1e-6, f"objective.kept_conditions sums to {total:g}, not to 1"
        )

    @property
    def ever_kept(self) -> tuple[int, int, int]:
        """1 for each condition that training ever keeps, else 0: avatar audio, user audio, user motion."""
        if not self.kept_conditions:
            return (int(self.condition_dropout < 1),) * 3
        seen = [CONDITION_MASKS[name] for name, share in self.kept_conditions.items() if share > 0]
        return tuple(max(column) for column in zip(*seen, strict=True))


FORMULAS = ("diffusion_dpo", "paper")


@dataclass(frozen=True)
class PreferenceConfig:
    """Preference tuning (paper eq. 12, `afjax.losses.dpo`); off while `path` is empty.

    `path`: losing samples that `experiments.make_preferences` wrote. `model`: what is tuned and stays the frozen
    reference, a run or model folder, or the name of a model that ships. `weight`: lambda, beside the flow-matching loss
    of the winners. `formula`: the reading of the paper's formula. `validation_clips`: number of training clips that are
    set aside and generated at every evaluation; the run stops where their lip_corr has fallen by more than
    `max_lip_corr_drop`, or their Fréchet distance has grown by more than the share `max_fd_growth`.
    """

    path: str = ""
    model: str = ""
    beta: float = 1000.0
    weight: float = 1.0
    formula: str = "diffusion_dpo"
    validation_clips: int = 16
    max_lip_corr_drop: float = 0.02
    max_fd_growth: float = 0.5

    def __post_init__(self):
        one_of("preference.formula", self.formula, FORMULAS)
        for name in ("beta", "weight", "max_lip_corr_drop", "max_fd_growth"):
            require(getattr(self, name) >= 0, f"preference.{name} must not be negative")
        require(self.validation_clips >= 2, "preference.validation_clips must be at least 2")
        require(bool(self.path) == bool(self.model), "preference.path and preference.model belong together")


@dataclass(frozen=True)
class DistillationConfig:
    """Distillation into few evaluations (`afjax.training.generator.distillation`); off while `model` is empty.

    `model`: the teacher, a run or model folder, or the name of a model that ships. The student takes the steps of this
    config's `sampler`.
    """

    model: str = ""


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam, Muon or plain gradient descent, and an exponential moving average of the weights (EMA, decay `ema`).

    Learning-rate schedule: `warmup_steps` of linear warm-up, then cosine decay to `final_share` of the peak. Gradients
    are clipped to the global norm `clip`. `muon` orthogonalises the updates of matrices (step size
    `muon_learning_rate`) and leaves vectors to Adam.
    """

    kind: str = "muon"
    learning_rate: float = 3e-3
    muon_learning_rate: float = 0.02
    warmup_steps: int = 60
    final_share: float = 0.02
    weight_decay: float = 0.01
    beta2: float = 0.99
    clip: float = 1.0
    ema: float = 0.995

    def __post_init__(self):
        one_of("optimizer.kind", self.kind, ("adamw", "muon", "sgd"))
        for name in ("learning_rate", "muon_learning_rate"):
            require(getattr(self, name) > 0, f"optimizer.{name} must be positive")
        require(0 <= self.ema < 1, "optimizer.ema must lie in [0, 1)")


@dataclass(frozen=True)
class DataConfig:
    """Where records are (empty: simulated into the run folder) and how windows are cut from them.

    `path` may name several folders with weights (`A:3,B:1`): statistics and evaluation are the first's. `swap`: share
    of the windows in which user and avatar exchange roles. `codec`: run folder of the latent codec whose motion the
    records hold; empty: the face codec's. `features`: folder of `experiments.convert` whose wav2vec2 made the records'
    audio features; empty: mel. `whole_clips`: whether wav2vec2 read whole clips, later sound included, and not blocks
    of `layout.block` as a stream does; mel never does. `filter`: conditions on the quality numbers of recorded clips,
    which leave clips out of training (`afjax.config.filters`); evaluation reads all.
    """

    path: str = ""
    swap: float = 0.0
    codec: str = ""
    features: str = ""
    whole_clips: bool = False
    filter: str = ""
    train_clips: int = 384
    eval_clips: int = 64
    seconds: float = 20.0
    window: int = 50
    batch: int = 16

    def __post_init__(self):
        for name in ("train_clips", "eval_clips", "seconds", "window", "batch"):
            require(getattr(self, name) > 0, f"data.{name} must be positive")
        require(0 <= self.swap <= 1, "data.swap must lie in [0, 1]")
        require(not parse_filter(self.filter) or bool(self.path), "data.filter is for recorded data", "name data.path")


@dataclass(frozen=True)
class TrainingConfig:
    """Length of a run and how often it writes; `seed` seeds everything.

    `start_from`: a run or model folder, or the name of a model that ships, whose weights a run starts with and by whose
    statistics it standardises; empty: random weights.

    The first `listening_steps` steps train the condition encoder alone, by the answer head, several times as fast; it
    learns there what the user's rare cues mean. Samples are videos of `sample_seconds`. Held-out windows are measured
    every `probe_every` steps (0: never; `afjax.training.generator.probe`).

    A run keeps the latest `keep_checkpoints` checkpoints, those of every `keep_every` steps (0: none), and the one with
    the smallest value of the logged metric `keep_best` (`-NAME`: the largest; empty: none). It stops where the loss is
    not finite, or more than `max_loss_ratio` times the last logged one.
    """

    start_from: str = ""
    num_steps: int = 1200
    listening_steps: int = 0
    seed: int = 0
    log_every: int = 50
    save_every: int = 400
    sample_every: int = 800
    sample_seconds: float = 4.0
    probe_every: int = 0
    keep_checkpoints: int = 2
    keep_every: int = 0
    keep_best: str = ""
    max_loss_ratio: float = 100.0

    def __post_init__(self):
        for name in ("num_steps", "log_every", "save_every", "sample_every", "keep_checkpoints"):
            require(getattr(self, name) > 0, f"training.{name} must be positive")
        for name in ("listening_steps", "keep_every", "probe_every"):
            require(getattr(self, name) >= 0, f"training.{name} must not be negative")
        require(self.listening_steps < self.num_steps, "training.listening_steps must be below training.num_steps")
        require(self.max_loss_ratio > 1, "training.max_loss_ratio must be above 1")
        require(
            self.probe_every > 0 or not self.keep_best.removeprefix("-").startswith("held_out/"),
            f"training.keep_best = {self.keep_best} needs the probe: training.probe_every above 0",
        )
