"""Every setting of the library, as frozen dataclasses that are checked when they are made.

model       ModelConfig, LayoutConfig, SamplerConfig, and which conditions a branch keeps
training    ObjectiveConfig, PreferenceConfig, DistillationConfig, OptimizerConfig, DataConfig, TrainingConfig
compute     ComputeConfig: mesh, precision, memory
config      Config, all of these: one experiment
dicts       from_dict, to_dict, what `config.json` holds
released    the released network's way through time
"""

from afjax.config.compute import ComputeConfig
from afjax.config.config import Config
from afjax.config.dicts import CHANGEABLE, differences, from_dict, stored_config, to_dict
from afjax.config.model import (
    CONDITION_ENCODERS,
    CONDITION_MASKS,
    MASKS,
    LayoutConfig,
    ModelConfig,
    SamplerConfig,
    condition_set_name,
)
from afjax.config.training import (
    DataConfig,
    DistillationConfig,
    ObjectiveConfig,
    OptimizerConfig,
    PreferenceConfig,
    TrainingConfig,
)

__all__ = [
    "CONDITION_ENCODERS", "CHANGEABLE", "CONDITION_MASKS", "MASKS", "ComputeConfig", "Config", "DataConfig",
    "DistillationConfig",
    "LayoutConfig", "ModelConfig", "ObjectiveConfig", "OptimizerConfig", "PreferenceConfig", "SamplerConfig",
    "TrainingConfig", "differences", "from_dict", "condition_set_name", "stored_config", "to_dict",
]  # fmt: skip
