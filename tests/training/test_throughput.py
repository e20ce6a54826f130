"""What a run logs of its speed: known FLOPs, a counted clock, one compilation, and files that read back."""

import dataclasses
import json
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config import ModelConfig
from afjax.nn.transformer import ForcingTransformer
from afjax.training import throughput
from afjax.training.generator.state import init_params, token_layout
from afjax.training.generator.step import generator_loss, make_random_inputs
from afjax.training.generator.train import step_flops, train
from tests.training.test_training import Batches, quick

SPEED = {"steps_per_second", "frames_per_second", "flops_per_second", "input_wait", "process_gb", "seconds"}


def test_matrix_products_are_counted_wherever_they_stand():
    x, w = jnp.ones((3, 4)), jnp.ones((4, 4))
    assert throughput.matmul_flops(lambda x, w: x @ w + x, x, w) == 2 * 3 * 4 * 4
    product = jax.jit(lambda x, w: jnp.einsum("bik,bkj->bij", x, w))
    assert throughput.matmul_flops(product, x[None], w[None]) == 96
    loop = lambda x, w: jax.lax.scan(lambda x, _: (x @ w, None), x, length=7)  # noqa: E731
    assert throughput.matmul_flops(loop, x, w) == 7 * 96
    assert throughput.matmul_flops(jax.vmap(jnp.dot, (0, None)), jnp.ones((5, 4)), jnp.ones(4)) == 2 * 5 * 4
    assert throughput.matmul_flops(jax.checkpoint(lambda x, w: jnp.sin(x @ w)), x, w) == 96


def test_step_flops_are_xla_s_count_of_the_loss_and_its_gradient():
    """At a size at which matrix products dominate: XLA also counts what is elementwise."""
    config = quick()
    model = ModelConfig(motion_dim=15, audio_dim=100, width=256, depth=1, heads=4, condition_width=128)
    config = dataclasses.replace(config, model=model)
    params = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    batch, draw, layout = next(Batches(config)), jax.eval_shape(make_random_inputs(config), 0), token_layout(config)

    @jax.jit
    @jax.value_and_grad
    def loss(params, batch, draw):
        return generator_loss(ForcingTransformer(model), config.objective.norm, params, batch, draw, layout)[0]

    counted = loss.lower(params, batch, draw).cost_analysis()["flops"]
    assert 0.9 < step_flops(config) / counted < 1.1
    assert step_flops(config, tuned=True) * 3 == step_flops(config) * 8


@pytest.mark.parametrize(
    ("kind", "flops"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-40GB", 312e12),
        ("TPU v5 lite", 197e12),
        ("TPU v5p", 459e12),
        ("cpu", None),
    ],
)
def test_peaks_go_by_the_longest_name(kind, flops):
    assert throughput.peak(kind) == flops


def test_the_meter_divides_by_its_own_clock(monkeypatch):
    """Two steps in 4 s, 1 s of it waiting; then one in 2 s, after 100 s of something else."""
    now = [0.0]
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(throughput, "peak", lambda kind: 1e9)
    meter = throughput.Meter(frames=800, flops=10**8, devices=4)

    def passes(seconds):
        now[0] += seconds

    def slow():
        for seconds in (0.5, 0.5, 0.0):
            passes(seconds)
            yield seconds

    batches = slow()
    for _ in range(2):
        meter.next(batches)
        passes(1.5)
    first = meter.figures()
    assert first["steps_per_second"] == 0.5 and first["input_wait"] == 0.25
    assert first["frames_per_second"] == 400 and first["flops_per_second"] == 5e7
    assert first["mfu"] == pytest.approx(5e7 / 4e9)
    passes(100)
    meter.restart()
    meter.next(batches)
    passes(2)
    assert meter.figures()["frames_per_second"] == 400


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short run that logs every step, and how many programs had been compiled at each."""
    folder, config = tmp_path_factory.mktemp("run"), quick(num_steps=20, log_every=1, save_every=8)
    compiled, at_step = [], {}

    def count(event, seconds, **_):
        compiled.extend([event] * (event == "/jax/core/compile/backend_compile_duration"))

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        train(
            config, folder, Batches(config), {}, tensorboard=True, profile=(3, 5), stop=8,
            progress=lambda step, metrics: at_step.update({step: len(compiled)}),
        )  # fmt: skip
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    return folder, at_step


def test_nothing_is_compiled_after_the_second_step(run):
    at_step = run[1]
    assert at_step[1] > 0 and len(at_step) == 8
    assert at_step[8] == at_step[2]


def test_every_record_has_its_columns(run):
    lines = [json.loads(line) for line in (run[0] / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    for line in lines:
        assert line.keys() == {"step", "loss", "grad_norm", "learning_rate"} | SPEED
        assert 0 <= line["input_wait"] < 1 and line["flops_per_second"] > 0 and 0.05 < line["process_gb"] < 500


def test_the_chosen_steps_are_traced(run):
    (trace,) = (run[0] / "profile").glob("plugins/profile/*/*.xplane.pb")
    data = jax.profiler.ProfileData.from_file(str(trace))
    events = [e for plane in data.planes for line in plane.lines for e in line.events if e.name.startswith("train")]
    assert sorted({dict(event.stats)["step_num"] for event in events}) == [3, 4]


def events(folder):
    """Every value in the event files of a folder: (step, tag, Summary.Value)."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.glob("events.*")):
        data, place = path.read_bytes(), 0
        while place < len(data):
            (length,) = struct.unpack_from("<Q", data, place)
            event = Event.FromString(data[place + 12 : place + 12 + length])
            place += 12 + length + 4
            yield from ((event.step, value.tag, value) for value in event.summary.value)


def test_tensorboard_holds_what_the_log_holds(run):
    pytest.importorskip("tensorboardX")
    logged = [json.loads(line) for line in (run[0] / "metrics.jsonl").read_text().splitlines()]
    found = {(step, tag): value.simple_value for step, tag, value in events(run[0] / "tensorboard")}
    assert len(found) == sum(len(line) - 1 for line in logged)
    for line in logged:
        for name, value in line.items():
            assert name == "step" or found[line["step"], name] == pytest.approx(value, rel=1e-6)


def test_samples_reach_tensorboard(tmp_path, write_video):
    pytest.importorskip("tensorboardX")
    pytest.importorskip("av")
    Image = pytest.importorskip("PIL.Image")
    soundfile = pytest.importorskip("soundfile")
    import io

    from experiments.runs.tensorboard_samples import ROWS, show

    sound = (0.5 * np.sin(np.arange(48_000) * 0.1)).astype(np.float32)
    write_video(tmp_path / "sample.mp4", list(range(0, 250, 10)), sound=sound)
    show(tmp_path / "board", 20, tmp_path / "sample.mp4")
    found = {tag: (step, value) for step, tag, value in events(tmp_path / "board")}
    assert found.keys() == {"sample/frames", "sample/video", "sample/sound"} and {s for s, _ in found.values()} == {20}
    moving = Image.open(io.BytesIO(found["sample/video"][1].image.encoded_image_string))
    assert moving.format == "GIF" and moving.n_frames == 25
    picture = Image.open(io.BytesIO(found["sample/frames"][1].image.encoded_image_string))
    assert picture.height == ROWS * moving.height and picture.width == moving.width
    heard, rate = soundfile.read(io.BytesIO(found["sample/sound"][1].audio.encoded_audio_string))
    assert rate == 16_000 and 0.9 < len(heard) / rate < 1.1 and 0.3 < np.abs(heard).max() < 1
