"""Checkpoints by orbax: items `state`, `ema_params`, `data` (the iterator's place) and `meta`."""

from pathlib import Path

import jax
import orbax.checkpoint as ocp

from afjax.errors import InputError


class Checkpoints:
    """The `checkpoints/` folder of a run; a context manager, so that asynchronous writes end before the process."""

    def __init__(self, workdir: Path, keep: int = 2):
        self.folder = Path(workdir).absolute() / "checkpoints"
        self._manager = ocp.CheckpointManager(
            self.folder, options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._manager.close()

    @property
    def latest(self) -> int | None:
        return self._manager.latest_step()

    def save(self, state, data: dict, meta: dict):
        """Writes one checkpoint at the state's step."""
        step = int(state.step)
        if step == self.latest:
            return
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state),
                ema_params=ocp.args.StandardSave(state.ema_params),
                data=ocp.args.JsonSave(data),
                meta=ocp.args.JsonSave(meta),
            ),
        )

    def restore(self, state):
        """The latest (state, data): `state` gives shapes and dtypes."""
        self._manager.wait_until_finished()
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
        items = self._manager.restore(
            self.latest,
            args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract), data=ocp.args.JsonRestore()),
        )
        return items["state"], items["data"]


def load_ema(workdir: Path, params) -> tuple[dict, dict, int]:
    """Averaged weights, meta and step of a run's latest checkpoint; `params` gives the expected shapes."""
    folder = Path(workdir).absolute() / "checkpoints"
    if not folder.is_dir():
        raise InputError("no checkpoint", workdir, "train first: python -m experiments.train --workdir ...")
    arrays, tables = ocp.StandardCheckpointHandler, ocp.JsonCheckpointHandler
    handlers = {"state": arrays(), "ema_params": arrays(), "data": tables(), "meta": tables()}
    with ocp.CheckpointManager(folder, item_handlers=handlers) as manager:
        step = manager.latest_step()
        if step is None:
            raise InputError("no checkpoint", folder, "train first: python -m experiments.train --workdir ...")
        meta = manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
        _check_shapes(manager.item_metadata(step)["ema_params"].tree, params, folder)
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, params)
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
