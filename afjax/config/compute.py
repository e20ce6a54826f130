"""The settings of a step's computation: devices, parts, precision, memory."""

from dataclasses import dataclass, field

from afjax.config.checks import one_of, require

PRECISIONS = ("float32", "tf32", "bfloat16")
"""Precisions of networks (`afjax.nn.precision`)."""


@dataclass(frozen=True)
class ComputeConfig:
    """How a step is computed: it decides about time and memory, and about figures only by rounding.

    Devices form a mesh `data` x `fsdp` x `tensor`; `data` 0 takes all that the other two leave. `rules` says which of
    these mesh axes (several: "data,fsdp") divide a logical axis of the batch or of a parameter
    (`afjax.nn.logical_axes`). A logical axis without a rule is whole on every device. Gradient accumulation: a step
    goes through its batch in `accumulate` parts. `precision` is that of networks (`afjax.nn.precision`), in training
    and afterwards; parameters, their average, the optimizer and the loss are float32. `remat`, gradient checkpointing:
    a block's activations are not kept for the backward pass but computed again.
    """

    data: int = 1
    fsdp: int = 1
    tensor: int = 1
    rules: dict[str, str] = field(
        default_factory=lambda: {"batch": "data,fsdp", "embed": "fsdp", "heads": "tensor", "mlp": "tensor"},
        hash=False,
    )
    accumulate: int = 1
    precision: str = "tf32"
    remat: bool = False

    def __post_init__(self):
        one_of("compute.precision", self.precision, PRECISIONS)
        require(self.data >= 0, "compute.data must not be negative")
        for name in ("fsdp", "tensor", "accumulate"):
            require(getattr(self, name) > 0, f"compute.{name} must be positive")
        for name in self.rules:
            for axis in self.mesh_axes(name):
                one_of(f"compute.rules.{name}", axis, ("data", "fsdp", "tensor"))

    def mesh_axes(self, name: str | None) -> tuple[str, ...]:
        """The mesh axes that divide a logical axis."""
        return tuple(axis.strip() for axis in self.rules.get(name, "").split(",") if axis.strip())
