"""A model that hears by wav2vec2 is trained, loaded, streamed, exported and benchmarked like one that hears by mel."""

import json
import subprocess
from dataclasses import replace

import jax
import numpy as np
import pytest

import afjax
from afjax.audio.feature_extractors import MelFeatures, described
from afjax.avatar.features import load_features
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config, DataConfig, LayoutConfig, ModelConfig, OptimizerConfig, SamplerConfig, TrainingConfig
from afjax.errors import InputError
from afjax.normalizer import Normalizer
from afjax.streaming.session import Session
from afjax.weights import readers
from afjax.weights import tiny_release as released
from afjax.weights.folder import to_folder
from data_pipeline import records, schema
from data_pipeline.dataset import batches
from experiments.data.features import make_features
from experiments.evaluation import eval_set
from experiments.export.bundle import export
from experiments.live import call_benchmark, step_time, systems
from experiments.live.comparison import compare
from experiments.runs.train import train_run

BLOCK, FRAMES = 5, 60


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    to_folder(**released.write(folder / "sources"), out=str(folder / "converted"), heads=released.FLOW.heads)
    return folder / "converted"


def conversation(seed: int) -> schema.Conversation:
    """Noise that nods."""
    rng = np.random.default_rng(seed)
    arrays = {f"{side}_wave": rng.integers(-3000, 3000, FRAMES * 640).astype(np.int16) for side in ("avatar", "user")}
    arrays |= {f"{side}_features": np.zeros((FRAMES, MelFeatures.dim), np.float16) for side in ("avatar", "user")}
    wave = 0.1 * np.sin(np.arange(FRAMES) / 5 + rng.random(len(CHANNELS))[:, None]).T.astype(np.float32)
    arrays |= {"avatar_motion": wave, "user_motion": np.maximum(0, wave[::-1]) * 0}
    arrays |= {f"{side}_speaking": np.ones(FRAMES, bool) for side in ("avatar", "user")}
    arrays |= {f"event_{name}": np.zeros(0, np.int32) for name in ("kind", "frame", "response")}
    none = {"event_responded": np.zeros(0, bool), "avatar_voice": "a", "user_voice": "b"}
    return schema.Conversation(**arrays, **none, seed=seed)


def recorded(folder, splits: dict[str, list[schema.Conversation]]):
    """A data set of these conversations and their sound, with mel's place for features empty."""
    folder.mkdir()
    for split, clips in splits.items():
        records.write_split(folder, split, map(schema.encode, clips))
    d, f = len(CHANNELS), MelFeatures.dim
    plain = Normalizer(*(np.full(n, v, np.float32) for n in (d, f) for v in (0, 1)))
    counts = {split: {"count": len(clips), "frames": FRAMES, "seed": 0} for split, clips in splits.items()}
    records.write_metadata(folder, records.Metadata(CHANNELS, described(MelFeatures()), 25, counts, plain))
    return folder


@pytest.fixture(scope="module")
def data(weights, tmp_path_factory):
    """Records with wav2vec2 features, made by the command's own function of records with sound."""
    folder = tmp_path_factory.mktemp("records")
    splits = {"train": 4, "eval": 2}
    made = {split: [conversation(100 * len(split) + n) for n in range(count)] for split, count in splits.items()}
    recorded(folder / "sound", made)
    make_features(folder / "sound", folder / "wav2vec2", load_features(weights, BLOCK))
    return folder / "wav2vec2"


@pytest.fixture(scope="module")
def config(data, weights) -> Config:
    dim = load_features(weights).dim
    return Config(
        model=ModelConfig(len(CHANNELS), dim, 16, 1, 2, condition_width=16, condition_heads=2),
        layout=LayoutConfig(block=BLOCK, look_ahead=0, mask="blockwise", cache=10, condition_window=4),
        sampler=SamplerConfig(nfe=1),
        optimizer=OptimizerConfig(kind="adamw"),
        data=DataConfig(path=str(data), features=str(weights), window=20, batch=2),
        training=TrainingConfig(num_steps=4, log_every=2, save_every=4, sample_every=4),
    )


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run") / "run"
    assert train_run(config, workdir, samples=False)["steps"] == 4
    return workdir


def test_the_run_knows_what_it_hears_with(run, config, weights, data):
    avatar = afjax.load(run)
    assert (avatar.features.name, avatar.features.dim) == ("wav2vec2", config.model.audio_dim)
    assert described(avatar.features) == records.read_metadata(data).features
    assert set(described(avatar.features)) == {"name", "dim", "window", "block", "weights_sha256"}
    clip = next(records.read_split(data, "eval"))
    heard = avatar.features.clip(clip.user_wave / np.float32(32768), FRAMES)
    np.testing.assert_array_equal(heard.astype(np.float16), clip.user_features)
    motion = avatar.generate(12, user_wave=clip.user_wave / np.float32(32768), avatar_wave=np.zeros(9, np.float32))
    assert motion.shape == (12, len(CHANNELS)) and np.isfinite(motion).all()


def test_other_weights_or_none_are_refused(run, config, weights, tmp_path):
    with pytest.raises(InputError, match="features are wav2vec2, those of data.features are mel"):
        train_run(replace(config, data=replace(config.data, features="")), tmp_path / "mel", samples=False)
    speech = released.speech_tensors()
    name = next(name for name in speech if name.endswith("layer_norm.bias"))
    speech[name] = speech[name] + 1
    other = released.write(tmp_path / "sources", speech=speech)
    to_folder(**other, out=str(tmp_path / "other"), heads=released.FLOW.heads)
    with pytest.raises(InputError, match="another weights_sha256"):
        train_run(
            replace(config, data=replace(config.data, features=str(tmp_path / "other"))), tmp_path / "o", samples=False
        )
    stored = json.loads((run / "config.json").read_text())
    copied = tmp_path / "copied"
    copied.symlink_to(run)  # the checkpoint as it is, the weights gone
    gone = tmp_path / "gone"
    gone.mkdir()
    (gone / "checkpoints").symlink_to(run / "checkpoints")
    stored["data"]["features"] = str(tmp_path / "nowhere")
    (gone / "config.json").write_text(json.dumps(stored))
    with pytest.raises(InputError, match="nowhere"):
        _ = afjax.load(gone).features
    assert readers.read(weights / "wav2vec2.safetensors")


def test_a_live_stream_hears_the_user(run):
    avatar = afjax.load(run)
    engine = avatar.engine(2)
    rng, made = np.random.default_rng(0), []
    for loud in (0.0, 0.3):
        slot, buffers = engine.join(seed=1), Session(BLOCK, channels=len(CHANNELS))
        buffers.user_sound((loud * rng.standard_normal(4 * BLOCK * 640)).astype(np.float32), 16_000)
        blocks = []
        for block in range(4):
            given = jax.tree.map(np.zeros_like, afjax.streaming.live_step.silence(engine.config, 2))
            for whole, part in zip(given, buffers.take((block + 1) * BLOCK / 25), strict=True):
                whole[slot] = part
            blocks.append(np.asarray(engine.step(given)[slot]))
        engine.leave(slot)
        made.append(np.concatenate(blocks))
    assert engine.compilations == 1 and np.isfinite(made).all() and np.abs(made[1] - made[0]).max() > 1e-4


def test_its_step_alone_is_timed(run):
    summary = step_time.measure(afjax.load(run), blocks=6)
    assert summary["blocks"] == 6 and summary["compiled"] == 0 and summary["step_ms"]["p50"] > 0
    assert summary["latency_s"] == pytest.approx(BLOCK / 25 + summary["step_ms"]["p50"] / 1000)


def test_nothing_before_the_end_of_a_block_knows_what_the_user_says_after_it(run, data, tmp_path):
    """Not the features of training, nor evaluation by records or by files, nor a stream; those of whole clips do."""
    avatar, end = afjax.load(run), 7 * BLOCK
    before = [conversation(seed) for seed in (7, 8)]
    after = [replace(clip, user_wave=clip.user_wave.copy()) for clip in before]
    for clip in after:
        clip.user_wave[end * 640 :] = conversation(9).user_wave[end * 640 :] * 3

    def rows(clips, extractor, name):
        """The user's features of windows as training reads them, whole clips of them, by the windows' names."""
        sound = recorded(tmp_path / f"{name} sound", {"train": clips, "eval": clips})
        make_features(sound, tmp_path / name, extractor)
        iterator, found = batches(tmp_path / name, batch=2, frames=20, stored=True), {}
        for _ in range(12):
            batch = next(iterator)
            found |= dict(zip(iterator.windows, batch["user_features"].astype(np.float32), strict=True))
        return found

    def changed(one, other, first=0):
        """Frames whose numbers differ, from `first` on."""
        return {first + int(n) for n in np.flatnonzero(np.abs(np.asarray(one) - other).max(-1) > 0)}

    def trained_on(extractor, name):
        one, other = (rows(clips, extractor, f"{name} {n}") for n, clips in enumerate((before, after)))
        assert one.keys() == other.keys()
        return set().union(*(changed(one[at], other[at], int(at.rpartition("@")[2])) for at in one))

    def evaluated(avatar, name):
        one, other = (
            eval_set.generate(avatar, list(records.read_split(tmp_path / f"{name} {n}", "eval")), kept={"m": "joint"})
            for n in range(2)
        )
        return changed(*(np.concatenate(found["m"], -1) for found in (one, other)))

    def from_files(avatar):
        return changed(
            *(
                avatar.generate(FRAMES, clip.user_motion, clip.user_wave / np.float32(32768))
                for clip in (before[0], after[0])
            )
        )

    def streamed(clip):
        engine, buffers, made = avatar.engine(), Session(BLOCK, channels=len(CHANNELS)), []
        slot = engine.join(seed=1)
        buffers.user_sound(clip.user_wave / np.float32(32768), 16_000)
        for block in range(FRAMES // BLOCK):
            given = jax.tree.map(lambda part: part[None], buffers.take((block + 1) * BLOCK / 25))
            made.append(np.asarray(engine.step(given)[slot]))
        return np.concatenate(made)

    whole = replace(avatar.features, block=0)
    heard = replace(avatar, load_features=lambda: whole)
    found = {
        "training": (trained_on(avatar.features, "blocks"), trained_on(whole, "whole")),
        "records": (evaluated(avatar, "blocks"), evaluated(heard, "whole")),
        "files": (from_files(avatar), from_files(heard)),
        "stream": (changed(streamed(before[0]), streamed(after[0])), {0}),
    }
    for way, (blocks, clips) in found.items():
        assert blocks and min(blocks) >= end, f"{way}: frame {min(blocks, default=None)} of {end}"
        assert min(clips) < end, f"{way}: features of whole clips tell nothing of what comes later"


@pytest.mark.slow
def test_the_bundle_gives_the_library_s_bits(run, tmp_path):
    summary = export(str(run), str(tmp_path / "bundle"), ["cpu"], 1, "none")
    assert summary["example"]["bit_equal"]
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["features"]["kind"] == "wav2vec2" and any("extractor" in name for name in manifest["params"])


@pytest.mark.slow
def test_the_benchmark_measures_it(run, tmp_path, monkeypatch):
    """The whole command's function, for seconds in place of minutes."""
    pytest.importorskip("ai_edge_litert")
    for name, value in (("QUIET", 0.4), ("TRIAL", 1)):
        monkeypatch.setattr(call_benchmark, name, value)
    monkeypatch.setattr(call_benchmark, "capacity", lambda subject: subject.sessions[0])
    subject = systems.from_run(run)
    monkeypatch.setattr(call_benchmark, "cold_start", lambda subject: subprocess.run(subject.command).returncode)
    summary = compare([subject], tmp_path / "out", events=1, seconds=1.0, size=128)
    assert summary["cold_start_seconds"] == 0 and summary["blocks"] > 5
    assert summary["compute_ms"]["step"]["p50"] > 0 and (tmp_path / "out" / "times.jsonl").exists()
