"""The live step as a folder of plain files, for programs that know jax and not afjax.

    step(params, state, inputs) -> (state, motion)

is the step of `afjax.streaming.live_step` with every tree as a dict of arrays by name and every key as its data. Shapes
are static, parameters are inputs, the state is donated. `bundle_loader.py` goes into the folder as its loader. A bundle
for this machine is run once through it, so that it gives what the library gives.
"""

import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export
from safetensors.numpy import save

from afjax import __version__
from afjax.audio.feature_extractors import FeatureExtractor
from afjax.audio.framing import FPS, RATE
from afjax.config import CONDITION_MASKS, Config
from afjax.diffusion.guidance import guidance_branches
from afjax.errors import InputError
from afjax.export import bundle_loader
from afjax.streaming import live_step

__all__ = [
    "FORMAT", "JAX", "PLATFORMS", "STEP", "check_platforms", "named", "rebuilt", "serialize", "session_axes", "write",
]  # fmt: skip

FORMAT = "afjax.stream/2"
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
STEP = "step.jax_exported"
"""Program of the first platform; a folder that holds it is a bundle."""
JAX = {"least": "0.10.2", "below": "0.12"}
"""Versions between which a static step has been seen to load, both ways."""
TOLERANCE = {"cpu": 1e-4, "cuda": 5e-2, "rocm": 5e-2, "tpu": 2e-1}
"""Largest difference, in standard deviations of a channel, on another machine than the example's."""
NARROW = 0.2
"""Least tolerance of a step in bfloat16: two ways of compiling it for one CPU differ by .05."""
TIMED = 50


def named(tree: Any) -> dict[str, Any]:
    """The arrays of a tree by dotted path, random keys as their data uint32."""
    return {_name(path): _plain(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def rebuilt(like: Any, arrays: dict[str, Any]) -> Any:
    """The inverse of `named`: a tree of `arrays` with the structure of `like`."""

    def leaf(path, x):
        array = arrays[_name(path)]
        return jax.random.wrap_key_data(array) if _is_key(x) else array

    return jax.tree_util.tree_map_with_path(leaf, like)


def session_axes(config: Config, extractor) -> dict[str, int]:
    """Axis of the sessions in each array of the state."""
    one, two = (named(jax.eval_shape(partial(live_step.init_live, config, extractor, count))) for count in (1, 2))
    return {name: next(n for n, size in enumerate(x.shape) if two[name].shape[n] != size) for name, x in one.items()}


def started(config: Config, extractor, params: live_step.LiveParams, sessions: int) -> live_step.LiveState:
    """The state with a session that has just begun in every slot, seeded by it, the neutral face and all conditions."""
    state = live_step.init_live(config, extractor, sessions)
    for slot in range(sessions):
        state = live_step.put(state, slot, live_step.fresh(config, extractor, params, seed=slot))
    return state


def serialize(config: Config, extractor, params: live_step.LiveParams, sessions: int, platform: str) -> bytes:
    """The step for a platform as jax.export writes it, without a gradient or names of this machine's folders.

    A program for several platforms would hold a switch at each operation that one of them writes in its own way. XLA
    takes the switches out but joins operations otherwise: the result differs in its last bits from the library's.
    """
    step, state = (
        live_step.make_live_step(config, extractor),
        jax.eval_shape(partial(live_step.init_live, config, extractor, sessions)),
    )

    def flat(params_, state_, inputs):
        after, motion = step(rebuilt(params, params_), rebuilt(state, state_), live_step.Inputs(**inputs))
        return named(after), motion

    given = named(params), named(state), live_step.silence(config, sessions)._asdict()
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), given)
    with _short_locations():
        return export.export(jax.jit(flat, donate_argnums=1), platforms=[platform])(*shapes).serialize(vjp_order=0)


def check_platforms(platforms: Sequence[str]):
    """Raises InputError unless these are names of PLATFORMS, at least one."""
    for name in platforms or [""]:
        if name not in PLATFORMS:
            raise InputError(f"unknown platform {name!r}", "platforms", f"choose of {', '.join(PLATFORMS)}")


def write(
    folder: Path, config: Config, params: live_step.LiveParams, extractor: FeatureExtractor, platforms: Sequence[str],
    blocks: live_step.Inputs, channels: Sequence[str] = (), facts: dict[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """Writes a bundle into an empty folder.

    Args:
      platforms: names of PLATFORMS on which it shall run; the program of the first is step.jax_exported.
      blocks: inputs of the example, `[n, sessions, ...]` each; the bundle has as many sessions.
      channels: names of the motion's channels, by default numbers.
      facts: further entries of the manifest: step of training, licence.

    Returns the manifest and, if this machine is among the platforms, the loader's account of the example (else {}).
    Raises RuntimeError if the example differs from the library by more than its tolerance.
    """
    platforms, sessions = list(dict.fromkeys(platforms)), blocks.avatar_wave.shape[1]
    state = started(config, extractor, params, sessions)
    first = jax.device_get(named(state))
    given = {name: np.asarray(array, np.float32) for name, array in blocks._asdict().items()}
    step, motion = live_step.make_live_step(config, extractor), []
    on_device = jax.device_put(params, jax.local_devices()[0])
    for block in zip(*given.values(), strict=True):
        state, made = step(on_device, state, live_step.Inputs(*block))
        motion.append(jax.device_get(made))
    steps = {name: f"step.{name}.jax_exported" if n else STEP for n, name in enumerate(platforms)}
    contents = {
        **{file: serialize(config, extractor, params, sessions, platform) for platform, file in steps.items()},
        "params.safetensors": save({name: np.asarray(x) for name, x in jax.device_get(named(params)).items()}),
        "init_state.safetensors": save(first),
        "example.npz": _npz(**given, motion=np.stack(motion)),
        "run.py": Path(bundle_loader.__file__).read_bytes(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    least = NARROW if config.compute.precision == "bfloat16" else 0.0
    manifest = {
        "format": FORMAT,
        "name": config.name,
        **(facts or {}),
        "made": bundle_loader.here(),
        "software": {"afjax": __version__, "python": ".".join(map(str, sys.version_info[:3])), "numpy": np.__version__},
        "jax": JAX,
        "steps": steps,
        "sessions": sessions,
        "fps": FPS,
        "sample_rate": RATE,
        **{name: getattr(config.layout, name) for name in ("block", "look_ahead", "user_delay", "cache")},
        "features": {"kind": extractor.name, "window_frames": extractor.window},
        "nfe": config.sampler.nfe,
        "temperature": config.sampler.temperature,
        "precision": config.compute.precision,
        "guidance": _guidance(config),
        "motion": _channels(params, channels),
        "params": _shapes(named(params)),
        "state": {n: s | {"session_axis": session_axes(config, extractor)[n]} for n, s in _shapes(first).items()},
        "inputs": _shapes({name: array[0] for name, array in given.items()}),
        "outputs": _shapes({"motion": motion[0]}),
        "tolerance": {name: max(TOLERANCE[name], least) for name in platforms},
        "latency_ms": None,
        "files": {name: bundle_loader.sha256(content) for name, content in contents.items()},
    }
    _seal(folder, manifest)
    if bundle_loader.here()["platform"] not in platforms:
        return manifest, {}
    stream = bundle_loader.Stream(folder)
    result = bundle_loader.example(stream)
    if not result["ok"]:
        raise RuntimeError(f"the exported step is off by {result['max_difference']} standard deviations")
    manifest["latency_ms"] = _latency(stream, given)
    return _seal(folder, manifest), result


def _latency(stream, given: dict[str, np.ndarray]) -> dict[str, Any]:
    """Milliseconds from a block's inputs on the host to its motion on the host."""
    blocks = list(zip(*given.values(), strict=True))
    seconds = bundle_loader.played(stream, [blocks[n % len(blocks)] for n in range(TIMED)])[1]
    p50, p95 = (float(np.percentile(seconds, q)) * 1e3 for q in (50, 95))
    return {"p50": p50, "p95": p95, "blocks": TIMED, "device": bundle_loader.here()["device"]}


def _seal(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    manifest = {**manifest, "sha256": bundle_loader.sealed(manifest)}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def _guidance(config: Config) -> dict[str, float]:
    """Weight of each branch that is computed, in the order of `stream.guidance_weights`."""
    names = {mask: name for name, mask in CONDITION_MASKS.items()}
    weights, masks = guidance_branches(config.sampler)
    return {names[tuple(map(int, k))]: float(w) for w, k in zip(weights, masks, strict=True)}


def _channels(params: live_step.LiveParams, names: Sequence[str]) -> list[dict[str, Any]]:
    mean, std = (np.asarray(x, np.float32).tolist() for x in (params.motion_mean, params.motion_std))
    names = names or [str(n) for n in range(len(mean))]
    return [{"name": n, "mean": m, "std": s} for n, m, s in zip(names, mean, std, strict=True)]


def _shapes(arrays: dict[str, Any]) -> dict[str, dict]:
    return {name: {"shape": list(x.shape), "dtype": str(x.dtype)} for name, x in arrays.items()}


def _npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


@contextmanager
def _short_locations() -> Iterator[None]:
    """Has programs that are lowered inside the block name their source files without folders."""
    name = "jax_hlo_source_file_canonicalization_regex"
    before = getattr(jax.config, name)
    jax.config.update(name, "^.*/")
    try:
        yield
    finally:
        jax.config.update(name, before)


def _name(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _is_key(leaf) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf):
    if not _is_key(leaf):
        return leaf
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return jax.eval_shape(jax.random.key_data, leaf)
    return jax.random.key_data(leaf)
