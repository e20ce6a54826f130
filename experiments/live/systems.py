"""Systems that the live benchmark measures: a trained run, or a bundle that was exported from one."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from afjax import files
from afjax.config import Config, LayoutConfig
from afjax.errors import InputError
from afjax.export import bundle_loader
from afjax.streaming import live_step
from experiments import cli
from experiments.runs.data import measured_on

__all__ = ["CLIPS", "SystemUnderTest", "from_bundle", "from_run"]

CLIPS = 3
"""Number of held-out conversations in a benchmark."""

_FIRST_BLOCK = (
    "import sys, numpy as np, afjax; from afjax.streaming.live_step import silence; "
    "avatar = afjax.load(sys.argv[1]); np.asarray(avatar.engine().step(silence(avatar.config, 1)))"
)


@dataclass(frozen=True)
class SystemUnderTest:
    """A model that can be run live.

    Attributes:
      config: only its name, layout, sampler and width of the motion are right.
      deviation: that of each channel of the recorded motion, `[d]`.
      engine: makes an object with the methods of `Engine` for a number of sessions.
      sessions: numbers of sessions for which it can be made.
      command: makes the first block in a fresh process.
      data: its conversations, None where it doesn't know any.
    """

    config: Config
    deviation: np.ndarray
    engine: Callable[[int], Any]
    sessions: Sequence[int]
    command: Sequence[str]
    data: Path | None


def from_run(
    workdir: str | Path, data: str | Path = "", out: Path | None = None, precision: str | None = None
) -> SystemUnderTest:
    """The system of a run folder, or of the model that ships; `data` and `out`: as for `measured_on`.

    Raises InputError as `afjax.load` does.
    """
    run = cli.load_avatar(workdir, precision)
    return SystemUnderTest(
        run.config,
        run.normalizer.motion_std,
        run.engine,
        [2**n for n in range(9)],
        [sys.executable, "-c", _FIRST_BLOCK, str(run.folder)],
        measured_on(run, data, out, CLIPS),
    )


def from_bundle(folder: str | Path) -> SystemUnderTest:
    """The system of a bundle that `experiments.export_stream` wrote for two sessions, one for counterfactuals."""
    folder = files.absolute(folder)
    try:
        stream = bundle_loader.Stream(folder)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"no bundle that can be used ({error})", folder, "export it again") from None
    manifest, base = stream.manifest, Config()
    if manifest["sessions"] != 2:
        raise InputError(f"it is of {manifest['sessions']} sessions", folder, "export it with --sessions 2")
    known = {name: manifest[name] for name in ("block", "look_ahead", "user_delay", "cache")}
    config = replace(
        base,
        name=f"{manifest['name']}, bundle",
        layout=LayoutConfig(**known),
        model=replace(base.model, motion_dim=len(manifest["motion"])),
        sampler=replace(base.sampler, nfe=manifest["nfe"]),
        data=replace(base.data, window=manifest["block"]),
    )
    deviation = np.array([channel["std"] for channel in manifest["motion"]], np.float32)
    command = [sys.executable, str(folder / "run.py")]
    return SystemUnderTest(config, deviation, lambda _: BundleEngine(config, stream), [2], command, None)


class BundleEngine:
    """A bundle's two slots with the methods of `Engine` that a live conversation needs."""

    sessions = 2

    def __init__(self, config: Config, stream: bundle_loader.Stream):
        self.config, self._stream = config, stream
        self._copy = jax.jit(partial(_copied, stream._axes), donate_argnums=0)
        stream.step(*live_step.silence(config, 2))

    def join(self, seed: int = 0) -> int:
        self._stream.start(0, seed)
        return 0

    def fork(self, slot: int) -> int:
        self._stream.state = self._copy(self._stream.state, slot)
        return 1 - slot

    def leave(self, slot: int):
        """Does nothing: empty slots are computed as well."""

    def step(self, inputs: live_step.Inputs) -> np.ndarray:
        return self._stream.step(*inputs)


def _copied(axes: dict[str, int], state: dict, slot) -> dict:
    """The state with the content of one of two slots in both."""
    return {
        name: jax.numpy.repeat(jax.lax.dynamic_slice_in_dim(x, slot, 1, axes[name]), 2, axes[name])
        for name, x in state.items()
    }
