"""The statistics by which motion and audio features are standardised, checked wherever they are read."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from afjax import digests
from afjax.errors import InputError

AGAIN = "build the data again: python -m data_pipeline.build"
"""What to do about statistics that can't be used."""


@dataclass(frozen=True)
class Normalizer:
    """Mean and standard deviation float32 of the avatar's motion `[d]` and of the features of both sides `[f]`.

    The user's motion is scaled by the avatar's: one unit means the same on both faces. `audio_silence` `[f]`: raw
    features of silence, zero for mel.
    """

    motion_mean: np.ndarray
    motion_std: np.ndarray
    audio_mean: np.ndarray
    audio_std: np.ndarray
    audio_silence: np.ndarray | float = 0.0

    def scale_motion(self, motion):
        """Raw motion `[..., d]` with zero mean and unit deviation over the training split."""
        return (motion - self.motion_mean) / self.motion_std

    def scale_audio(self, features):
        """Raw features `[..., f]` with zero mean and unit deviation over the training split."""
        return (features - self.audio_mean) / self.audio_std

    def raw_motion(self, motion):
        """The inverse of `scale_motion`."""
        return motion * self.motion_std + self.motion_mean

    def scale(self, tracks: Mapping[str, Any], divide: Callable = operator.truediv) -> dict[str, Any]:
        """Raw tracks by name, float32 and scaled: `*motion` as motion, `*features` as features."""
        scaled = dict(tracks)
        for name, track in tracks.items():
            if name.endswith("motion"):
                scaled[name] = divide(track.astype(np.float32) - self.motion_mean, self.motion_std)
            elif name.endswith("features"):
                scaled[name] = divide(track.astype(np.float32) - self.audio_mean, self.audio_std)
        return scaled

    def to_json(self) -> dict:
        """Lists of numbers under the field names, and their `sha256`. Silence that is zero is left out."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        if not np.any(self.audio_silence):
            del arrays["audio_silence"]
        lists = {name: [float(value) for value in array] for name, array in arrays.items()}
        return {**lists, "sha256": digests.of_json(lists)}

    @classmethod
    def from_json(
        cls, stored: dict, channels: int, features: int, where: str = "statistics", do: str = AGAIN
    ) -> "Normalizer":
        """Statistics as `to_json` stores them, checked.

        Raises InputError unless all are there and finite, their lengths are `channels` and `features`, deviations are
        above 0 and the hash is as stored.
        """
        if not isinstance(stored, dict):
            raise InputError("they are missing", where, do)
        arrays = {}
        for name in cls.__dataclass_fields__:
            if name == "audio_silence" and name not in stored:
                continue
            length = features if name.startswith("audio") else channels
            try:
                with np.errstate(over="ignore"):
                    array = np.asarray(stored[name], np.float32)
            except (KeyError, TypeError, ValueError, OverflowError):
                raise InputError(f"{name} is missing or no list of numbers", where, do) from None
            if array.shape != (length,):
                raise InputError(f"{name} has shape {list(array.shape)}, not [{length}]", where, do)
            if not np.isfinite(array).all():
                raise InputError(f"{name} has numbers that are not finite", where, do)
            if name.endswith("std") and not (array > 0).all():
                raise InputError(f"{name} must be above 0", where, do)
            arrays[name] = array
        if stored.get("sha256") != digests.of_json({name: stored[name] for name in arrays}):
            raise InputError("they do not match their hash", where, do)
        return cls(**arrays)
