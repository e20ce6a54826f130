"""Where the arrays of training lie: a mesh of devices, and what its axes divide.

    data     the batch
    fsdp     the batch; and parameters, their average and the optimizer's state. A step works with gathered parameters
    tensor   heads and hidden channels, so that a layer's work is divided too

`config.compute` has the sizes, and the rules from logical axes (`afjax.nn.logical_axes`) to mesh axes. A size that its
mesh axes do not divide evenly stays whole. One device has no mesh: everything here then hands back what it is given.

Several processes (`jax.distributed`) run one program over all their devices. Each reads its own rows of every batch;
only the first writes files.
"""

import contextlib
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from afjax.config import ComputeConfig
from afjax.errors import InputError
from afjax.nn.logical_axes import logical_axes
from afjax.types import Params

AXES = ("data", "fsdp", "tensor")
Tree = Any
"""A tree of arrays: parameters, a state, a batch."""


def join(where: str):
    """Joins the processes of a run, before anything else uses JAX.

    `where`: `auto` where JAX finds the others by itself (SLURM, Open MPI, Kubernetes, TPU pods), or
    `ADDRESS:PORT,INDEX/COUNT`: the address of process 0, this process's index, and their number. Raises InputError.
    """
    found = re.fullmatch(r"(.+:\d+),(\d+)/(\d+)", where)
    if not found and where != "auto":
        raise InputError(f"{where!r} is neither auto nor ADDRESS:PORT,INDEX/COUNT", "--distributed")
    try:
        if found:
            jax.distributed.initialize(found[1], num_processes=int(found[3]), process_id=int(found[2]))
        else:
            jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        what = f"the other processes are not found ({error})"
        raise InputError(what, "--distributed", "give ADDRESS:PORT,INDEX/COUNT") from None


def make_mesh(compute: ComputeConfig) -> Mesh | None:
    """The mesh of a config over the first devices, None for a single one.

    Raises InputError where devices are missing, or where several processes would leave some out.
    """
    devices = jax.devices()
    shape = (compute.data or max(len(devices) // (compute.fsdp * compute.tensor), 1), compute.fsdp, compute.tensor)
    count = math.prod(shape)
    if count > len(devices) or (count < len(devices) and jax.process_count() > 1):
        sizes = " x ".join(f"{name} {size}" for name, size in zip(AXES, shape, strict=True))
        what = f"a mesh of {sizes} has {count} devices, {len(devices)} are there"
        raise InputError(what, "config.compute", "compute.data=0 takes all of them")
    if count == 1:
        return None
    return jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * 3, devices=devices[:count])


def shardings(compute: ComputeConfig, tree: Tree, without: tuple[str, ...] = ()) -> Tree | None:
    """Sharding of every leaf (arrays or their shapes) of parameters or a state; None on one device.

    `without`: mesh axes that are left out.
    """
    mesh = make_mesh(compute)
    if mesh is None:
        return None
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: NamedSharding(mesh, _spec(compute, mesh, path, leaf.shape, without)), tree
    )


def _spec(compute: ComputeConfig, mesh: Mesh, path, shape, without: tuple[str, ...] = ()) -> PartitionSpec:
    """Spec in the form that compiled functions report, so that a step's result is an argument of the same kind."""
    free, spec = {axis for axis in AXES if mesh.shape[axis] > 1 and axis not in without}, []
    names = logical_axes(jax.tree_util.keystr(path, simple=True, separator="/"), len(shape))
    for name, size in zip(names, shape, strict=True):
        axes = tuple(axis for axis in compute.mesh_axes(name) if axis in free)
        axes = axes if size % math.prod(mesh.shape[axis] for axis in axes) == 0 else ()
        free -= set(axes)
        spec.append(axes if len(axes) > 1 else axes[0] if axes else None)
    while spec and spec[-1] is None:
        spec.pop()
    return PartitionSpec(*spec)


def constrain(compute: ComputeConfig, tree: Tree) -> Tree:
    """The tree of parameters or state, divided as `shardings` has it; for use inside a compiled function."""
    wanted = shardings(compute, tree)
    return tree if wanted is None else jax.lax.with_sharding_constraint(tree, wanted)


def gathered(compute: ComputeConfig, params: Params) -> Params:
    """Parameters for work on a batch, whole along the mesh axes that divide it; for use inside a compiled function.

    Otherwise the compiler may choose to gather activations in their place.
    """
    wanted = shardings(compute, params, without=compute.mesh_axes("batch"))
    return params if wanted is None else jax.lax.with_sharding_constraint(params, wanted)


def put(compute: ComputeConfig, tree: Tree) -> Tree:
    """Parameters that this process holds whole, divided as `shardings` has it."""
    wanted = shardings(compute, tree)
    return jax.device_put(tree) if wanted is None else jax.device_put(jax.device_get(tree), wanted)


def batch_sharding(compute: ComputeConfig, batch: int) -> NamedSharding | None:
    """Sharding of arrays with a batch axis in front. Raises InputError if the batch can't be divided evenly."""
    mesh, axes = make_mesh(compute), compute.mesh_axes("batch")
    if mesh is None:
        return None
    parts = compute.accumulate * math.prod(mesh.shape[axis] for axis in axes)
    if batch % parts:
        what = f"a batch of {batch} is not a multiple of {parts}, the parts it is divided into"
        raise InputError(what, "config", "change its batch or compute.*")
    return NamedSharding(mesh, PartitionSpec(axes))


def rows(compute: ComputeConfig, batch: int) -> tuple[int, int]:
    """(index, count): this process reads part `index` of `count` equal parts of every batch."""
    sharding = batch_sharding(compute, batch)
    if sharding is None:
        return 0, 1
    spans = {span.indices(batch)[:2] for (span,) in sharding.addressable_devices_indices_map((batch,)).values()}
    first, size = min(spans)[0], sum(end - start for start, end in spans)
    if max(spans)[1] != first + size:
        what = f"the mesh gives process {jax.process_index()} rows of a batch that are not adjacent"
        raise InputError(what, "config.compute", "change compute.data, compute.fsdp or compute.tensor")
    return first // size, batch // size


def make_place(compute: ComputeConfig, batch: int) -> Callable[[dict], dict]:
    """`place(batch)`: this process's rows of a batch, as host arrays, become arrays over all devices."""
    sharding = batch_sharding(compute, batch)
    if sharding is None:
        return jax.device_put
    return partial(jax.tree.map, partial(jax.make_array_from_process_local_data, sharding))


def whole(tree: Tree) -> Tree:
    """The tree with divided arrays put together, as host arrays. All processes must call it."""

    def one(x):
        if len(x.sharding.device_set) == 1:
            return x
        return np.asarray(x) if x.is_fully_addressable else multihost_utils.process_allgather(x, tiled=True)

    return jax.tree.map(one, tree)


def divided(function: Callable[[np.ndarray], np.ndarray], count: int) -> np.ndarray:
    """`function(rows)` `[n, ...]` for the numbers 0 .. count - 1, an equal part in each process -> all, `[count, ...]`.

    The last number is repeated to fill equal parts. All processes must call it.
    """
    processes, index = jax.process_count(), jax.process_index()
    size = -(-count // processes)
    found = function(np.minimum(np.arange(index * size, (index + 1) * size), count - 1))
    return found if processes == 1 else multihost_utils.process_allgather(np.asarray(found), tiled=True)[:count]


def together(what: str):
    """Waits until all processes are here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def in_all(validate: Callable[[int, dict], object]) -> Callable[[int, dict], bool]:
    """`validate(step, params)` for divided parameters: called in all processes, which get the first one's answer."""

    def called(step: int, params) -> bool:
        answer = bool(validate(step, whole(params)))
        return answer if jax.process_count() == 1 else bool(multihost_utils.broadcast_one_to_all(answer))

    return called


def on_first(sample: Callable[[int, dict], object]) -> Callable[[int, dict], bool]:
    """`sample(step, params)` for divided parameters: called in the first process; all get its answer, as a bool."""

    def called(step: int, params) -> bool:
        params = whole(params)
        answer = bool(sample(step, params)) if jax.process_index() == 0 else False
        return answer if jax.process_count() == 1 else bool(multihost_utils.broadcast_one_to_all(answer))

    return called


@contextlib.contextmanager
def first_process_first(what: str):
    """Runs the block in the first process, then in the others, which find the files that it wrote."""
    if jax.process_index() > 0:
        multihost_utils.sync_global_devices(what)
    try:
        yield
    finally:
        if jax.process_index() == 0:
            multihost_utils.sync_global_devices(what)
