"""The latent codec the whole way, as small as it gets: trained on drawn people, read, generated, decoded."""

import dataclasses
import json

import numpy as np
import pytest

from afjax import files
from afjax.avatar.codecs import load_autoencoder
from afjax.avatar.runs import load_run
from afjax.config import from_dict, to_dict
from afjax.errors import InputError
from afjax.training.checkpoint import Checkpoints
from afjax.training.latent_codec.config import LatentTrainingConfig
from afjax.training.latent_codec.step import init_state
from data_pipeline.records import read_metadata, read_split, write_metadata, write_split
from data_pipeline.schema import encode
from data_pipeline.simulate.portrait.draw import paint_portrait
from experiments.configs import autoencoder
from experiments.data.latent_data import latent_data
from experiments.runs.train import train_run as train_motion
from experiments.runs.train_latent_codec import train_run

FRAMES = 60
DIM, DIRECTIONS = 24, 15


@pytest.fixture(scope="module")
def tiny() -> LatentTrainingConfig:
    config = autoencoder.get_config("small")
    config.codec.dim, config.codec.directions, config.codec.channels = DIM, DIRECTIONS, (8, 8, 8, 8, 4)
    config.pictures.frames, config.pictures.batch = 4, 1
    config.pictures.train_people, config.pictures.eval_people = 2, 1
    config.encoder_steps = 1
    config.training.num_steps, config.training.log_every, config.training.save_every = 3, 1, 2
    return from_dict(config.to_dict(), LatentTrainingConfig)


@pytest.fixture(scope="module")
def tiny_codec(tiny, tmp_path_factory):
    """Run folder of a codec that has learnt nothing."""
    pytest.importorskip("ai_edge_litert")
    folder = tmp_path_factory.mktemp("codec") / "run"
    files.write_json(folder / "config.json", to_dict(tiny))
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(init_state(tiny), {}, {})
    return folder


@pytest.fixture(scope="module")
def latents(config, tiny_codec, tmp_path_factory):
    """One conversation of each split, cut short, as motion of that codec."""
    folder, out = tmp_path_factory.mktemp("cut"), tmp_path_factory.mktemp("latent") / "data"
    metadata = read_metadata(config.data.path)
    for split in metadata.splits:
        write_split(folder, split, [encode(_cut(next(read_split(config.data.path, split))))])
    splits = {name: {**split, "count": 1, "frames": FRAMES} for name, split in metadata.splits.items()}
    write_metadata(folder, dataclasses.replace(metadata, splits=splits))
    latent_data(folder, load_autoencoder(tiny_codec), out)
    return out


def _cut(clip):
    changed = {}
    for field in dataclasses.fields(clip):
        value = getattr(clip, field.name)
        if isinstance(value, np.ndarray) and field.name.startswith("event"):
            changed[field.name] = value[clip.event_frame < FRAMES]
        elif isinstance(value, np.ndarray):
            changed[field.name] = value[: len(value) * FRAMES // clip.frames]
    return dataclasses.replace(clip, **changed)


@pytest.mark.slow
def test_a_codec_is_trained_measured_and_continued(tiny, tmp_path):
    pytest.importorskip("ai_edge_litert")
    summary = train_run(tiny, tmp_path / "run")
    assert summary["steps"] == 3 and 0 < summary["psnr"] < 100 and -1 <= summary["ssim"] <= 1
    told = {"yaw", "pitch", "roll", "jaw_open", "smile"}
    assert set(summary["r2"]) == set(summary["r2_absolute"]) == told and "lpips_vgg16" not in summary
    assert {path.name for path in (tmp_path / "run" / "samples").iterdir()} == {"transfer.png", "reconstruction.png"}
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["psnr"] == summary["psnr"]
    other = dataclasses.replace(tiny, adam=dataclasses.replace(tiny.adam, ema=0.5))
    with pytest.raises(InputError, match="another config .adam.ema: 0.995 before, 0.5 asked for"):
        train_run(other, tmp_path / "run")
    longer = dataclasses.replace(tiny, training=dataclasses.replace(tiny.training, num_steps=5))
    assert train_run(longer, tmp_path / "run")["steps"] == 5
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 5]


def test_records_hold_latents_and_the_avatar_at_rest(config, latents):
    metadata = read_metadata(latents)
    assert metadata.channels == tuple(f"latent_{n}" for n in range(DIM))
    clip, face = next(read_split(latents, "train")), next(read_split(config.data.path, "train"))
    assert clip.avatar_motion.shape == clip.user_motion.shape == (FRAMES, DIM) and clip.avatar_reference.shape == (DIM,)
    np.testing.assert_array_equal(clip.user_features, face.user_features[:FRAMES])
    np.testing.assert_allclose(metadata.normalizer.motion_mean, clip.avatar_motion.mean(0), rtol=1e-4, atol=1e-5)
    assert np.linalg.matrix_rank(clip.avatar_motion, tol=1e-4) <= DIRECTIONS
    assert clip.avatar_motion.std(0).max() > 0


@pytest.mark.slow
def test_motion_is_trained_generated_and_decoded(config, tiny_codec, latents, tmp_path):
    values = to_dict(config)
    values["model"]["motion_dim"] = DIM
    values["data"] |= {"path": str(latents), "codec": str(tiny_codec), "batch": 1}
    values["training"] |= {"num_steps": 2, "log_every": 1, "save_every": 2, "sample_every": 2}
    train_motion(from_dict(values), tmp_path / "run")
    run = load_run(tmp_path / "run")
    codec = run.codec()
    identity = codec.identity(paint_portrait(3, 256))
    motion = run.generate(20, user_wave=np.zeros(12_800, np.float32), reference_motion=codec.reference_motion(identity))
    frames = codec.render(identity, motion)
    assert motion.shape == (20, DIM) and frames.shape == (20, 64, 64, 3) and frames.dtype == np.uint8
    assert np.ptp(frames[0]) > 0
    with pytest.raises(InputError, match="size 256: this codec renders 64 px"):
        run.codec(256)
