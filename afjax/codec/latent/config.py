"""Sizes of the latent codec."""

from dataclasses import dataclass

from afjax.errors import InputError

__all__ = ["LatentConfig"]


@dataclass(frozen=True)
class LatentConfig:
    """Settings of encoder and decoder, checked when made.

    Attributes:
      size: side of the pictures in pixels, a power of two from 64 to 1024.
      dim: width of the identity and motion latents.
      directions: k, number of orthonormal motion directions, at most `dim`.
      channels: channels of the feature maps of side 4, 8, 16 and so on, at least up to `size`; as released.
      margin: what a crop shows around a face, in halves of the face's larger side (`crop.square_of`).
    """

    size: int = 512
    dim: int = 512
    directions: int = 20
    channels: tuple[int, ...] = (512, 512, 512, 512, 256, 128, 64, 32, 16)
    margin: float = 1.0

    def __post_init__(self):
        if self.size not in (64, 128, 256, 512, 1024):
            raise InputError(f"size = {self.size} is not a power of two from 64 to 1024", "latent codec")
        if not 1 <= self.directions <= self.dim:
            raise InputError(f"{self.directions} directions in {self.dim} dimensions", "latent codec")
        if self.margin < 0:
            raise InputError(f"margin = {self.margin:g} is negative", "latent codec")
        if len(self.channels) < len(self.sides) or min(self.channels) < 1:
            needed = f"give {len(self.sides)} positive numbers, for sides 4 to {self.size}"
            raise InputError(f"channels = {self.channels} do not fit size {self.size}", "latent codec", needed)

    @property
    def sides(self) -> tuple[int, ...]:
        """Sides of the feature maps: 4, 8, ..., `size`."""
        return tuple(2**n for n in range(2, self.size.bit_length()))

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the maps of `sides`."""
        return self.channels[: len(self.sides)]
