"""Checkpoints by orbax, each of them whole or absent.

A checkpoint is a folder of items: `state`, `ema_params` (which `state` does not repeat), `data` (the place of the
batches) and `meta`. It is written in the background beside its name and renamed when it is complete. `SHA256SUMS` in
it lists the items' files, so that damage is found before anything is read.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers as policies

from afjax.config import differences, stored_config, to_dict
from afjax.errors import InputError, disk_error
from afjax.training.checksums import fault, write_sums
from afjax.types import Params

_TRAIN = "train first: python -m experiments.train --workdir ..."
_AGAIN = "make room; the same command goes on from the last checkpoint"
_OTHER = "choose another --workdir"


class Checkpoints:
    """The `checkpoints/` folder of a run; a context manager, so that asynchronous writes end before the process.

    It keeps the latest `keep`, those of every `every` steps (0: none), and the one with the smallest value of the
    logged metric `best` (`-NAME`: the largest; empty: none). Raises InputError where the disk refuses.
    """

    def __init__(self, workdir: Path, keep: int = 2, every: int = 0, best: str = ""):
        self.folder = Path(workdir).absolute() / "checkpoints"
        kept = [policies.LatestN(keep)]
        kept += [policies.EveryNSteps(every)] if every else []
        kept += [_Best(self.folder.with_name("metrics.jsonl"), best)] if best else []
        self._saving = 0
        self._manager = ocp.CheckpointManager(
            self.folder,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policies.AnyPreservationPolicy(kept),
                async_options=ocp.AsyncOptions(post_finalization_callback=self._seal),
                cleanup_tmp_directories=True,
                lightweight_initialize=True,
            ),
        )

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self._manager.close()
        except Exception as error:
            error = disk_error(error, self.folder, _AGAIN)
            if kind is None:
                raise error from None
            print(f"the last checkpoint was not written: {error}", flush=True)  # what ended the run is told as well

    @property
    def latest(self) -> int | None:
        """Step of the newest checkpoint, including one that is being written."""
        return self._manager.latest_step()

    def save(self, state: Any, data: dict, meta: dict):
        """Begins to write a checkpoint at the state's step, once the previous one is written.

        `state` has the fields `step` and `ema_params`; `data`: the place of the batches. Raises InputError where the
        disk is full or refuses.
        """
        step = int(state.step)
        if step == self.latest:
            return
        self.wait()
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
        free = shutil.disk_usage(self.folder).free
        if free < size:
            what = f"no space left: a checkpoint takes {size / 1e6:.1f} MB, {free / 1e6:.1f} MB are free"
            raise InputError(what, self.folder, _AGAIN)
        self._saving = step
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state.replace(ema_params=None)),
            ema_params=ocp.args.StandardSave(state.ema_params),
            data=ocp.args.JsonSave(data),
            meta=ocp.args.JsonSave(meta),
        )
        try:
            self._manager.save(step, args=items)
        except Exception as error:
            raise disk_error(error, self.folder, _AGAIN) from None

    def wait(self):
        """Waits until the checkpoint in progress is written. Raises InputError where the disk refuses."""
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise disk_error(error, self.folder, _AGAIN) from None

    def _seal(self):
        """Orbax calls this in the background when all files of a checkpoint are written and before it is renamed."""
        if jax.process_index() == 0:
            (folder,) = self.folder.glob(f"{self._saving}.orbax-checkpoint-tmp*")
            write_sums(folder)

    def restore(self, state: Any, meta: dict | None = None) -> tuple[Any, dict]:
        """(state, data) of the newest whole checkpoint; sets damaged ones aside and prints a line that says so.

        Args:
          state: arrays or `jax.ShapeDtypeStruct`s that give shapes, dtypes and shardings.
          meta: what the run would store.

        Raises InputError where no checkpoint is whole, or where its config or statistics differ from those of `meta`.
        """
        self.wait()
        step = self._set_damaged_aside()
        stored = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
        _require_same(stored, meta or {}, self.folder)
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
        items = self._manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(abstract.replace(ema_params=None)),
                ema_params=ocp.args.StandardRestore(abstract.ema_params),
                data=ocp.args.JsonRestore(),
            ),
        )
        return items["state"].replace(ema_params=items["ema_params"]), items["data"]

    def _set_damaged_aside(self) -> int:
        """Sets damaged checkpoints aside -> step of the newest whole one. The first process decides for all."""
        step = 0
        if jax.process_index() == 0:
            step, damaged = _newest_whole(self.folder, self._manager.all_steps())
            for number in damaged:
                aside = self.folder / f"{number}.damaged"
                shutil.rmtree(aside, ignore_errors=True)
                (self.folder / str(number)).rename(aside)
        if jax.process_count() > 1:
            step = int(multihost_utils.broadcast_one_to_all(np.int32(step)))
        self._manager.reload()
        return step


class _Best(policies.PreservationPolicy):
    """Keeps the checkpoint with the smallest value of a metric, by its last line in `metrics.jsonl` that has it."""

    def __init__(self, log: Path, name: str):
        self._log, self._name, self._sign = log, name.removeprefix("-"), -1 if name.startswith("-") else 1

    def should_preserve(self, checkpoints: Sequence, *, context) -> list[bool]:
        log = self._log.read_text() if self._log.exists() else ""  # there is none before the first step
        lines = [json.loads(line) for line in log.splitlines()]
        named = [line for line in lines if self._name in line]
        if lines and not named and not self._name.startswith("held_out/"):  # those are not in every line
            raise InputError(
                f"training.keep_best: {self._name!r} is not logged", self._log, f"choose one of {', '.join(lines[-1])}"
            )
        values = {}
        for checkpoint in checkpoints:
            before = [line[self._name] for line in named if line["step"] <= checkpoint.step]
            if before and not isinstance(before[-1], str):  # "nan"
                values[checkpoint.step] = self._sign * before[-1]
        best = min(values, key=values.get, default=None)
        return [checkpoint.step == best for checkpoint in checkpoints]


def _newest_whole(folder: Path, steps: Sequence[int]) -> tuple[int, list[int]]:
    """The newest step with undamaged files, and the damaged steps after it; prints a line if there are any.

    Raises InputError if there is none.
    """
    faults = {}
    for step in sorted(steps, reverse=True):
        faults[step] = fault(folder / str(step))
        if not faults[step]:
            for damaged in list(faults)[:-1]:
                print(f"checkpoint {damaged} is damaged ({faults[damaged]}): that of step {step} is used", flush=True)
            return step, list(faults)[:-1]
    newest = max(faults)
    raise InputError(
        f"all checkpoints are damaged ({newest}: {faults[newest]})", folder, "delete the folder to start again"
    )


def _require_same(stored: dict, meta: dict, folder: Path):
    """Raises InputError for a run that would go on with another config or with data of other statistics."""
    if "config" in meta:
        before, asked = (to_dict(stored_config(table["config"], str(folder))) for table in (stored, meta))
        changed = differences(before, asked)
        if changed:
            raise InputError(f"the run was started with another config ({changed[0]})", folder, _OTHER)
    for name, values in meta.get("statistics", {}).items():
        pairs = zip(stored["statistics"].get(name, ()), values, strict=False)
        odd = next((f"{name}[{k}] {a:g} before, {b:g} in these data" for k, (a, b) in enumerate(pairs) if a != b), "")
        odd = odd or (f"no {name} before" if name not in stored["statistics"] else "")
        if odd:
            what = f"the run was started with data of other statistics ({odd})"
            raise InputError(what, folder, f"give it those data, or {_OTHER}")


def load_ema(workdir: Path, params: Params, step: int | None = None) -> tuple[Params, dict, int]:
    """Averaged weights, meta and step of a run's checkpoint: of `step`, or the newest whole one.

    `params` gives the expected shapes. Raises InputError where there is none, or it is damaged or of another model.
    """
    folder = Path(workdir).absolute() / "checkpoints"
    if not folder.is_dir():
        raise InputError("no checkpoint", workdir, _TRAIN)
    arrays, tables = ocp.StandardCheckpointHandler, ocp.JsonCheckpointHandler
    handlers = {"state": arrays(), "ema_params": arrays(), "data": tables(), "meta": tables()}
    options = ocp.CheckpointManagerOptions(create=False, lightweight_initialize=True)
    with ocp.CheckpointManager(folder, item_handlers=handlers, options=options) as manager:
        if manager.latest_step() is None:
            raise InputError("no checkpoint", folder, _TRAIN)
        steps = manager.all_steps()
        if step is not None and step not in steps:
            there = ", ".join(map(str, sorted(steps)))
            raise InputError(f"no checkpoint of step {step}", folder, f"there are those of {there}")
        step, _ = _newest_whole(folder, steps if step is None else [step])
        meta = manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
        _check_shapes(manager.item_metadata(step)["ema_params"].tree, params, folder)
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])  # whatever mesh the run had
        abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), params)
        args = ocp.args.Composite(ema_params=ocp.args.StandardRestore(abstract))
        return manager.restore(step, args=args)["ema_params"], meta, step


def _check_shapes(stored, params, folder):
    found, wanted = (
        {jax.tree_util.keystr(path): tuple(leaf.shape) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
        for tree in (stored, params)
    )
    if found != wanted:
        odd = sorted(set(found.items()) ^ set(wanted.items()))[0][0]
        raise InputError(
            f"the checkpoint is of another config (first difference: {odd})", folder, "use the config.json it came with"
        )
