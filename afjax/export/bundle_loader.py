"""Loader of an exported stream. It needs jax, numpy, safetensors and flatbuffers, nothing else.

    python run.py       checks every hash, runs example.npz and prints one JSON line: 0 = it gives what it gave, 2 = not

    from run import Stream
    stream = Stream("bundle")
    stream.start(slot=0, seed=1)
    motion = stream.step(avatar_wave, user_wave, user_motion)       # one block of every slot

SPDX-License-Identifier: Apache-2.0. Copy what you need.
"""

import hashlib
import io
import json
import os
import re
import sys
import time
from pathlib import Path

import jax
import jaxlib
import numpy as np
from jax import export
from safetensors import deserialize

EARLIER = {"rng": "key", "reference_motion": "reference", "condition_mask": "keep", "guidance_weights": "weights"}
"""Names of arrays that `Stream.start` sets -> their names in bundles of the format afjax.stream/1."""


class Stream:
    """Sessions of a bundle, one per slot, on the default device; `params` and `state` are arrays by name.

    Raises ValueError or OSError if a byte of the bundle is missing or differs from what was exported, and if it has no
    program for this platform.
    """

    def __init__(self, folder: str | Path):
        self.manifest, self.files = checked(Path(folder))
        programs, platform = self.manifest["steps"], here()["platform"]
        if platform not in programs:
            raise ValueError(f"it has programs for {', '.join(programs)}, and jax runs on {platform} here")
        self._first = _arrays(self.files["init_state.safetensors"], self.manifest["state"])
        params = _arrays(self.files["params.safetensors"], self.manifest["params"])
        self._axes = {name: array["session_axis"] for name, array in self.manifest["state"].items()}
        self.params, self.state = jax.device_put((params, self._first), jax.local_devices()[0])
        exported = export.deserialize(bytearray(self.files[programs[platform]]))
        self._step, self._put = jax.jit(exported.call, donate_argnums=1), jax.jit(self._placed, donate_argnums=0)

    def start(self, slot: int, seed: int = 0, **arrays):
        """Begins a session in a slot; `arrays` are its own values of state arrays, without the session axis.

        reference_motion=(motion - mean) / std is the portrait's own motion `[d]`, by default that of the neutral face.
        """
        arrays = {self._of_stream(name): value for name, value in (arrays | {"rng": np.uint32([0, seed])}).items()}
        one = {name: np.take(array, [slot], self._axes[name]) for name, array in self._first.items()}
        for name, value in arrays.items():
            one[name][:] = np.expand_dims(value, self._axes[name])
        self.state = self._put(self.state, np.int32(slot), one)

    def step(self, avatar_wave, user_wave, user_motion) -> np.ndarray:
        """Motion `[b, block, d]` of the next block of all b slots, raw.

        Sound is `[b, block * 640]` at 16 kHz in -1..1. The user's sound and motion `[b, block, d]`, in raw units, are
        those of `user_delay` frames before the avatar's; before the first frame there are silence and the reference's
        motion.
        """
        names = self.manifest["inputs"]  # names of the voices and the motion, in this order
        given = zip(names, (avatar_wave, user_wave, user_motion), strict=True)
        inputs = {name: np.asarray(array, np.float32) for name, array in given}
        self.state, motion = self._step(self.params, self.state, inputs)
        return np.asarray(motion)

    def _of_stream(self, name: str) -> str:
        """Name of a state array in this bundle."""
        known = f"stream.{name}"
        return known if known in self._first else f"stream.{EARLIER.get(name, name)}"

    def _placed(self, state, slot, one):
        axes = self._axes
        return {n: jax.lax.dynamic_update_slice_in_dim(x, one[n], slot, axes[n]) for n, x in state.items()}


def _arrays(content: bytes, described: dict) -> dict[str, np.ndarray]:
    """Arrays by name, as the manifest describes them, since safetensors' reader for numpy knows no bfloat16."""
    stored = dict(deserialize(content))
    return {
        name: np.frombuffer(stored[name]["data"], jax.numpy.dtype(array["dtype"])).reshape(array["shape"])
        for name, array in described.items()
    }


def checked(folder: Path) -> tuple[dict, dict[str, bytes]]:
    """Manifest and contents of the files of a bundle. Raises ValueError if one is not what was exported."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    files = {name: (folder / Path(name).name).read_bytes() for name in manifest["files"]}
    found = {name: sha256(content) for name, content in files.items()}
    wanted = {**manifest["files"], "manifest.json": manifest["sha256"]}
    for name, value in {**found, "manifest.json": sealed(manifest)}.items():
        if wanted[name] != value:
            raise ValueError(f"{name} is not the file that was exported (its sha256 differs)")
    return manifest, files


def sealed(manifest: dict) -> str:
    """sha256 of a manifest without the entry `sha256`."""
    return sha256(json.dumps({k: v for k, v in manifest.items() if k != "sha256"}, sort_keys=True).encode())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def here() -> dict[str, str]:
    """Versions, platform and device, on which the bits of a result depend."""
    device, info = jax.local_devices()[0].device_kind, Path("/proc/cpuinfo")
    if device == "cpu" and info.exists():
        model = re.search(r"model name\s*: (.*)|$", info.read_text())[1]
        device = f"{model or 'CPU'}, {len(os.sched_getaffinity(0))} cores"
    platform = export.default_export_platform()
    return {"jax": jax.__version__, "jaxlib": jaxlib.__version__, "platform": platform, "device": device}


def played(stream: Stream, blocks) -> tuple[np.ndarray, list[float]]:
    """Motion `[n, b, block, d]` of a sequence of n blocks, and the seconds that each took."""
    made, seconds = [], []
    for block in blocks:
        begun = time.perf_counter()
        made.append(stream.step(*block))
        seconds.append(time.perf_counter() - begun)
    return np.stack(made), seconds


def example(stream: Stream) -> dict:
    """Runs the example in a stream that was just made: its difference from the exported (in deviations), its speed."""
    with np.load(io.BytesIO(stream.files["example.npz"]), allow_pickle=False) as stored:
        wanted, inputs = stored["motion"], [stored[name] for name in stream.manifest["inputs"]]
    made, seconds = played(stream, zip(*inputs, strict=True))
    difference = float(np.max(np.abs(made - wanted) / [channel["std"] for channel in stream.manifest["motion"]]))
    exact = here()["platform"] == "cpu" and here() == stream.manifest["made"]
    allowed = 0.0 if exact else stream.manifest["tolerance"][here()["platform"]]
    timed = {"seconds_per_block": float(np.median(seconds[1:])), "first_block_seconds": seconds[0]}
    return {"ok": difference <= allowed, "bit_equal": difference == 0, "max_difference": difference, **timed, **here()}


if __name__ == "__main__":
    try:
        result = example(Stream(Path(__file__).resolve().parent))
        print(json.dumps(result))
        if not result["ok"]:
            raise ValueError(f"example.npz: motion is off by {result['max_difference']:.2g} standard deviations")
    except Exception as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        todo = (
            "copy the whole bundle again, or export it for this platform, and run it on a jax that manifest.json names"
        )
        print(f"error: {Path(__file__).resolve().parent}: {told}; {todo}", file=sys.stderr)
        sys.exit(2)
