"""Runs of a few steps on forced CPU devices, in a process of its own: their number is fixed when JAX starts.

    python -m tests.multidevice.runs FUNCTION ARGUMENTS      prints the result as JSON, last line
"""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MESHES = {"8": {"data": 8}, "4 x 2": {"data": 4, "fsdp": 2}, "2 x 2 x 2": {"data": 2, "fsdp": 2, "tensor": 2}}


def child(function: str, *arguments, devices: int = 8, x64: bool = False, start=subprocess.run):
    """Calls a function of this module in a new process with so many CPU devices."""
    env = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "JAX_PLATFORMS": "cpu"}
    env |= {"JAX_ENABLE_X64": str(int(x64)), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.multidevice.runs", function, json.dumps(arguments)]
    return start(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result(function: str, *arguments, **settings):
    done = child(function, *arguments, **settings)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def batch_of(config, place: int) -> dict:
    """A batch that depends on its place alone."""
    import numpy as np

    rng = np.random.default_rng(place)
    c, shape = config.model, (config.data.batch, config.data.window)
    dims = {"avatar_motion": c.motion_dim, "user_motion": c.motion_dim, "losing_motion": c.motion_dim}
    dims |= {"avatar_audio": c.audio_dim, "user_audio": c.audio_dim}
    batch = {name: rng.standard_normal((*shape, dim)).astype(np.float32) for name, dim in dims.items()}
    return batch | {"reference": np.zeros((shape[0], c.motion_dim), np.float32)}


def settings(kind="sgd", depth=1, **compute):
    """A small config with an optimizer, 5 steps, and `compute` settings."""
    from afjax.config import ComputeConfig, DataConfig, OptimizerConfig, TrainingConfig
    from tests.small_model import small_config

    config = small_config(depth=depth)
    rate = 0.03 if kind == "sgd" else 3e-3
    return dataclasses.replace(
        config,
        optimizer=OptimizerConfig(kind=kind, learning_rate=rate, warmup_steps=1),
        training=TrainingConfig(num_steps=8),
        data=DataConfig(window=config.data.window, batch=8),
        compute=ComputeConfig(**compute),
    )


def trained(config, steps=5, reference=None, start=None):
    """Losses, the state and the number of compiled programs after a few steps."""
    from afjax.training.sharding import make_place, rows
    from afjax.training.state import init_state, token_layout
    from afjax.training.step import make_draw, make_train_step

    state, layout = init_state(config, start), token_layout(config)
    step, draw, place = make_train_step(config, reference), make_draw(config), make_place(config)
    (index, count), losses = rows(config), []
    size = config.data.batch // count
    for i in range(steps):
        own = {name: x[index * size : (index + 1) * size] for name, x in batch_of(config, i).items()}
        state, metrics = step(state, place(own), draw(i), layout)
        losses.append(float(metrics["loss"]))
    return losses, state, step


def distance(a, b) -> float:
    """Largest difference of two trees, leaf by leaf in shares of the leaf's largest entry."""
    import jax
    import numpy as np

    from afjax.training.sharding import whole

    pairs = zip(jax.tree.leaves(whole(a)), jax.tree.leaves(whole(b)), strict=True)
    return max(float(np.abs(x - y).max() / max(np.abs(y).max(), 1e-30)) for x, y in map(lambda p: map(np.asarray, p), pairs))


def if_run():
    name, arguments = sys.argv[1:]
    print(json.dumps(globals()[name](*json.loads(arguments))))


def compare(kind: str, meshes: list):
    """For each mesh: how far losses and parameters of 5 steps are from one device's; shares of devices and so on."""
    import jax
    import numpy as np

    from tests.small_model import scrambled

    dtype = np.float64 if jax.config.jax_enable_x64 else np.float32
    start = scrambled(settings(), 0.1, dtype)
    losses, state, _ = trained(settings(kind), start=start)
    out = {}
    for mesh in meshes:
        config = settings(kind, **mesh)
        found, divided, step = trained(config, start=start)
        largest = divided.params["params"]["blocks_0"]["mlp_in"]["kernel"]
        out[json.dumps(mesh)] = {
            "loss": float(np.abs(np.divide(found, losses) - 1).max()),
            "params": distance(divided.params, state.params),
            "ema": distance(divided.ema_params, state.ema_params),
            "programs": step.func._cache_size(),
            "share": largest.addressable_data(0).size / largest.size,
            "spec": str(largest.sharding.spec),
        }
    return out


if __name__ == "__main__":
    if_run()
