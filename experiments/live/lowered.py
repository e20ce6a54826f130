"""Counts of a program's operations before any compiler has seen it.

A jitted function is lowered for a platform, which need not be at hand, and its StableHLO is walked. Calls are followed
and count as often as they are made. Bodies of loops count as often as they run where that is a constant (`loops` has
None for other loops, whose bodies count once). An operation's place is the innermost function of this project in its
stack, `nn.blocks.normalise` say; a product's place also has that function's caller. XLA's fusions, layouts and copies
can't be seen here.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo

import afjax

__all__ = ["Operation", "bytes_of", "counts", "lower", "operations"]

_ROOTS = tuple(Path(afjax.__file__).resolve().parents[1] / name for name in ("afjax", "experiments"))
_BYTES = {"i1": 1, "complex<f32>": 8, "complex<f64>": 16}
PRODUCTS = ("dot_general", "convolution")
COPIES = ("concatenate", "pad", "reverse", "dynamic_update_slice")
_STILL = {
    "constant", "iota", "convert", "broadcast_in_dim", "reshape", "transpose", "slice", "dynamic_slice", "gather",
    "scatter", "return", "get_tuple_element", "tuple", "optimization_barrier", "while", "case", "if", "custom_call",
    *COPIES, *PRODUCTS,
}  # fmt: skip
"""Operations that compute nothing, and those that have a count of their own."""
_HOST = ("send", "recv", "infeed", "outfeed")


class Operation(NamedTuple):
    """One operation of a program.

    Attributes:
      name: name without the dialect; place: see the module; times: how often a call of the program runs it.
      kinds: element types of its operands and of its result; read, written: bytes; flops: those of a product, else 0.
      precision: that of a product, `float32`, `tf32` or its narrower type; target: that of a custom call.
      trips: trips of a loop, None where they aren't a constant.
    """

    name: str
    place: str
    times: int
    kinds: tuple[str, ...]
    read: int
    written: int
    flops: int = 0
    precision: str = ""
    target: str = ""
    trips: int | None = None


def lower(function, *arguments, platform: str | None = "cuda"):
    """StableHLO of a jitted function, lowered for a platform (None: the one at hand); shapes will do as arguments."""
    before = jax.config.jax_traceback_in_locations_limit
    jax.config.update("jax_traceback_in_locations_limit", -1)
    try:
        return function.trace(*arguments).lower(lowering_platforms=platform and (platform,)).compiler_ir("stablehlo")
    finally:
        jax.config.update("jax_traceback_in_locations_limit", before)


def operations(module) -> Iterator[Operation]:
    """Every operation that a call of the module's main function runs."""
    with module.context:
        yield from _Walk(module).called("main", "")


class _Walk:
    """Walk through a module, once through each function per place from which it is called."""

    def __init__(self, module):
        self._functions = {ir.StringAttr(each.attributes["sym_name"]).value: each for each in module.body.operations}
        self._known = {}

    def called(self, name: str, caller: str) -> list[Operation]:
        """Operations of a function; `caller`: their place if it is a library's, where it was called; else empty."""
        if (name, caller) not in self._known:
            self._known[name, caller] = list(self._inside(self._functions[name].regions[0], 1, caller))
        return self._known[name, caller]

    def _inside(self, region, times: int, caller: str) -> Iterator[Operation]:
        for block in region.blocks:
            for found in block.operations:
                operation = found.operation
                dialect, _, name = operation.name.partition(".")
                place = caller or _place(operation, name)
                if name == "call":
                    callee = ir.FlatSymbolRefAttr(operation.attributes["callee"]).value
                    above = caller or ("" if _ours(callee, self._functions[callee].regions[0]) else place)
                    for each in self.called(callee, above):
                        yield each._replace(times=times * each.times)
                elif dialect == "stablehlo":
                    trips = _trips(operation) if name == "while" else None
                    yield _operation(operation, name, place, times)._replace(trips=trips)
                    if name in ("while", "case", "if"):
                        for part in operation.regions:
                            yield from self._inside(part, times * (1 if trips is None else trips), caller)


def _place(operation, name: str) -> str:
    """Place of an operation; that of a product names the layer's user too, since the layer alone says little."""
    frames = islice(_frames(operation.location), 2 if name in PRODUCTS else 1)
    return " < ".join(place for _, place in frames)


def _operation(operation, name: str, place: str, times: int) -> Operation:
    given, made = ([value.type for value in values] for values in (operation.operands, operation.results))
    kinds = tuple(str(ir.ShapedType(each).element_type) for each in (*given, *made) if _shaped(each))
    flops, precision, target = 0, "", ""
    if name in PRODUCTS:
        flops = 2 * math.prod(ir.ShapedType(made[0]).shape) * _summed(operation, name)
        precision = _precision(operation, kinds)
    if name == "custom_call":
        target = ir.StringAttr(operation.attributes["call_target_name"]).value
    return Operation(
        name, place, times, kinds, sum(map(_size, given)), sum(map(_size, made)), flops, precision, target
    )  # fmt: skip


def _summed(operation, name: str) -> int:
    """Number of pairs that are summed into each number of a product."""
    first, second = (ir.ShapedType(value.type).shape for value in operation.operands)
    if name == "dot_general":
        numbers = stablehlo.DotDimensionNumbers(operation.attributes["dot_dimension_numbers"])
        return math.prod(first[axis] for axis in numbers.lhs_contracting_dimensions)
    numbers = stablehlo.ConvDimensionNumbers(operation.attributes["dimension_numbers"])
    return math.prod(second) // second[numbers.kernel_output_feature_dimension]


def _precision(operation, kinds) -> str:
    if kinds[0] != "f32" or kinds[1] != "f32":
        return {"bf16": "bfloat16", "f16": "float16", "f64": "float64"}.get(kinds[0], kinds[0])
    config = operation.attributes["precision_config"] if "precision_config" in operation.attributes else []
    return "float32" if any("HIGHEST" in str(each) for each in config) else "tf32"


def _shaped(kind) -> bool:
    return isinstance(kind, ir.ShapedType)


def _size(kind) -> int:
    if not _shaped(kind):
        return 0
    kind = ir.ShapedType(kind)
    return math.prod(kind.shape) * _width(str(kind.element_type))


def _width(element: str) -> int:
    """Bytes of an element type such as bf16, f32, ui8, i1."""
    digits = "".join(filter(str.isdigit, element.split("E")[0]))
    return _BYTES.get(element) or max(int(digits) // 8, 1)


def _frames(location) -> Iterator[tuple[str, str]]:
    """(function, place) of every function of the project in an operation's stack, innermost first."""
    if isinstance(location, ir.CallSiteLoc):
        yield from _frames(location.callee)
        yield from _frames(location.caller)
    elif isinstance(location, ir.FusedLoc):
        yield from next(filter(None, (list(_frames(each)) for each in location.locations)), [])
    elif isinstance(location, ir.NameLoc):
        inner = location.child_loc
        if not isinstance(inner, ir.FileLineColLoc):
            yield from _frames(inner)
        elif module := _module(inner.filename):
            yield location.name_str.rpartition(".")[2], f"{module}.{location.name_str}"


@cache
def _module(file: str) -> str:
    """Dotted name of a project's file below its packages.

    It is empty for other files, and for the check of shapes, which stands between caller and callee in tests.
    """
    root = next((root for root in _ROOTS if Path(file).is_relative_to(root)), None)
    name = ".".join(Path(file).relative_to(root).with_suffix("").parts) if root else ""
    return "" if name == "types" else name


def _ours(callee: str, body) -> bool:
    """Whether operations of a function of the module have places of their own.

    They have in a jitted function of the project and in the body of a loop, but not in a library's function: it may
    have been traced for another call.
    """
    name = callee.rstrip("0123456789").rstrip("_")
    inner = (function for found in body.blocks[0].operations for function, _ in _frames(found.location))
    return name == "closed_call" or name in inner


def _trips(operation) -> int | None:
    """How often a loop runs that counts by one up to a constant."""
    condition = operation.regions[0].blocks[0]
    *_, last = condition.operations
    test = last.operation.operands[0].owner
    if not isinstance(test, ir.OpView | ir.Operation) or test.name != "stablehlo.compare":
        return None
    counter, end = test.operands
    first = operation.operands[counter.arg_number] if isinstance(counter.owner, ir.Block) else None
    bounds = [_constant(value) for value in (first, end)]
    return None if None in bounds else bounds[1] - bounds[0]


def _constant(value) -> int | None:
    if value is None or isinstance(value.owner, ir.Block) or value.owner.name != "stablehlo.constant":
        return None
    number = value.owner.attributes["value"]
    return int(number[0]) if isinstance(number, ir.DenseIntElementsAttr) else None


def counts(found: Iterable[Operation]) -> dict[str, Any]:
    """The table of a program's operations that `experiments.benchmark --lower` writes, in operations and bytes.

    `products` by precision, `wide_products` (those in more than bfloat16) and `float32_islands` (other operations in
    float32) by place, `transposes` and `copies` (bytes written), `loops` by trips, `callbacks`, `custom_calls` by
    target, `gathers`, `scatters`, `converts`, and `float64` (operations with float64 numbers).
    """
    products, wide, islands = (defaultdict(Counter) for _ in range(3))
    moved = {name: Counter(ops=0, bytes=0) for name in ("transposes", "copies", "gathers", "scatters", "converts")}
    targets, loops, callbacks, double = Counter(), [], 0, 0
    kind_of = {"transpose": "transposes", "gather": "gathers", "scatter": "scatters", "convert": "converts"}
    kind_of |= dict.fromkeys(COPIES, "copies")
    for each in found:
        double += each.times * ("f64" in each.kinds)
        if each.name in PRODUCTS:
            entry = Counter(ops=each.times, gflop=each.times * each.flops / 1e9, bytes=each.times * bytes_of(each))
            products[each.precision] += entry
            if each.precision in ("float32", "tf32", "float64"):
                wide[each.place] += entry
        elif each.name in kind_of:
            moved[kind_of[each.name]] += Counter(ops=each.times, bytes=each.times * each.written)
        elif each.name == "while":
            loops.append(each.trips)
        elif each.name == "custom_call":
            targets[each.target] += each.times
            callbacks += each.times * ("callback" in each.target)
        elif each.name in _HOST:
            callbacks += each.times
        elif each.kinds and each.kinds[-1] == "f32" and each.name not in _STILL:
            islands[each.place] += Counter(ops=each.times, bytes=each.times * each.written)
    by_bytes = sorted(islands.items(), key=lambda entry: -entry[1]["bytes"])
    return {
        "products": {name: dict(entry) for name, entry in sorted(products.items())},
        "wide_products": {name: dict(entry) for name, entry in sorted(wide.items(), key=lambda e: -e[1]["gflop"])},
        "float32_islands": {name: dict(entry) for name, entry in by_bytes},
        **{name: dict(entry) for name, entry in moved.items()},
        "loops": loops, "callbacks": callbacks, "custom_calls": dict(targets), "float64": double,
    }  # fmt: skip


def bytes_of(operation: Operation) -> int:
    """Bytes read and written by an operation that runs once."""
    return operation.read + operation.written
