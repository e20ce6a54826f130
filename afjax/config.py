"""Every setting of the library, as frozen dataclasses that are checked when they are made.

`from_dict` refuses unknown names (with the nearest one) and wrong types; `to_dict` gives what `config.json` holds.
"""

import dataclasses
import difflib
import typing
from dataclasses import dataclass, field

from afjax.checks import one_of as _one_of
from afjax.checks import require as _require
from afjax.compute import ComputeConfig
from afjax.errors import InputError

MASKS = ("framewise", "blockwise", "blockwise_lookahead", "framewise_lookahead", "bidirectional")
CONDITION_ENCODERS = ("windowed", "released", "memory")

# which of avatar audio, user audio, user motion a branch keeps
KEEP = {
    "none": (0, 0, 0),
    "avatar": (1, 0, 0),
    "user": (0, 1, 1),
    "joint": (1, 1, 1),
    "user_audio": (0, 1, 0),
    "user_motion": (0, 0, 1),
    "avatar_and_user_audio": (1, 1, 0),
    "avatar_and_user_motion": (1, 0, 1),
}


def keep_name(avatar_audio: bool, user_audio: bool, user_motion: bool) -> str:
    """Name in KEEP of the conditions that are there."""
    present = (avatar_audio, user_audio, user_motion)
    return next(name for name, kept in KEEP.items() if kept == present)


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the forcing transformer (paper: width 1024, 8 heads, 8 blocks, condition width 512, 4 heads).

    `audio_dim` is the width of the audio features, 0 where they come as wide as the condition and projected already.
    `memory_size` is the number of vectors in each motion memory bank of the `memory` encoder, 0 for the others.
    """

    motion_dim: int = 15
    audio_dim: int = 80
    width: int = 96
    depth: int = 3
    heads: int = 4
    mlp_ratio: int = 4
    condition_encoder: str = "windowed"
    condition_width: int = 64
    condition_heads: int = 4
    memory_size: int = 0

    def __post_init__(self):
        _one_of("model.condition_encoder", self.condition_encoder, CONDITION_ENCODERS)
        for name in ("motion_dim", "width", "depth", "heads", "mlp_ratio", "condition_width", "condition_heads"):
            _require(getattr(self, name) > 0, f"model.{name} must be positive")
        _require(self.audio_dim >= 0, "model.audio_dim must not be negative")
        _require(
            self.memory_size > 0 if self.condition_encoder == "memory" else self.memory_size == 0,
            "model.memory_size must be positive for the memory condition encoder and 0 for the others",
        )
        _require(self.width % (2 * self.heads) == 0, "model.width must be a multiple of 2 * model.heads")
        _require(
            self.condition_width % (2 * self.condition_heads) == 0,
            "model.condition_width must be a multiple of 2 * model.condition_heads",
        )


@dataclass(frozen=True)
class LayoutConfig:
    """Time: blocks, masks and the stream's memory, all in frames (25 a second).

    `condition_window` is the causal window of the condition encoder, 0 = the whole pass (always so in the form
    `released`, never in `windowed`). `tokens` is what training runs on: `frames` under the mask, or `passes`, what the
    stream computes. Mask `bidirectional` with `cache` 0 makes windows: each block sees itself and `look_ahead` frames
    before it. `user_delay`: the user's tracks come so many frames late, in training and in the stream, so that a block
    that starts at frame s reads no user frame from s + block - user_delay on; with user_delay = block it can be made
    when it starts.
    """

    block: int = 10
    look_ahead: int = 2
    mask: str = "blockwise_lookahead"
    cache: int = 38
    alignment: int = 2
    condition_window: int = 16
    tokens: str = "passes"
    user_delay: int = 0

    def __post_init__(self):
        _one_of("layout.mask", self.mask, MASKS)
        _one_of("layout.tokens", self.tokens, ("frames", "passes"))
        _require(self.block >= 1, "layout.block must be at least 1")
        for name in ("look_ahead", "cache", "alignment", "condition_window", "user_delay"):
            _require(getattr(self, name) >= 0, f"layout.{name} must not be negative")
        _require(self.look_ahead < self.block, "layout.look_ahead must be smaller than layout.block")


@dataclass(frozen=True)
class ObjectiveConfig:
    """Flow matching with a noise level per token (paper eq. 6).

    `levels`: drawn per `token`, per `block` (the paper's text) or one for the `clip`; in a share `clean_prefix` of the
    clips the blocks before a random one are clean. Clean frames get noise of a deviation up to `history_noise` that the
    model is not told of, as a stream's finished frames hold errors. `drop` is the chance of each condition to be
    dropped (independent), or, if `drop_table` is not empty, joint probabilities over branch names. What training never
    keeps (`kept`) is dropped at inference as well.
    """

    levels: str = "block"
    clean_prefix: float = 0.5
    history_noise: float = 0.0
    norm: str = "l2"
    drop: float = 0.1
    drop_table: dict[str, float] = field(default_factory=dict)

    def __post_init__(self):
        _one_of("objective.levels", self.levels, ("token", "block", "clip"))
        _one_of("objective.norm", self.norm, ("l1", "l2"))
        for name in ("clean_prefix", "history_noise", "drop"):
            _require(0 <= getattr(self, name) <= 1, f"objective.{name} must lie in [0, 1]")
        for name, share in self.drop_table.items():
            _one_of("objective.drop_table", name, tuple(KEEP))
            _require(share >= 0, f"objective.drop_table.{name} must not be negative")
        total = sum(self.drop_table.values())
        _require(not self.drop_table or abs(total - 1) < 1e-6, f"objective.drop_table sums to {total:g}, not to 1")

    @property
    def kept(self) -> tuple[int, int, int]:
        """Which conditions training ever keeps, as 1 or 0: avatar audio, user audio, user motion."""
        if not self.drop_table:
            return (int(self.drop < 1),) * 3
        seen = [KEEP[name] for name, share in self.drop_table.items() if share > 0]
        return tuple(max(column) for column in zip(*seen, strict=True))


@dataclass(frozen=True)
class PreferenceConfig:
    """Preference tuning (paper eq. 12, `afjax.losses.dpo`); off while `path` is empty.

    `path`: losing samples that `experiments.make_preferences` wrote. `model`: run folder of the model that is tuned and
    stays the frozen reference. `weight`: lambda, beside the flow-matching loss of the winners. `norm`, `channels`,
    `average`, `factor`: the readings of the formula. `validation`: training clips that are set aside to be generated
    at every evaluation; the run stops where their lip_corr has fallen by more than `lip_loss`, or their Fréchet
    distance has grown by more than the share `fd_growth`.
    """

    path: str = ""
    model: str = ""
    beta: float = 1000.0
    weight: float = 1.0
    norm: str = "l2"
    channels: str = "mean"
    average: str = "before"
    factor: float = 0.5
    validation: int = 16
    lip_loss: float = 0.02
    fd_growth: float = 0.5

    def __post_init__(self):
        _one_of("preference.norm", self.norm, ("l1", "l2"))
        _one_of("preference.channels", self.channels, ("mean", "sum"))
        _one_of("preference.average", self.average, ("before", "after"))
        for name in ("beta", "weight", "factor", "lip_loss", "fd_growth"):
            _require(getattr(self, name) >= 0, f"preference.{name} must not be negative")
        _require(self.validation >= 2, "preference.validation must be at least 2")
        _require(bool(self.path) == bool(self.model), "preference.path and preference.model belong together")


@dataclass(frozen=True)
class SamplerConfig:
    """Euler steps a block, and the guidance scale of each branch (paper eq. 14 has avatar and user).

    `grid`: `uniform` steps, or those of the `released` sampler, whose `nfe` counts the pass that fills the caches and
    one that does nothing (`afjax.diffusion.solver`). `start`: frames that a stream makes at once before its first
    block, 0 = none: it starts from an empty cache. `anchor_seconds`: time constant with which the slow part of motion
    is pulled back where it is more than `anchor_band` standard deviations from the reference
    (`afjax.streaming.anchor`), 0 = not at all.
    """

    nfe: int = 8
    grid: str = "uniform"
    start: int = 0
    anchor_seconds: float = 0.0
    anchor_band: float = 1.0
    avatar: float = 0.0
    user: float = 0.0
    joint: float = 1.0

    def __post_init__(self):
        _one_of("sampler.grid", self.grid, ("uniform", "released"))
        _require(self.start >= 0, "sampler.start must not be negative")
        for name in ("anchor_seconds", "anchor_band"):
            _require(getattr(self, name) >= 0, f"sampler.{name} must not be negative")
        least = 2 if self.grid == "released" else 1
        _require(self.nfe >= least, f"sampler.nfe must be at least {least}")


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam, Muon or plain gradient descent with warm-up, cosine decay and clipping by global norm, and an average of
    the weights.

    `muon` orthogonalises the updates of matrices (step size `muon_learning_rate`) and leaves vectors to Adam.
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
        _one_of("optimizer.kind", self.kind, ("adamw", "muon", "sgd"))
        for name in ("learning_rate", "muon_learning_rate"):
            _require(getattr(self, name) > 0, f"optimizer.{name} must be positive")
        _require(0 <= self.ema < 1, "optimizer.ema must lie in [0, 1)")


@dataclass(frozen=True)
class DataConfig:
    """Where records are (empty: simulated into the run folder) and how windows are cut from them.

    `path` may name several folders with weights (`A:3,B:1`): statistics and evaluation are the first's. In a share
    `swap` of the windows user and avatar exchange roles. `codec`: run folder of the latent codec whose motion the
    records hold; empty: the face codec's.
    """

    path: str = ""
    swap: float = 0.0
    codec: str = ""
    train_clips: int = 384
    eval_clips: int = 64
    seconds: float = 20.0
    window: int = 50
    batch: int = 16

    def __post_init__(self):
        for name in ("train_clips", "eval_clips", "seconds", "window", "batch"):
            _require(getattr(self, name) > 0, f"data.{name} must be positive")
        _require(0 <= self.swap <= 1, "data.swap must lie in [0, 1]")


@dataclass(frozen=True)
class TrainingConfig:
    """Length of a run and how often it writes; `seed` seeds everything. Samples are videos of `sample_seconds`.

    Kept are the latest `keep` checkpoints, those of every `keep_every` steps (0: none), and the one with the smallest
    value of the logged metric `keep_best` (`-NAME`: with the largest; empty: none). A run stops where the loss is not
    finite, or more than `explosion` times the last logged one.
    """

    num_steps: int = 1200
    seed: int = 0
    log_every: int = 50
    save_every: int = 400
    sample_every: int = 800
    sample_seconds: float = 4.0
    keep: int = 2
    keep_every: int = 0
    keep_best: str = ""
    explosion: float = 100.0

    def __post_init__(self):
        for name in ("num_steps", "log_every", "save_every", "sample_every", "keep"):
            _require(getattr(self, name) > 0, f"training.{name} must be positive")
        _require(self.keep_every >= 0, "training.keep_every must not be negative")
        _require(self.explosion > 1, "training.explosion must be above 1")


@dataclass(frozen=True)
class Config:
    """One experiment."""

    name: str = "quickstart"
    model: ModelConfig = field(default_factory=ModelConfig)
    layout: LayoutConfig = field(default_factory=LayoutConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    preference: PreferenceConfig = field(default_factory=PreferenceConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)

    def __post_init__(self):
        encoder, window = self.model.condition_encoder, self.layout.condition_window
        _require(
            encoder == "memory" or (encoder == "windowed") == (window > 0),
            "layout.condition_window must be positive for the windowed condition encoder and 0 for the released one",
        )
        _require(
            bool(self.data.path) or 4 <= self.data.seconds <= 120 and self.data.window <= 25 * self.data.seconds,
            "simulated clips (data.seconds) last 4 to 120 s and hold at least data.window frames",
        )
        _require(
            self.data.window % self.layout.block == 0,
            f"data.window = {self.data.window} is not a multiple of layout.block = {self.layout.block}",
        )
        _require(
            self.data.batch % self.compute.accumulate == 0,
            f"data.batch = {self.data.batch} is not a multiple of compute.accumulate = {self.compute.accumulate}",
        )


def to_dict(config) -> dict:
    """Nested plain dict of a config."""
    return dataclasses.asdict(config)


def from_dict(values: dict, cls: type = Config, where: str = "config"):
    """Config from a nested dict; every name must be known and every value of its type."""
    hints = typing.get_type_hints(cls)
    arguments = {}
    for name, value in values.items():
        if name not in hints:
            near = difflib.get_close_matches(name, hints, n=1, cutoff=0.0)
            raise InputError(f"unknown field {name!r}", where, f"did you mean {near[0]!r}?")
        arguments[name] = _convert(value, hints[name], f"{where}.{name}")
    return cls(**arguments)


FREE = (
    *(f"training.{name}" for name in ("num_steps", "log_every", "save_every", "sample_", "keep", "explosion")),
    "compute.",
)
"""Starts of the names of settings that may change when a run is continued."""


def differences(old: dict, new: dict, free: tuple[str, ...] = FREE, where: str = "") -> list[str]:
    """Settings in which two nested dicts of a config differ, but for those that start with a name in `free`."""
    found = []
    for name in {**old, **new}:
        path, before, after = f"{where}{name}", old.get(name), new.get(name)
        if path.startswith(free) or before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, free, f"{path}.")
        else:
            found.append(f"{path}: {before} before, {after} asked for")
    return found


def _convert(value, kind, where: str):
    if dataclasses.is_dataclass(kind):
        _require(isinstance(value, dict), f"{where} must be a group of settings")
        return from_dict(value, kind, where)
    if typing.get_origin(kind) is dict:
        _require(isinstance(value, dict), f"{where} must be a table")
        return {str(k): _convert(v, typing.get_args(kind)[1], f"{where}.{k}") for k, v in value.items()}
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        _require(isinstance(value, list | tuple), f"{where} must be a list")
        return tuple(_convert(each, item, f"{where}[{n}]") for n, each in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{value!r} is not of type {kind.__name__}", where)
    return value
