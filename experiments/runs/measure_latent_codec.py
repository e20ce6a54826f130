"""Measurement of a trained latent codec on people that it has not seen.

PSNR and SSIM (LPIPS where VGG-16's weights are given) are those of the other pictures of every held-out clip, made from
its first one; `psnr_copied` is the score of the first one itself. R² says how well a linear map of motion latents,
fitted on the people of the training split, predicts the known motion of held-out people; drawn people only. Known
motion counts from a person's own rest. Motion and latents are therefore taken less those of the first picture, which is
drawn at rest, in `r2`, and as they are in `r2_absolute`. `transfer.png` has in each cell a source, a picture of
somebody else, and the source moved like it; `reconstruction.png` has source, target, result.
"""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from afjax import files
from afjax.codec.face.channels import channel
from afjax.codec.latent import network
from afjax.codec.latent.config import LatentConfig
from afjax.metrics.fidelity import psnr, ssim
from afjax.metrics.probe import linear_r2
from afjax.nn.vgg import lpips
from data_pipeline.face_crops import Faces

__all__ = ["measure"]

PROBED = ("yaw", "pitch", "roll", "jaw_open", "smile")
BLOCK = 8
CELLS, ROWS = 4, 6


class _Codec:
    """The codec on uint8 pictures in blocks of BLOCK, so that one compilation serves clips of any length."""

    def __init__(self, config: LatentConfig, params, vgg):
        self._prepared, self._vgg = jax.jit(network.prepare)(params), jax.device_put(vgg)

        def identity(prepared, picture):
            latent, _, features = network.encode(prepared, _signed(picture[None]))
            return latent, features

        def motion(prepared, pictures):
            return network.motion(prepared, network.encode(prepared, _signed(pictures)).coefficients)

        def render(prepared, identity, latents):
            pictures = network.decode(prepared, identity[0] + latents, identity[1])
            return jnp.round(jnp.clip((pictures + 1) / 2, 0, 1) * 255).astype(jnp.uint8)

        def apart(vgg, found, wanted):
            return lpips(vgg, _signed(found), _signed(wanted))

        self._identity, self._motion, self._render, self._apart = map(jax.jit, (identity, motion, render, apart))

    def motion(self, pictures: np.ndarray) -> np.ndarray:
        """Motion latents `[t, dim]`."""
        return _blocks(lambda block: self._motion(self._prepared, block), pictures)

    def render(self, source: np.ndarray, latents: np.ndarray) -> np.ndarray:
        """Pictures `[t, size, size, 3]` of the person of one picture."""
        identity = self._identity(self._prepared, source)
        return _blocks(lambda block: self._render(self._prepared, identity, block), latents)

    def lpips(self, found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        return _blocks(lambda *blocks: self._apart(self._vgg, *blocks), found, wanted)


def _signed(pictures):
    return pictures.astype(jnp.float32) / 127.5 - 1


def _blocks(function, *arrays: np.ndarray) -> np.ndarray:
    parts = []
    for start in range(0, len(arrays[0]), BLOCK):
        blocks = [each[start : start + BLOCK] for each in arrays]
        count = len(blocks[0])
        blocks = [np.concatenate([each, each[-1:].repeat(BLOCK - count, 0)]) for each in blocks]
        parts.append(np.asarray(function(*blocks))[:count])
    return np.concatenate(parts)


def measure(config: LatentConfig, params, data: str | Path, out: Path, vgg=None) -> dict:
    """Returns the figures, and writes the two pictures into `out`."""
    codec = _Codec(config, params, vgg)
    splits = {split: Faces(data, split) for split in ("train", "eval")}
    held_out = splits["eval"]
    latents = {split: [codec.motion(clip.pictures) for clip in faces] for split, faces in splits.items()}
    scores = {name: [] for name in ("psnr", "psnr_copied", "ssim", *(("lpips_vgg16",) if vgg else ()))}
    rows = []
    for clip, motion in zip(held_out, latents["eval"], strict=True):
        wanted = np.array(clip.pictures[1:])
        made = codec.render(clip.pictures[0], motion[1:])
        scores["psnr"].append(psnr(made, wanted))
        scores["psnr_copied"].append(psnr(np.broadcast_to(clip.pictures[:1], wanted.shape), wanted))
        scores["ssim"].append(ssim(made, wanted))
        if vgg:
            scores["lpips_vgg16"].append(codec.lpips(made, wanted))
        rows.append([np.concatenate([clip.pictures[0], w, m], 1) for w, m in zip(wanted, made, strict=True)])
    _grid(out / "reconstruction.png", rows)
    _grid(out / "transfer.png", _transfer(codec, held_out, latents["eval"]))
    figures = {name: float(np.concatenate(values).mean()) for name, values in scores.items()}
    if held_out[0].motion is not None:
        figures["r2"] = _told(splits, latents, lambda track: track - track[0])
        figures["r2_absolute"] = _told(splits, latents, lambda track: track)
    return figures


def _told(splits: dict[str, Faces], latents: dict[str, list], relative: Callable) -> dict[str, float]:
    """R² of the probed channels, with latents and motion of each clip as `relative` makes them."""
    columns = [channel(name) for name in PROBED]
    rows = []
    for split in ("train", "eval"):
        known = [clip.motion[:, columns] for clip in splits[split]]
        rows += [np.concatenate([relative(track) for track in tracks]) for tracks in (latents[split], known)]
    return dict(zip(PROBED, linear_r2(*rows).tolist(), strict=True))


def _transfer(codec: _Codec, faces: Faces, latents: list[np.ndarray]) -> list[list[np.ndarray]]:
    """Cells of held-out people, each moved like the next one."""
    rows = []
    for n in range(min(len(faces), ROWS)):
        source, other = faces[n].pictures[0], (n + 1) % len(faces)
        chosen = slice(1, 1 + CELLS)
        made = codec.render(source, latents[other][chosen])
        rows.append(
            [np.concatenate([source, d, m], 1) for d, m in zip(faces[other].pictures[chosen], made, strict=True)]
        )
    return rows


def _grid(path: Path, rows: list[list[np.ndarray]]):
    """Writes cells of pictures, with white between them."""
    from PIL import Image

    rows = [row[:CELLS] for row in rows[:ROWS]]
    columns = max(map(len, rows))
    height, width, _ = rows[0][0].shape
    gap = max(2, height // 16)
    sheet = np.full((len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            sheet[y * (height + gap) :, x * (width + gap) :][:height, :width] = cell
    with files.aside(path) as partial:
        Image.fromarray(sheet).save(partial)
