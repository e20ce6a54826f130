"""Array vocabulary of the library and the `typed` decorator.

Shapes are written in jaxtyping's notation. Letters used everywhere:

  b  sessions or clips in a batch          n  tokens (frames in some layout)
  t  frames                                d  motion channels
  f  features of an audio frame            c  width of the condition
"""

from jaxtyping import Array, Bool, Float, Int, Key, jaxtyped

__all__ = ["Array", "Audio", "Bool", "Float", "Int", "Key", "Level", "Mask", "Motion", "Scalar", "typed"]

Motion = Float[Array, "b n d"]
Audio = Float[Array, "b n f"]
Level = Float[Array, "b n"]
Mask = Bool[Array, "q k"]
Scalar = Float[Array, ""]

try:
    from beartype import beartype as _checker
except ImportError:  # checking is a development aid: without beartype the annotations only document
    _checker = None


def typed(function):
    """Checks array shapes and dtypes of a function's arguments and result while it is traced."""
    return function if _checker is None else jaxtyped(typechecker=_checker)(function)
