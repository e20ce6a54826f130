"""Logical names of the axes of parameters, by which they are divided over devices (`afjax.training.sharding`).

    embed   channels of the residual stream, of a condition, or of a layer of their width
    heads   channels of all heads, in keys, queries and values
    mlp     hidden channels of a block

Where `heads` or `mlp` is divided, the layer that makes it from `embed` and the one that goes back need one sum between
them. Unnamed axes (motion channels, audio features, parts that are cut apart again) are never divided. Vectors are
small and have no named axis.
"""

import re

# (end of a path, axes (out, in) of the kernel there); the first that fits counts
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
    """Names of the `count` axes of the array at a path, whose names are joined by "/".

    Only the end of the path counts, so that an optimizer's moments have the names of their parameters.
    """
    found = next((axes for pattern, axes in _AXES if pattern.search(path)), ())
    return found if len(found) == count else (None,) * count
