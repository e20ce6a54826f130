"""The report of a GPU: what it leaves when it is cut off, what its tables say, and what a trace holds."""

import json
import threading

import jax
import jax.numpy as jnp
import pytest

from afjax.errors import InputError
from experiments.live import gpu_report
from experiments.live.gpu_report import Phase
from experiments.live.kernels import top
from experiments.report.gpu_report import tables


def timed(p99):
    return {"p50": 1.0, "p95": 2.0, "p99": p99, "max": 4.0, "n": 7}


def fine(setup, seconds):
    yield {"block_ms": timed(3.0)}
    yield {"stage_ms": {"see": timed(1.0), "step": timed(1.0), "show": timed(1.0)}}


def broken(setup, seconds):
    yield {"block_ms": timed(3.0)}
    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory\nmore")


def test_a_phase_that_fails_or_has_no_time_leaves_the_others(tmp_path, monkeypatch):
    left = []
    phases = [Phase("bfloat16", fine, 1), Phase("tf32", broken, 1), Phase("block_5", fine, 1000)]
    monkeypatch.setattr(gpu_report, "PHASES", phases)
    summary = gpu_report.run(tmp_path, small=True, limit=60, leave=left.append)
    assert json.loads((tmp_path / "gpu.json").read_text())["phases"] == summary["phases"]
    assert summary["phases"]["tf32"]["error"] == "RESOURCE_EXHAUSTED: out of memory"
    assert set(summary["left_out"]) == {"block_5"} and not left
    page = (tmp_path / "gpu.md").read_text()
    assert "| bfloat16 | block | 1.00 | 2.00 | 3.00 | 4.00 | 7 |" in page and "out of memory" in page
    assert "CPU" in page and not summary["gpu"]  # never under the name of a GPU
    assert (tmp_path / "gpu_blocks.png").exists()


def test_what_takes_too_long_is_cut_off_and_leaves_what_it_has(tmp_path, monkeypatch):
    left, end = [], threading.Event()

    def endless(setup, seconds):
        yield {"block_ms": timed(3.0)}
        assert end.wait(60)

    def leave(code):
        left.append((code, read(tmp_path)))
        end.set()

    monkeypatch.setattr(gpu_report, "PHASES", [Phase("bfloat16", endless, 0.1)])
    gpu_report.run(tmp_path, small=True, limit=2.0, leave=leave)
    assert left == [(0, {"bfloat16": {"block_ms": timed(3.0)}})]


def read(folder):
    return json.loads((folder / "gpu.json").read_text())["phases"]


def test_a_cpu_is_no_gpu(tmp_path):
    with pytest.raises(InputError, match="no GPU"):
        gpu_report.run(tmp_path, small=False)
    assert not list(tmp_path.iterdir())


def test_tables_of_everything():
    kernels = {"kernels": [{"name": "gemm|x", "ms": 1.5, "calls": 9.0, "share": 0.5}], "busy_ms": 3.0, "count": 11.0}
    phases = {
        "kernels": kernels | {"launches": {"cuGraphLaunch": 3.0}},
        "attention": {"attend": timed(2.0), "cudnn": {"error": "cuDNN is not detected"}},
        "sessions": {"tried": {"8": {"block_ms": timed(3.0)}}},
        "evaluations": {"step_ms": {"2": timed(2.0)}},
    }
    page = tables({"device": "a device", "jax": "0", "small": False, "phases": phases, "left_out": {"tf32": "late"}})
    for line in ("| gemm/x | 1.500 | 9.0 | 50.0 |", "3 cuGraphLaunch", "| 8 | 1.0 |", "cuDNN is not", "tf32: left out"):
        assert line in page, line


def test_a_trace_says_what_took_how_long(tmp_path):
    call = jax.jit(lambda x: jnp.sin(x @ x))
    x = jnp.ones((400, 400))
    jax.block_until_ready(call(x))
    with jax.profiler.trace(str(tmp_path)):
        for _ in range(4):
            jax.block_until_ready(call(x))
    found = top(tmp_path, 4, most=1)
    (longest,) = found["kernels"]
    assert longest["calls"] == 1 and 0 < longest["ms"] <= found["busy_ms"] and 0 < longest["share"] <= 1
    assert found["count"] >= 2
