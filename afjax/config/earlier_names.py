"""Earlier names of settings and stream states: one table, through which older runs and snapshots are read.

A name that is not in it means what it always meant. Changes that are no renaming, such as a split setting or a dropped
value, are in `afjax.config.dicts`.
"""

from collections.abc import Mapping
from typing import Any

SETTINGS = {
    "objective.levels": "noise_level_per",
    "objective.level_power": "noise_level_power",
    "objective.drop": "condition_dropout",
    "objective.drop_table": "kept_conditions",
    "objective.drop_reference": "reference_dropout",
    "sampler.start": "start_frames",
    "sampler.avatar": "guidance_avatar",
    "sampler.user": "guidance_user",
    "sampler.joint": "guidance_joint",
    "training.keep": "keep_checkpoints",
    "training.explosion": "max_loss_ratio",
    "preference.lip_loss": "max_lip_corr_drop",
    "preference.fd_growth": "max_fd_growth",
    "preference.validation": "validation_clips",
}
"""Earlier (group, name) of a config's setting, and its name in that group today."""

STATE = {
    ".avatar_heard": ".avatar_extractor",
    ".user_heard": ".user_extractor",
    ".stream.key": ".stream.rng",
    ".stream.made": ".stream.num_frames",
    ".stream.keep": ".stream.condition_mask",
    ".stream.weights": ".stream.guidance_weights",
    ".stream.reference": ".stream.reference_motion",
    ".stream.keys": ".stream.cache_k",
    ".stream.values": ".stream.cache_v",
    ".stream.context": ".stream.refed_motion",
    ".stream.slow": ".stream.running_mean",
    ".stream.recent.avatar_audio": ".stream.recent_conditions.avatar_embedding",
    ".stream.recent.user_audio": ".stream.recent_conditions.user_embedding",
    ".stream.recent.user_motion": ".stream.recent_conditions.user_motion",
}
"""Earlier name of an array in a session's snapshot (`afjax.streaming.engine`), and its name today."""


def renamed_settings(values: Any) -> Any:
    """Nested settings with today's names; anything else as it is. Today's wins where a setting has both names."""
    if not isinstance(values, dict):
        return values
    found = {}
    for group, settings in values.items():
        if isinstance(settings, dict):
            today = {SETTINGS.get(f"{group}.{name}", name): value for name, value in settings.items()}
            settings = today | {name: value for name, value in settings.items() if name in today}
        found[group] = settings
    return found


def renamed_state(snapshot: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Arrays of a snapshot by today's names; `prefix` may stand before a name."""

    def today(name: str) -> str:
        kind = prefix if name.startswith(prefix) else ""
        return kind + STATE.get(name.removeprefix(prefix), name.removeprefix(prefix))

    return {today(name): value for name, value in snapshot.items()}
