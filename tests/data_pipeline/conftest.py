"""A made-up conversation, a function that saves some as a data set, and a speech synthesis process."""

import numpy as np
import pytest

from afjax import normalizer
from data_pipeline import records, schema
from data_pipeline.schema import Conversation

T, D, F = 80, 15, 100


@pytest.fixture(scope="session")
def clip():
    """Function: a Conversation of 80 frames, 15 channels and 100 features, of noise."""
    return _clip


@pytest.fixture(scope="session")
def save():
    """Function (folder, clips): writes them as the training split, statistics 0 and 1; -> Metadata."""
    return _save


@pytest.fixture(scope="session")
def speaker():
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("soxr")
    from data_pipeline.simulate.speech.synthesis import Speaker

    with Speaker() as process:
        yield process


def _clip(seed=0, frames=T, evaluation=True):
    rng = np.random.default_rng(seed)

    def motion():
        return rng.standard_normal((frames, D)).astype(np.float32)

    sound = rng.integers(-99, 99, frames * 640).astype(np.int16)
    return Conversation(
        avatar_motion=motion(),
        user_motion=motion(),
        avatar_features=rng.random((frames, F)).astype(np.float16),
        user_features=rng.random((frames, F)).astype(np.float16),
        avatar_speaking=rng.random(frames) < 0.5,
        user_speaking=rng.random(frames) < 0.5,
        event_kind=np.array([0, 1], np.int32),
        event_frame=np.array([3, 40], np.int32),
        event_responded=np.array([True, False]),
        event_response=np.array([9, -1], np.int32),
        seed=seed,
        avatar_voice="en-us+f1",
        user_voice="en+m1",
        avatar_oracle=motion() if evaluation else None,
        avatar_wave=sound if evaluation else None,
        user_wave=sound[::-1].copy() if evaluation else None,
    )


def _statistics(**changes):
    arrays = dict(
        motion_mean=np.zeros(D, np.float32),
        motion_std=np.ones(D, np.float32),
        audio_mean=np.zeros(F, np.float32),
        audio_std=np.ones(F, np.float32),
    )
    return normalizer.Normalizer(**{**arrays, **changes})


def _save(folder, clips):
    records.write_split(folder, "train", map(schema.encode, clips))
    splits = {"train": {"count": len(clips), "frames": T, "seed": 0}}
    metadata = records.Metadata(tuple(map(str, range(D))), {"name": "mel", "dim": F}, 25, splits, _statistics())
    records.write_metadata(folder, metadata)
    return metadata
