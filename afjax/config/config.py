"""One experiment: all of its settings."""

from dataclasses import dataclass, field

from afjax.config.checks import require
from afjax.config.compute import ComputeConfig
from afjax.config.model import LayoutConfig, ModelConfig, SamplerConfig
from afjax.config.training import (
    DataConfig,
    DistillationConfig,
    ObjectiveConfig,
    OptimizerConfig,
    PreferenceConfig,
    TrainingConfig,
)


@dataclass(frozen=True)
class Config:
    """One experiment."""

    name: str = "quickstart"
    model: ModelConfig = field(default_factory=ModelConfig)
    layout: LayoutConfig = field(default_factory=LayoutConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    preference: PreferenceConfig = field(default_factory=PreferenceConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)

    def __post_init__(self):
        encoder, window = self.model.condition_encoder, self.layout.condition_window
        require(
            encoder == "memory" or (encoder == "windowed") == (window > 0),
            "layout.condition_window must be positive for the windowed condition encoder and 0 for the released one",
        )
        require(
            window > 0 or self.model.condition_convolutions == 0,
            "model.condition_convolutions needs a causal condition encoder (layout.condition_window above 0)",
        )
        require(
            self.training.listening_steps == 0 or self.model.answer_head,
            "training.listening_steps needs an answer head (model.answer_head)",
        )
        require(
            self.training.listening_steps == 0 or not (self.preference.path or self.distillation.model),
            "training.listening_steps must be 0 where preferences or a teacher tune a model that has learned to listen",
        )
        require(
            not self.training.start_from or not (self.preference.path or self.distillation.model),
            "training.start_from must be empty where preferences or a teacher name the model that a run starts from",
        )
        require(
            not self.distillation.model or self.layout.tokens == "stream" and not self.preference.path,
            "distillation.model needs layout.tokens stream, every block after a finished past, and no preference.path",
        )
        require(
            self.layout.tokens != "stream" or self.objective.clean_prefix == 0,
            "objective.clean_prefix must be 0 where layout.tokens is stream: every block's past is clean",
        )
        require(
            bool(self.data.path) or 4 <= self.data.seconds <= 120 and self.data.window <= 25 * self.data.seconds,
            "simulated clips (data.seconds) last 4 to 120 s and hold at least data.window frames",
        )
        require(
            self.data.window % self.layout.block == 0,
            f"data.window = {self.data.window} is not a multiple of layout.block = {self.layout.block}",
        )
        require(
            self.data.batch % self.compute.accumulate == 0,
            f"data.batch = {self.data.batch} is not a multiple of compute.accumulate = {self.compute.accumulate}",
        )
