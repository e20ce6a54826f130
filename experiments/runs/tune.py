"""What preference tuning needs around the training loop: the model it starts from, and a rule for when to stop."""

import json
from pathlib import Path

import jax
import numpy as np

from afjax import files
from afjax.avatar.runs import load_run
from afjax.codec.face.channels import CHANNELS, EXPRESSION, POSE
from afjax.config import Config, differences, to_dict
from afjax.config.checks import require
from afjax.errors import InputError
from afjax.metrics.table import report
from afjax.streaming.sampler import Generator
from data_pipeline.records import Metadata, read_split
from experiments.runs.data import check_same_data

WATCHED = ("lip_corr", "fd", "variance", "response_peak_smile")


def start(config: Config, metadata: Metadata):
    """Parameters of the model that is tuned, on the host: the step puts them where it needs them.

    Raises InputError for another shape, one trained on other data, or saves of what is not validated.
    """
    training = config.training
    require(
        training.save_every % training.sample_every == 0,
        f"training.save_every = {training.save_every} is not a multiple of training.sample_every = "
        f"{training.sample_every}: preference tuning saves what it has validated",
    )
    run = load_run(config.preference.model)
    wanted, found = (to_dict(c) for c in (config, run.config))
    for group in ("model", "layout"):
        changed = differences(found[group], wanted[group], free=(), where=f"{group}.")
        if changed:
            raise InputError(f"it differs from this config ({changed[0]})", config.preference.model, "give its values")
    check_same_data(run, metadata, config.preference.model, "set data.path to its own")
    return jax.device_get(run.generator.params)


class Validation:
    """Generates the set-aside training conversations, logs `validation.jsonl`, and says when tuning has gone too far.

    The rule compares with the untuned model (step 0): lip_corr lower by more than `preference.lip_loss`, or the Fréchet
    distance higher by more than the share `preference.fd_growth`.
    """

    def __init__(self, config: Config, folder: Path, metadata: Metadata, log: Path):
        self._clips = list(read_split(folder, "train", -config.preference.validation))
        self._generator = Generator(config, None, metadata.normalizer)
        self._config, self._log = config, log
        self.reason = ""

    def __call__(self, step: int, params) -> bool:
        figures = {"step": step, **self._figures(params)}
        records = [] if not self._log.exists() else [json.loads(line) for line in self._log.read_text().splitlines()]
        records = [record for record in records if record["step"] < step] + [figures]
        with files.aside(self._log) as path:
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
        first, rule = records[0], self._config.preference
        if figures["lip_corr"] < first["lip_corr"] - rule.lip_loss:
            self.reason = f"lip_corr fell from {first['lip_corr']:.3f} to {figures['lip_corr']:.3f} at step {step}"
        elif figures["fd"] > first["fd"] * (1 + rule.fd_growth):
            self.reason = f"the Fréchet distance grew from {first['fd']:.3f} to {figures['fd']:.3f} at step {step}"
        return bool(self.reason)

    def _figures(self, params) -> dict[str, float]:
        tracks = {
            name: np.stack([getattr(clip, name) for clip in self._clips])
            for name in ("avatar_features", "user_features", "user_motion", "avatar_motion", "avatar_speaking")
        }
        self._generator.params = params
        voices = (tracks[name].astype(np.float32) for name in ("avatar_features", "user_features"))
        arrays = {
            "user": tracks["user_motion"],
            "recorded": tracks["avatar_motion"],
            "model": self._generator.clips(*voices, tracks["user_motion"]),
            "channels": np.array(CHANNELS),
            "avatar_speaking": tracks["avatar_speaking"],
        }
        face, block = report.Vocabulary(EXPRESSION, POSE), self._config.layout.block
        table = report.evaluate(arrays, face, block=block, metrics=WATCHED)
        return {name: table["model"][name]["mean"] for name in WATCHED}
