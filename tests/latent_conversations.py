"""Conversations in latent motion, and a codec that has learnt nothing, made in a second."""

from pathlib import Path

import jax
import numpy as np

from afjax import files
from afjax.audio.feature_extractors import MelFeatures, described
from afjax.avatar.codecs import load_autoencoder
from afjax.codec.latent.config import LatentConfig
from afjax.config import Config, from_dict, to_dict
from afjax.normalizer import Normalizer
from afjax.training.checkpoint import Checkpoints
from afjax.training.latent_codec.config import LatentTrainingConfig
from afjax.training.latent_codec.step import init_state
from data_pipeline import records, schema
from experiments.configs import smoke

DIM, DIRECTIONS, FRAMES, DELAY = 12, 4, 75, 10
SPLITS = {"train": 6, "eval": 4}
LAG = 12
"""Frames by which avatars are later than their users."""


def write(folder: Path) -> Config:
    """Writes `codec`, a run folder, and `records`; returns the config of a small run on them."""
    sizes = LatentConfig(size=64, dim=DIM, directions=DIRECTIONS, channels=(8, 8, 8, 8, 4))
    config = LatentTrainingConfig(codec=sizes)
    files.write_json(folder / "codec" / "config.json", to_dict(config))
    with Checkpoints(folder / "codec") as checkpoints:
        checkpoints.save(jax.jit(lambda: init_state(config))(), {}, {})
    codec = load_autoencoder(folder / "codec")
    directions, moments = codec.coefficients(np.eye(DIM, dtype=np.float32)), records.Moments()
    (folder / "records").mkdir()
    for split, count in SPLITS.items():
        clips = [conversation(directions, 100 * len(split) + n) for n in range(count)]
        records.write_split(folder / "records", split, map(schema.encode, clips))
        if split == "train":
            moments.add(np.concatenate([clip.avatar_motion for clip in clips]))
    plain = np.zeros(MelFeatures.dim, np.float32), np.ones(MelFeatures.dim, np.float32)
    counts = {split: {"count": count, "frames": FRAMES, "seed": 0} for split, count in SPLITS.items()}
    normalizer = Normalizer(*moments.result(), *plain)
    metadata = records.Metadata(codec.channels, described(MelFeatures()), 25, counts, normalizer)
    records.write_metadata(folder / "records", metadata)
    values = to_dict(from_dict(smoke.get_config().to_dict()))
    changed = {
        "model": {"motion_dim": DIM, "width": 16, "condition_width": 16, "cause_kinds": 0},
        "layout": {"user_delay": DELAY},
        "objective": {"reference_dropout": 0.1},
        "data": {"path": str(folder / "records"), "codec": str(folder / "codec"), "batch": 4},
        "training": {"num_steps": 6, "log_every": 2, "save_every": 2, "sample_every": 2, "probe_every": 2},
    }
    for group, changes in changed.items():
        values[group] |= changes
    return from_dict(values)


def conversation(directions: np.ndarray, seed: int) -> schema.Conversation:
    """An avatar that moves as its user did LAG frames ago, along the codec's directions and around its own rest."""
    rng = np.random.default_rng(seed)
    kernel = np.ones(7) / np.sqrt(7)
    lively = [np.convolve(track, kernel, "same") for track in rng.standard_normal((DIRECTIONS, FRAMES + LAG))]
    user, rest = np.stack(lively, axis=1), 2 + rng.standard_normal((2, DIRECTIONS))
    motions = {"avatar": user[:-LAG] + rest[0], "user": user[LAG:] + rest[1]}
    arrays = {f"{side}_motion": (motion @ directions.T).astype(np.float32) for side, motion in motions.items()}
    arrays |= {
        f"{side}_features": rng.standard_normal((FRAMES, MelFeatures.dim)).astype(np.float16) for side in motions
    }
    arrays |= {f"{side}_wave": np.zeros(FRAMES * 640, np.int16) for side in motions}
    arrays |= {f"{side}_speaking": np.arange(FRAMES) % 50 < 25 for side in motions}
    arrays |= {f"event_{name}": np.zeros(0, np.int32) for name in ("kind", "frame", "response")}
    arrays |= {"event_responded": np.zeros(0, bool), "avatar_reference": (rest[0] @ directions.T).astype(np.float32)}
    return schema.Conversation(**arrays, seed=seed, avatar_voice=f"a{seed}", user_voice=f"u{seed}")
