"""Array vocabulary of the library, and `typed`, which checks it in tests.

Shapes are written in one way: `[b, t, d]`, small letters in brackets, in docstrings between backticks; annotations say
the same in jaxtyping's notation, "b t d". A letter means one thing:

    b  sessions, clips or windows of a batch       d  channels of motion
    w  those of the whole batch of which b are a part    f  features of an audio frame
    k  branches of guidance                        c  channels inside a network (its width)
    l  blocks of the transformer                   h  heads
    t  frames                                      e  channels of a head
    n  tokens: frames in some layout               s  samples of sound
    m  what tokens attend to: entries of conditions, cached tokens

Pictures and maps are `[n, h, w, c]`: n of them, rows, columns, channels. `...` stands for any axes, and `[b, 3]` has an
axis of 3. A docstring says what any other letter counts.
"""

import functools
import inspect
import os
import types
from collections.abc import Callable
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from jaxtyping import AbstractArray, Array, Bool, Float, Key, Num, jaxtyped

__all__ = [
    "Audio", "Embedding", "BatchNoiseLevel", "FrameNoiseLevel", "GuidanceWeights", "Heads", "HostOrDevice",
    "ConditionMask", "NoiseLevel", "Mask",
    "Motion", "Params",
    "Positions", "ReferenceMotion", "Rngs", "Scalar", "Tokens", "typed",
]  # fmt: skip

HostOrDevice = Array | np.ndarray
"""An array of JAX or of NumPy."""

Motion = Float[HostOrDevice, "b t d"]
Audio = Float[HostOrDevice, "b t f"]
Embedding = Float[HostOrDevice, "b t c"]
ReferenceMotion = Float[HostOrDevice, "b d"]
Tokens = Float[HostOrDevice, "b n d"]
NoiseLevel = Float[HostOrDevice, "b n"]
FrameNoiseLevel = Float[HostOrDevice, "b t"]
BatchNoiseLevel = Float[HostOrDevice, "w n"]  # of a whole batch, beside arrays of a part of it
ConditionMask = Float[HostOrDevice, "#b 3"]  # 1 or 0: avatar audio, user audio, user motion; one row may stand for all
GuidanceWeights = Float[HostOrDevice, " k"] | Float[HostOrDevice, "k b"]
Heads = Float[HostOrDevice, "b m h e"]
Mask = Bool[HostOrDevice, "... n m"]
Positions = Num[HostOrDevice, " n"]
Rngs = Key[Array, " b"]  # typed random keys, one per session
Scalar = Float[Array, ""]
Params = Any  # a tree of arrays

CHECKS = bool(os.environ.get("AFJAX_CHECK_TYPES"))
"""Whether `typed` checks, as it does in tests."""

_OTHERS = 6  # arrays that a message names beside the wrong one

Function = TypeVar("Function", bound=Callable)


def typed(function: Function) -> Function:
    """Checks shapes and dtypes of a function's arguments and result, inside compiled functions while they are traced.

    It checks only where AFJAX_CHECK_TYPES is set, as in tests; elsewhere it returns `function` itself. Fields of
    NamedTuples and of flax dataclasses are checked as well; arguments of other classes are not, so that doubles can
    stand for them. A letter has one size in all arguments and the result. Raises TypeError, one line that names the
    function, the argument or field, what it is and what it should be.
    """
    return _checked(function) if CHECKS else function


def _checked(function):
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*arguments, **more):
        hints, given = _hints(function), signature.bind(*arguments, **more).arguments
        with jaxtyped("context"):
            for name, value in given.items():
                if name in hints:
                    _require(function, name, value, hints[name], given)
            result = function(*arguments, **more)
            if "return" in hints:
                _require(function, "the result", result, hints["return"], given)
        return result

    return checked


@functools.cache
def _hints(kind) -> dict[str, Any]:
    """Annotations of a function or class, without those of *arguments, which are of each of them."""
    parameters = getattr(kind, "__code__", None) and inspect.signature(kind).parameters
    several = {
        name for name, each in (parameters or {}).items() if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    }
    return {name: hint for name, hint in get_type_hints(kind).items() if name not in several}


def _require(function, name: str, value, hint, given: dict):
    fault = _fault(name, value, hint)
    if fault:
        others = [f"{other} {_shape(array)}" for other, array in _arrays(given) if not fault.startswith(f"{other} ")]
        beside = ", ".join(others[:_OTHERS])
        where = f"{function.__module__}.{function.__qualname__}"
        raise TypeError(f"{where}: {fault}" + (f" (beside {beside})" if beside else ""))


def _arrays(given: dict):
    """(name, array) of arguments and of the fields of NamedTuples among them."""
    for name, value in given.items():
        fields = value._asdict() if hasattr(value, "_asdict") else {}
        for key, array in {name: value, **{f"{name}.{field}": each for field, each in fields.items()}}.items():
            if hasattr(array, "shape") and hasattr(array, "dtype"):
                yield key, array


def _fault(name: str, value, hint, nested: bool = False) -> str:
    """What is wrong with a value, in one line; empty if nothing is."""
    from beartype.door import is_bearable

    if isinstance(hint, type) and not (_has_fields(hint) or _is_array(hint)):
        return ""
    options = [each for each in _options(hint) if _has_fields(each) and isinstance(value, each)]
    if options and not nested:
        faults = (
            _fault(f"{name}.{field}", getattr(value, field), each, nested=True)
            for field, each in _hints(options[0]).items()
        )
        return next(filter(None, faults), "")
    return "" if options or is_bearable(value, hint) else f"{name} is {_shape(value)}, not {_written(hint)}"


def _options(hint) -> tuple:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _has_fields(hint) -> bool:
    return isinstance(hint, type) and (hasattr(hint, "_fields") or hasattr(hint, "_flax_dataclass"))


def _is_array(hint) -> bool:
    return isinstance(hint, type) and issubclass(hint, AbstractArray)


def _shape(value) -> str:
    if not hasattr(value, "shape"):
        return f"of type {type(value).__name__}"
    return f"{value.dtype}[{', '.join(map(str, value.shape))}]"


def _written(hint) -> str:
    """A hint as docstrings write it."""
    found = []
    for each in _options(hint):
        shape = f"[{', '.join(each.dim_str.split())}]" if _is_array(each) else ""
        text = each.dtype.__name__ + shape if shape else getattr(each, "__name__", each)
        found += [str(text)] if str(text) not in found else []
    return " or ".join(found)
