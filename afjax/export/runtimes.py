"""The exported step in other runtimes: ONNX by jax2onnx and onnxruntime, IREE by its own compiler.

Each recipe writes a file, runs it beside JAX from the same start over some blocks, and gives the largest difference in
standard deviations of a channel. ONNX takes feature rows in place of sound (jax2onnx 0.17 mistakes the padding of the
mel windows) and the block's noise in place of keys. IREE takes the bundle's step as it is.
"""

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from afjax.config import Config
from afjax.errors import InputError
from afjax.export.bundle import named, rebuilt
from afjax.export.bundle_loader import Stream
from afjax.nn.condition_encoder import Conditions
from afjax.nn.transformer import ForcingTransformer
from afjax.streaming.live_step import LiveParams
from afjax.streaming.state import init_stream
from afjax.streaming.step import make_step

__all__ = ["INSTALL", "to_iree", "to_onnx"]

INSTALL = "pip install -r requirements-export.txt, and pip install --no-deps jax2onnx"
SETTINGS = ("condition_mask", "guidance_weights", "reference_motion")
"""State that no block changes: inputs of the ONNX model, not outputs."""
BLOCKS = 4


def to_onnx(config: Config, params: LiveParams, path: Path, sessions: int = 1) -> dict[str, Any]:
    """Writes the step on feature rows.

    Inputs: the stream's state by name, avatar_features and user_features `[b, block, f]` and user_motion
    `[b, block, d]`, raw, and standard normal noise `[b, block, d]`, for b sessions. Outputs: motion `[b, block, d]`,
    raw, and `next.NAME` of the state. Raises InputError if a package is missing, RuntimeError if the results differ.
    """
    try:
        import jax2onnx
        import onnx
        import onnxruntime
    except ImportError as error:
        raise InputError(f"{error.name} is missing", do=INSTALL) from None
    like = init_stream(
        jax.random.split(jax.random.key(0), sessions), np.zeros((sessions, config.model.motion_dim), np.float32),
        config.model, config.layout, config.sampler,
    )  # fmt: skip
    first = {name: np.asarray(x) for name, x in named(like).items()}
    held = [name for name, x in first.items() if x.size and name != "rng"]
    changed = [name for name in held if name not in SETTINGS]
    block_step = make_step(ForcingTransformer(config.model), config.layout, config.sampler)

    def step(*arrays):
        *state, avatar, user, motion, noise = arrays
        heard = map(params.normalizer.scale_audio, (avatar, user))
        conditions = Conditions(*heard, params.normalizer.scale_motion(motion))
        before = rebuilt(like, first | dict(zip(held, state, strict=True)))
        after, made = block_step(params.model, before, conditions, noise)
        after = named(after)
        return params.normalizer.raw_motion(made), *(after[name] for name in changed)

    rng, block, model = np.random.default_rng(0), config.layout.block, config.model
    widths = (model.audio_dim, model.audio_dim, model.motion_dim, model.motion_dim)
    blocks = [[rng.random((sessions, block, n), np.float32) for n in widths] for _ in range(BLOCKS)]
    wanted, _ = _played(jax.jit(step), first, held, changed, blocks)
    names = [*held, "avatar_features", "user_features", "user_motion", "noise"]
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (*(first[name] for name in held), *blocks[0])]
    outputs = ["motion", *(f"next.{name}" for name in changed)]
    onnx.save(jax2onnx.to_onnx(step, inputs=shapes, input_names=names, output_names=outputs), str(path))
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), quiet, providers=["CPUExecutionProvider"])

    def run(*arrays):
        return session.run(outputs, dict(zip(names, arrays, strict=True)))

    made, seconds = _played(run, first, held, changed, blocks)
    return _account(made, wanted, np.asarray(params.motion_std), seconds, path)


def to_iree(bundle: Path, path: Path) -> dict[str, Any]:
    """Compiles a bundle's step for this CPU. `main` takes parameters, state and inputs in the order of their names.

    Raises InputError if a package is missing or the step is in bfloat16, RuntimeError if the results differ.
    """
    try:
        import iree.compiler
        import iree.runtime
    except ImportError as error:
        raise InputError(f"{error.name} is missing", do=INSTALL) from None
    stream = Stream(bundle)
    if stream.manifest.get("precision") == "bfloat16":
        raise InputError("IREE is given steps in float32", bundle, "export it with --precision tf32")
    exported = export.deserialize(bytearray(stream.files["step.jax_exported"]))
    program = iree.compiler.compile_str(
        exported.mlir_module_serialized, input_type="stablehlo", target_backends=["llvm-cpu"],
        extra_args=["--iree-llvmcpu-target-cpu=host"],
    )  # fmt: skip
    path.write_bytes(program)
    module = iree.runtime.load_vm_flatbuffer(program, driver="local-task")

    def step(params, state, inputs):
        leaves = jax.tree.leaves(((params, state, inputs), {}))
        made = module.main(*(leaves[index] for index in exported.module_kept_var_idx))
        return jax.tree.unflatten(exported.out_tree, [np.asarray(x) for x in made])

    wanted, made, seconds = [], [], []
    state = jax.device_get(stream.state)
    rng = np.random.default_rng(0)
    for _ in range(BLOCKS):
        inputs = {n: 0.1 * rng.random(a["shape"], np.float32) for n, a in stream.manifest["inputs"].items()}
        wanted.append(stream.step(**inputs))
        begun = time.perf_counter()
        state, motion = step(stream.params, state, inputs)
        seconds.append(time.perf_counter() - begun)
        made.append(motion)
    std = np.array([channel["std"] for channel in stream.manifest["motion"]])
    return _account(np.stack(made), np.stack(wanted), std, seconds, path)


def _played(step, first, held, changed, blocks):
    """Motion `[n, b, block, d]` of n blocks one after the other, and the seconds of each."""
    state, made, seconds = dict(first), [], []
    for block in blocks:
        begun = time.perf_counter()
        motion, *after = jax.device_get(step(*(state[name] for name in held), *block))
        seconds.append(time.perf_counter() - begun)
        state |= dict(zip(changed, after, strict=True))
        made.append(motion)
    return np.stack(made), seconds


def _account(made, wanted, std, seconds, path: Path) -> dict[str, Any]:
    difference = float(np.max(np.abs(made - wanted) / std))
    if not difference < 1e-3:
        raise RuntimeError(f"{path.name} is off by {difference} standard deviations")
    timed = {"seconds_per_block": float(np.median(seconds[1:])), "bytes": path.stat().st_size}
    return {"max_difference": difference, **timed}
