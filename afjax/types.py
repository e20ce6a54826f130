"""Array vocabulary of the library and the `typed` decorator.

Shapes are written in jaxtyping's notation. Letters used everywhere:

  b  sessions or clips in a batch          n  tokens (frames in some layout)
  d  motion channels                       f  features of an audio frame
"""

from jaxtyping import Array, Float, jaxtyped

__all__ = ["Audio", "Level", "Motion", "Scalar", "WholeLevel", "typed"]

Motion = Float[Array, "b n d"]
Audio = Float[Array, "b n f"]
Level = Float[Array, "b n"]
WholeLevel = Float[Array, "w n"]  # of a whole batch, where others are of a part of it
Scalar = Float[Array, ""]

try:
    from beartype import beartype as _checker
except ImportError:  # checking is a development aid: without beartype the annotations only document
    _checker = None


def typed(function):
    """Checks array shapes and dtypes of a function's arguments and result while it is traced."""
    return function if _checker is None else jaxtyped(typechecker=_checker)(function)
