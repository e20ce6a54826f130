"""The whole way at the size of the smoke config: simulate, train, resume, evaluate, generate."""

import json
import shutil
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from afjax import digests
from afjax.avatar import shipped
from afjax.avatar.runs import load_run
from afjax.config import Config, from_dict, to_dict
from afjax.errors import InputError
from afjax.metrics.events import EVENTS
from afjax.training.checkpoint import Checkpoints
from afjax.training.generator.state import init_state
from afjax.training.generator.train import train
from data_pipeline.dataset import batches
from data_pipeline.records import read_metadata, write_metadata
from experiments.evaluation import eval_set
from experiments.runs import data, held_out
from experiments.runs.train import train_run


def final_state(config: Config, workdir):
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore(init_state(config))


@pytest.mark.slow
def test_forty_steps_equal_twenty_resumed_and_twenty_with_the_data_s_order(config, workdir, tmp_path):
    normalizer = read_metadata(config.data.path).normalizer.to_json()

    def iterator():
        sizes = (config.data.batch, config.data.window, config.training.seed)
        return batches(config.data.path, "train", *sizes, earlier=config.model.earlier_frames)

    train(config, tmp_path, iterator(), {"statistics": normalizer}, stop=20)
    train(config, tmp_path, iterator(), {"statistics": normalizer})
    (straight, place), (resumed, resumed_place) = final_state(config, workdir), final_state(config, tmp_path)
    assert place == resumed_place
    for a, b in zip(jax.tree.leaves(straight), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


def test_run_folder_holds_what_it_should(config, workdir):
    assert from_dict(json.loads((workdir / "config.json").read_text())) == config
    summary = json.loads((workdir / "summary.json").read_text())
    assert summary["steps"] == 40 and summary["seconds"]["train"] > 0
    state, place = final_state(config, workdir)
    assert (summary["params_sha256"], summary["data_sha256"]) == (digests.of_params(state.params), place["sha256"])
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 30, 40]
    probed = [{name: value for name, value in line.items() if name.startswith("held_out/")} for line in lines]
    assert [bool(values) for values in probed] == [False, True, False, True] and probed[1].keys() == probed[3].keys()
    assert {"held_out/loss_level_0.5", "held_out/loss_pose", "held_out/slope_nod_user"} <= probed[1].keys()
    assert probed[3]["held_out/loss"] != probed[1]["held_out/loss"]
    samples = sorted(path.name for path in (workdir / "samples").glob("*.npz"))
    assert samples == ["0000020.npz", "0000040.npz"]
    with np.load(workdir / "samples" / samples[-1]) as sample:
        assert sample["motion"].shape == sample["recorded"].shape and np.isfinite(sample["motion"]).all()


def test_probed_windows_hold_their_events_and_the_answers(config):
    clips = eval_set.held_out(config.data.path)
    frames, block = config.data.window, config.layout.block
    places = held_out.even(clips, frames)
    assert len(places) == held_out.WINDOWS and {clip for clip, _ in places} == set(range(len(clips)))
    assert all(0 <= start <= clips[clip].frames - frames for clip, start in places)
    assert len(set(places)) == len(places)
    for kind in EVENTS:
        causes = [(n, int(frame)) for n, clip in enumerate(clips) for frame in clip.event_frames()[kind]]
        for clip, start, place in held_out.around(clips, causes, frames, block):
            assert start >= 0 and start + frames <= clips[clip].frames and 5 <= place <= frames - 26
            assert start + place in clips[clip].event_frames()[kind]


def test_evaluation_has_every_row_and_metric(config, workdir):
    clips = eval_set.held_out(config.data.path)
    arrays = eval_set.eval_arrays(clips, eval_set.generate(load_run(workdir), clips))
    assert all(array.dtype != object for array in arrays.values())
    table = eval_set.metric_table(arrays, config.layout.block)
    rows = "recorded oracle shuffled frozen model model_user_dropped model_user_motion_dropped model_user_audio_dropped"
    metrics = (
        "rpcc_expression rpcc_pose response_peak_smile response_lag_ms_smile event_response_smile event_response_nod "
        "event_response_voice_only event_response_interruption event_slope_voice_only event_corr_laugh "
        "lip_corr lip_lag_ms variance sid fd jitter_inside "
        "jitter_boundary"
    )
    for row in rows.split():
        for metric in metrics.split():
            assert set(table[row][metric]) - {"p"} == {"mean", "low", "high", "n"}


def test_generation_of_any_length_with_and_without_each_input(workdir):
    run = load_run(workdir)
    run.warm_up()
    compiled = run.generator.compilations
    rng = np.random.default_rng(0)
    user, voice = rng.standard_normal((37, 15)).astype(np.float32), rng.standard_normal(16000).astype(np.float32) * 0.1
    both = run.generate(37, user, voice, voice, seed=1)
    assert both.shape == (37, 15) and np.isfinite(both).all()
    np.testing.assert_array_equal(both, run.generate(37, user, voice, voice, seed=1))
    for other in (
        run.generate(37, user, voice, voice, seed=2),
        run.generate(37, None, None, voice, seed=1),
        run.generate(37, user, None, voice, seed=1),
        run.generate(37, None, voice, voice, seed=1),
        run.generate(37, user, voice, None, seed=1),
    ):
        assert np.abs(other - both).max() > 1e-4
    assert run.generate(1, None, None, voice).shape == (1, 15)
    assert run.generator.compilations == compiled


def test_a_checkpoint_of_another_config_and_broken_folders_are_refused(config, workdir, tmp_path):
    other = replace(config, model=replace(config.model, width=64))
    with pytest.raises(InputError, match="another config"):
        train_run(other, workdir)
    shorter = replace(config, training=replace(config.training, num_steps=config.training.num_steps - 1))
    with pytest.raises(InputError, match="steps are done, training.num_steps asks for"):
        train_run(shorter, workdir)
    assert json.loads((workdir / "config.json").read_text())["training"]["num_steps"] == config.training.num_steps
    broken = tmp_path / "broken"
    shutil.copytree(workdir, broken)
    stored = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(stored | {"model": stored["model"] | {"width": 64}}))
    with pytest.raises(InputError, match="another config"):
        load_run(broken)
    (broken / "config.json").write_text(json.dumps(stored | {"layout": stored["layout"] | {"alignment": 1}}))
    with pytest.raises(InputError, match="another config .layout.alignment: 2 before, 1 asked for"):
        load_run(broken)
    (broken / "config.json").write_text(json.dumps(stored | {"modle": {}}))
    with pytest.raises(InputError, match="unknown field 'modle'; did you mean 'model'"):
        load_run(broken)
    (broken / "config.json").write_text("{")
    with pytest.raises(InputError, match="not readable"):
        load_run(broken)
    with pytest.raises(InputError, match="no checkpoint"):
        shutil.rmtree(broken / "checkpoints")
        (broken / "config.json").write_text(json.dumps(stored))
        load_run(broken)
    with pytest.raises(InputError, match="no such run folder"):
        load_run(tmp_path / "nothing")


def test_a_run_on_data_of_other_statistics_is_refused(config, workdir, tmp_path):
    records = tmp_path / "records"
    shutil.copytree(config.data.path, records)
    metadata = read_metadata(records)
    changed = metadata.normalizer.motion_std.copy()
    changed[3] *= 1.5
    write_metadata(records, replace(metadata, normalizer=replace(metadata.normalizer, motion_std=changed)))
    meta = {"config": to_dict(config), "statistics": read_metadata(records).normalizer.to_json()}
    with pytest.raises(InputError, match=r"data of other statistics .motion_std.3. .* before, .* in these data"):
        train(config, workdir, None, meta)


def test_half_written_data_are_made_again(config, tmp_path, monkeypatch):
    (tmp_path / ".data.x1y2").mkdir()
    (tmp_path / ".data.x1y2" / ".train-00000.safetensors").write_bytes(b"half")
    monkeypatch.setattr(data, "build", lambda folder, *_, **__: shutil.copytree(config.data.path, folder))
    simulated = replace(config, data=replace(config.data, path=""))
    assert data.training_data(simulated, tmp_path) == tmp_path / "data"
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_data_that_do_not_fit_the_model_are_refused(config, tmp_path):
    other = replace(config, model=replace(config.model, audio_dim=7))
    with pytest.raises(InputError, match="audio features, the model 7"):
        train_run(other, tmp_path / "run")


@pytest.mark.parametrize("ships", [pytest.param(False, marks=pytest.mark.slow), True])
def test_demo_writes_everything(config, workdir, tmp_path, tmp_path_factory, monkeypatch, ships):
    """The demo of a trained run, alone and beside a model that ships; figures can be computed again from `eval.npz`."""
    pytest.importorskip("ai_edge_litert")
    av = pytest.importorskip("av")
    from experiments.evaluation import demo

    monkeypatch.setattr(demo, "write_conversation", partial(demo.write_conversation, size=128))
    monkeypatch.setattr(shipped, "MODELS", tmp_path_factory.mktemp("models"))
    if ships:
        load_run(workdir).save(shipped.MODELS / "listener")
    shutil.copytree(workdir, tmp_path / "run")  # started again it goes on, and this training has ended
    demo.demo(config, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "run", "conversation.mp4", "contact_sheet.png", "masks.png", "response_map.png", "motion_curves.png",
        "report.html", "eval.npz", "summary.json",
        *(("conversation_listener.mp4", "contact_sheet_listener.png") if ships else ()),
    }  # fmt: skip
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["seconds"]["train"] > 0 and summary["seconds"]["stream"] > 0
    rows, page = summary["metrics"], (tmp_path / "report.html").read_text()
    assert ("listener" in rows) == ('<th scope="col">listener' in page) == ships
    assert page.count("<video") == 1 + ships
    if ships:  # the same weights: the same figures and the same picture
        assert rows["listener"] == rows["model"]
        assert (tmp_path / "conversation.mp4").read_bytes() == (tmp_path / "conversation_listener.mp4").read_bytes()
    with np.load(tmp_path / "eval.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    again = eval_set.metric_table(arrays, config.layout.block, metrics=("fd",))
    assert again["model"]["fd"]["mean"] == pytest.approx(summary["metrics"]["model"]["fd"]["mean"])
    with av.open(str(tmp_path / "conversation.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.codec_context.name == "h264" and audio.codec_context.name == "aac"
        assert video.average_rate == 25 and video.frames == config.data.seconds * 25
    assert "<script" not in page


def test_real_files_through_the_trained_model(workdir, tmp_path):
    """Portrait, video of a user and a voice become a video; the user and the seed make a difference."""
    pytest.importorskip("ai_edge_litert")
    av = pytest.importorskip("av")
    soundfile = pytest.importorskip("soundfile")
    from afjax.codec.face.codec import FaceCodec
    from afjax.media.writer import VideoWriter
    from data_pipeline.simulate.portrait.draw import paint_portrait, write_portrait
    from experiments.talk.stream import stream

    write_portrait(tmp_path / "face.png", 0, 256)
    codec, motion = FaceCodec(size=128), np.zeros((30, 15), np.float32)
    motion[:, 0] = np.linspace(-10, 10, 30)
    with VideoWriter(tmp_path / "user.mp4", 128, 128) as writer:
        writer.frames(codec.render(codec.identity(paint_portrait(1)), motion))
    voice = 0.3 * np.random.default_rng(0).standard_normal(44100) * np.sin(np.linspace(0, 20, 44100)) ** 2
    soundfile.write(tmp_path / "avatar.wav", voice, 44100)

    def run(name, video="user.mp4", seed=0):
        paths = (str(tmp_path / "face.png"), video and str(tmp_path / video), "", str(tmp_path / "avatar.wav"))
        return stream(workdir, tmp_path / name, *paths, seed=seed, size=128)

    summary = run("both.mp4")
    assert summary["frames"] == 30 and summary["user_frames"]["with_face"] == 30
    with av.open(str(tmp_path / "both.mp4")) as container:
        assert container.streams.video[0].frames == 30 and len(container.streams.audio) == 1
    run("alone.mp4", video="")
    run("again.mp4")
    run("other.mp4", seed=1)
    first = (tmp_path / "both.mp4").read_bytes()
    assert first == (tmp_path / "again.mp4").read_bytes()
    assert first != (tmp_path / "other.mp4").read_bytes() and first != (tmp_path / "alone.mp4").read_bytes()
