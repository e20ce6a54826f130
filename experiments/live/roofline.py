"""Least and expected time of a program on a device, by counting.

    floor      the longest of: products at the device's peak, by precision; every weight, input and result through its
               memory once, weights that no cache holds as often as they are read
    expected   the sum over products of the longest of: .6 of the peak; operands and result at .8 of the bandwidth.
               And after each product one fused kernel, which reads the product and writes as much, and what is
               gathered; and 1.5 microseconds for each kernel, of a captured graph

The shares of .6 and .8, and the time of a kernel, are assumptions; nothing can be below the floor.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from experiments.live.lowered import PRODUCTS, Operation, bytes_of

__all__ = ["H100", "Device", "roofline"]

COMPUTE, MEMORY, KERNEL = 0.6, 0.8, 1.5e-6


class Device(NamedTuple):
    """Peaks of a device: FLOP/s by precision, bytes/s of its memory, and the `source` of the numbers."""

    name: str
    flops: dict[str, float]
    bandwidth: float
    source: str


H100 = Device(
    "NVIDIA H100 SXM", {"bfloat16": 989e12, "tf32": 494.5e12, "float32": 67e12}, 3.35e12,
    "NVIDIA H100 Tensor Core GPU data sheet, half of what it states with sparsity",
)  # fmt: skip


def roofline(found: Iterable[Operation], moved: int, device: Device = H100) -> dict[str, Any]:
    """Milliseconds of a program with the operations `found`, which moves at least `moved` bytes.

    `bound`: what sets the floor; `between_ms`: the part of `expected_ms` from product to product, by memory. Products
    of integers or of other precisions raise KeyError: the device's peak for them is not known here.
    """
    computing = busy = fused = kernels = 0.0
    for each in found:
        if each.name == "gather":
            fused += each.times * each.written
        if each.name not in PRODUCTS:
            continue
        peak = device.flops[each.precision]
        computing += each.times * each.flops / peak
        memory = bytes_of(each) / (MEMORY * device.bandwidth)
        busy += each.times * max(each.flops / (COMPUTE * peak), memory)
        fused += each.times * 2 * each.written
        kernels += 2 * each.times
    memory, between = moved / device.bandwidth, fused / (MEMORY * device.bandwidth)
    return {
        "products_ms": 1000 * computing, "memory_ms": 1000 * memory, "floor_ms": 1000 * max(computing, memory),
        "bound": "products" if computing > memory else "memory", "kernels": int(kernels),
        "expected_ms": 1000 * (busy + between + kernels * KERNEL), "between_ms": 1000 * between,
    }  # fmt: skip
