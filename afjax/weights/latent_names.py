"""Released names of the latent codec's parameters."""

from collections.abc import Iterator

from afjax.codec.latent.config import LatentConfig

__all__ = ["PIECES", "PREFIX", "names"]

PREFIX = "motion_autoencoder."

Path = tuple[str, ...]

_MODULATED = {
    "weight": ("weight",),
    "modulation.weight": ("modulation", "weight"),
    "modulation.bias": ("modulation", "bias"),
}
_STYLED = {
    **{f"conv.{name}": ("conv", *path) for name, path in _MODULATED.items()},
    "noise.weight": ("noise", "weight"),
    "activate.bias": ("bias",),
}
_FLOW = {**{f"conv.{name}": ("conv", *path) for name, path in _MODULATED.items()}, "bias": ("bias",)}
_RGB = {"bias": ("bias",), "conv.0.weight": ("weight",), "conv.1.bias": ("activation_bias",)}
_BLOCK = {
    "conv1.0.weight": ("conv1", "weight"),
    "conv1.1.bias": ("conv1", "bias"),
    "conv2.1.weight": ("conv2", "weight"),
    "conv2.2.bias": ("conv2", "bias"),
    "skip.1.weight": ("skip", "weight"),
}
PIECES = {"block": _BLOCK, "styled": _STYLED, "flow": _FLOW, "rgb": _RGB}
"""Names inside a residual block, a styled convolution, a flow head and a picture head."""


def _pairs(config: LatentConfig) -> Iterator[tuple[str, Path]]:
    levels = len(config.sides) - 1

    def group(released: str, piece: dict[str, Path], *path: str):
        yield from ((f"{released}.{name}", (*path, *tail)) for name, tail in piece.items())

    yield "enc.net_app.convs.0.0.weight", ("encoder", "input", "weight")
    yield "enc.net_app.convs.0.1.bias", ("encoder", "input", "bias")
    for n in range(levels):
        yield from group(f"enc.net_app.convs.{n + 1}", _BLOCK, "encoder", f"block{n}")
    yield f"enc.net_app.convs.{levels + 1}.weight", ("encoder", "output", "weight")
    for n in range(5):
        yield from ((f"enc.fc.{n}.{name}", ("encoder", f"head{n}", name)) for name in ("weight", "bias"))
    yield "dec.direction.weight", ("directions", "weight")
    yield "dec.input.input", ("decoder", "constant", "value")
    yield from group("dec.conv1", _STYLED, "decoder", "start", "styled")
    yield from group("dec.to_rgb1", _RGB, "decoder", "start", "rgb")
    for n in range(levels):
        yield from group(f"dec.convs.{2 * n}", _STYLED, "decoder", f"level{n}", "up")
        yield from group(f"dec.convs.{2 * n + 1}", _STYLED, "decoder", f"level{n}", "styled")
        yield from group(f"dec.to_flows.{n}", _FLOW, "decoder", f"level{n}", "flow")
        yield from group(f"dec.to_rgbs.{n}", _RGB, "decoder", f"level{n}", "rgb")


def names(config: LatentConfig) -> dict[str, tuple[Path, ...]]:
    """Released name -> the path of its tensor in the parameter tree."""
    return {PREFIX + name: (path,) for name, path in _pairs(config)}
