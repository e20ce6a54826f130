"""Preference tuning's parts around the training loop: the model from which it starts, and a rule for when to stop."""

import json
from pathlib import Path

import jax
import numpy as np

from afjax import files
from afjax.config import Config
from afjax.config.checks import require
from afjax.errors import InputError
from afjax.metrics.table import report
from afjax.streaming.generator import Generator, generation_config
from data_pipeline import preferences
from data_pipeline.records import Metadata, read_split
from experiments.runs import divided
from experiments.runs.columns import columns_for
from experiments.runs.start import start

WATCHED = ("lip_corr", "fd", "variance", "response_peak_smile", "response_peak_motion")
"""Metrics of validation, as far as the codec's columns have them: latent motion has no lips."""


def reference(config: Config, metadata: Metadata) -> tuple[dict, Metadata]:
    """Parameters, on the host, of the model that is tuned, and the data's metadata with that model's statistics.

    Raises InputError for a model of another shape, other features or another codec, for one that was distilled, for
    losing samples of other conversations, and for saves that are not validated.
    """
    training = config.training
    require(
        training.save_every % training.sample_every == 0,
        f"training.save_every = {training.save_every} is not a multiple of training.sample_every = "
        f"{training.sample_every}: preference tuning saves what it has validated",
    )
    ours = preferences.motion_sha256(metadata.normalizer)
    params, metadata = start(config.preference.model, config, metadata, "tune")
    if preferences.read_provenance(config.preference.path).get("motion_sha256", ours) != ours:
        do = "make them of these: python -m experiments.make_preferences --data DATA"
        raise InputError("its losing samples are of other conversations than data.path", config.preference.path, do)
    return params, metadata


class Validation:
    """Generates the set-aside training conversations, logs `validation.jsonl`, and says when tuning has gone too far.

    The rule stops where lip_corr is lower than the untuned model's (step 0) by more than
    `preference.max_lip_corr_drop`, or the Fréchet distance higher by more than the share `preference.max_fd_growth`.
    Motion of a latent codec is measured in
    coefficients of its directions, which have no lips: there the distance alone decides.
    """

    def __init__(self, config: Config, folder: Path, metadata: Metadata, log: Path):
        self._clips = list(read_split(folder, "train", -config.preference.validation_clips))
        self._generator = Generator(generation_config(config), None, metadata.normalizer)
        self._columns = columns_for(metadata.channels, config.data.codec, folder)
        self._config, self._log = config, log
        self.reason = ""

    def __call__(self, step: int, params) -> bool:
        """Whether to stop, as the first process decides; all must call it, and each generates its part."""
        tracks = self._tracks(params)
        if jax.process_index() > 0:
            return False
        figures = {"step": step, **self._figures(tracks)}
        records = [] if not self._log.exists() else [json.loads(line) for line in self._log.read_text().splitlines()]
        records = [record for record in records if record["step"] < step] + [figures]
        with files.aside(self._log) as path:
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
        first, rule = records[0], self._config.preference
        if "lip_corr" in first and figures["lip_corr"] < first["lip_corr"] - rule.max_lip_corr_drop:
            self.reason = f"lip_corr fell from {first['lip_corr']:.3f} to {figures['lip_corr']:.3f} at step {step}"
        elif figures["fd"] > first["fd"] * (1 + rule.max_fd_growth):
            self.reason = f"the Fréchet distance grew from {first['fd']:.3f} to {figures['fd']:.3f} at step {step}"
        return bool(self.reason)

    def _tracks(self, params) -> dict[str, np.ndarray]:
        """Tracks of the clips `[n, t, ...]`, and the motion `model` that is generated for them."""
        tracks = {
            name: np.stack([getattr(clip, name) for clip in self._clips])
            for name in ("avatar_features", "user_features", "user_motion", "avatar_motion", "avatar_speaking")
        }
        self._generator.params = params
        voices = (tracks[name].astype(np.float32) for name in ("avatar_features", "user_features"))
        rest = np.stack([clip.rest for clip in self._clips])
        return tracks | {"model": divided.clips(self._generator, *voices, tracks["user_motion"], rest)}

    def _figures(self, tracks: dict[str, np.ndarray]) -> dict[str, float]:
        motions = {"user": tracks["user_motion"], "recorded": tracks["avatar_motion"], "model": tracks["model"]}
        columns, block = self._columns, self._config.layout.block
        arrays = {name: columns.project(motion) for name, motion in motions.items()}
        arrays |= {"channels": np.array(columns.names), "avatar_speaking": tracks["avatar_speaking"]}
        table = report.evaluate(arrays, columns.channel_groups, block=block, metrics=WATCHED)
        return {name: figure["mean"] for name, figure in table["model"].items()}
