"""Logical names of the axes of parameters, by which they are divided over devices (`afjax.training.sharding`).

    embed   channels of the residual stream, of a condition, or of a layer of their width
    heads   channels of all heads, in keys, queries and values
    mlp     hidden channels of a block

A layer that makes `heads` or `mlp` from `embed` and the one that goes back need one sum between them, wherever these
are divided. Unnamed axes (motion channels, audio features, parts that are cut apart again) are never divided; vectors
are small and have no named axis.
"""

import re

# what a path ends with, and the axes of a kernel there, (out, in); the first that fits
_AXES = tuple(
    (re.compile(rf"(^|/)({pattern})$"), axes)
    for pattern, axes in (
        ("(qkv|kv|q|k|v)/kernel", ("heads", "embed")),
        ("(attention|cross_attention|user|avatar)/out/kernel", ("embed", "heads")),
        ("mlp_in/kernel", ("mlp", "embed")),
        ("mlp_out/kernel", ("embed", "mlp")),
        ("(modulation|head_modulation)/linear/kernel", (None, "embed")),
        ("head/kernel", (None, "embed")),
        ("bank", (None, "embed")),
        ("kernel", ("embed", None)),
    )
)


def logical_axes(path: str, count: int) -> tuple[str | None, ...]:
    """Names of the `count` axes of an array whose path of names is joined by "/".

    Whatever stands before a parameter's own path does not matter: moments in an optimizer's state are named alike.
    """
    found = next((axes for pattern, axes in _AXES if pattern.search(path)), ())
    return found if len(found) == count else (None,) * count
