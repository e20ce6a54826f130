"""Renders a portrait with motion: a jitted, batched, differentiable function of `Identity` and channels.

One frame, with c the channels and K displacement fields F_k on the portrait's grid of canonical points C:

  1. place      P' = t + s R(angles) (C + sum_k c_k F_k), once with the base and once with the low fields; the
                displacement in the picture is the head's weight times P' - P
  2. invert     both, from a depth-buffered start (`warp`): s_base(x), s_low(x)
  3. choose     x shows the lower lip or chin where s_low(x) lies below the seam between the lips, else the rest of the
                face where s_base(x) lies above it, else the inside of the mouth
  4. colour     sampled at s with the irises shifted, put before the background by the matte sampled with it, then lids
                and the mouth's inside painted

At rest s(x) = x and every painted share is 0, so the frame is the crop itself.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from afjax.codec.face.channels import CHANNELS, channel
from afjax.codec.face.render import fields, warp
from afjax.codec.face.render.lids import gaze_shift, paint_lids
from afjax.codec.face.render.limits import lid_closure, shown
from afjax.codec.face.render.mouth import paint_mouth
from afjax.codec.face.render.portrait import NODES, Identity
from afjax.codec.face.render.seam import SEAM_END

__all__ = ["CHUNK", "render", "render_frames"]

CHUNK = 10
SQUEEZE = 2.5  # how far a smile pushes the lower lids up (`paint_lids`)
CORNER = 1.04  # where the mouth's inside ends, in half widths of the mouth
LIFT = 0.8  # a smile raises the upper lip by this share of itself
_FIELD_CHANNELS = np.array([channel(name) for name in fields.FIELDS])


def _rotation(angles):
    """R = Rz(roll) Ry(yaw) Rx(pitch) `[3, 3]` of yaw, pitch, roll in degrees, in the sense of `template`."""
    (cy, cp, cr), (sy, sp, sr) = jnp.cos(jnp.radians(angles)), jnp.sin(jnp.radians(angles))
    zero, one = jnp.zeros_like(cy), jnp.ones_like(cy)
    about_z = jnp.stack([cr, -sr, zero, sr, cr, zero, zero, zero, one]).reshape(3, 3)
    about_y = jnp.stack([cy, zero, -sy, zero, one, zero, sy, zero, cy]).reshape(3, 3)
    about_x = jnp.stack([one, zero, zero, zero, cp, -sp, zero, sp, cp]).reshape(3, 3)
    return about_z @ about_y @ about_x


def _mouth_coordinates(mouth, points):
    rel = (points - mouth.centre) / mouth.half
    u = rel @ mouth.along
    v = rel @ jnp.stack([-mouth.along[1], mouth.along[0]])
    return u, v - jnp.polyval(mouth.seam, jnp.clip(u, -SEAM_END, SEAM_END))


def _backward_maps(identity: Identity, motion, size: int):
    """Source pixels `[size, size, 2]` of the base and the low layer, and where eyes and mouth went (x, y)."""
    cells = (NODES - 1) / (size - 1)
    value = dict(zip(CHANNELS, motion, strict=True))
    strength = motion[_FIELD_CHANNELS]
    turn = _rotation(identity.angles + motion[jnp.array([channel(n) for n in ("yaw", "pitch", "roll")])])
    shift = jnp.stack([value["tx"], value["ty"], jnp.zeros(())]) * size
    rest = identity.points @ _rotation(identity.angles).T * identity.unit

    def place(shapes):
        moved = (identity.points + jnp.einsum("k,kyxc->yxc", strength, shapes)) @ turn.T
        return identity.weight[..., None] * (moved * (identity.unit * (1 + value["scale"])) + shift - rest)

    base, low = place(identity.base), place(identity.low)
    goal = jnp.stack(jnp.meshgrid(jnp.arange(NODES), jnp.arange(NODES)), -1).astype(jnp.float32)
    landed = goal + base[..., :2] * cells
    nearest = warp.splat(landed, (rest + base)[..., 2])
    missed = nearest == NODES**2
    at = jnp.minimum(nearest, NODES**2 - 1)
    start = 2 * goal - landed
    branch = goal.reshape(-1, 2)[at] + goal - landed.reshape(-1, 2)[at]
    start = jnp.where(missed[..., None], start, branch)
    up = jnp.asarray(warp.upsampler(NODES, size))
    pixels = jnp.stack(jnp.meshgrid(jnp.arange(size), jnp.arange(size)), -1).astype(jnp.float32)

    layers = jnp.stack([base, low])[..., :2] * cells
    delta = jax.vmap(warp.invert, (0, None))(layers, start) / cells
    maps = pixels + jnp.einsum("yn,lnmc,xm->lyxc", up, delta, up)

    def went(layer, point):
        return point + warp.value(layers[layer], (point * cells)[None])[0] / cells

    eyes, mouth = identity.eyes.centre.mean(0), identity.mouth.centre
    return maps[0], maps[1], went(0, eyes), (went(0, mouth) + went(1, mouth)) / 2


class _Windows(NamedTuple):
    """Heights and widths, in sixteenths of the frame, of windows for eyes, lips and chin, and the mouth's inside.

    Lids and the mouth's inside take many steps per pixel and few pixels, and the layers differ only around lips and
    chin: windows are what makes rendering fast enough.
    """

    eyes: tuple[int, int]
    jaw: tuple[int, int]
    mouth: tuple[int, int]


FAR, CLOSE = _Windows((4, 7), (8, 5), (4, 5)), _Windows((6, 10), (12, 8), (6, 8))
_CLOSE = 0.36  # share of the frame that the eyes' distance exceeds in a close picture
_CHIN = 0.4  # from the mouth down to the middle of what the jaw moves, as a share of the eyes' distance


def _corner(size: int, shape: tuple[int, int], centre):
    """Corner (row, column) of a window around a pixel `centre` (x, y)."""
    corner = jnp.round(centre[::-1]).astype(jnp.int32) - jnp.array(shape) // 2
    return jnp.clip(corner, 0, size - jnp.array(shape))


def _frame(identity: Identity, motion, size: int, windows: _Windows):
    eyes, jaw, lips = ((height * size // 16, width * size // 16) for height, width in windows)
    upper, lower, eyes_at, mouth_at = _backward_maps(identity, motion, size)
    mouth, teeth = identity.mouth, identity.palette.teeth

    at_jaw = _corner(size, jaw, mouth_at + jnp.array([0, _CHIN]) * identity.unit)
    above, under = warp.cut(upper, at_jaw, jaw), warp.cut(lower, at_jaw, jaw)
    u_base, v_base = _mouth_coordinates(mouth, above)
    u_low, v_low = _mouth_coordinates(mouth, under)
    soft = 0.5 / mouth.half
    # The lower lip's edge has a trace of what it touched, most of all of teeth: once it is free, it is trimmed.
    free = jnp.clip((v_base - v_low) / 0.2, 0, 1)
    v_low = v_low - free * (0.03 + 0.04 * (1 - teeth))
    is_low = jnp.clip(0.5 + v_low / (2 * soft), 0, 1)
    is_base = jnp.clip(0.5 - v_base / (2 * soft), 0, 1)
    source = warp.paste(upper, jnp.where((is_low >= is_base)[..., None], under, above), at_jaw)

    at_eyes = _corner(size, eyes, eyes_at)
    still = warp.cut(source, at_eyes, eyes)
    gaze = motion[jnp.array([channel("gaze_x"), channel("gaze_y")])]
    source = warp.paste(source, gaze_shift(identity.eyes, still, gaze), at_eyes)
    person, matte = jnp.split(warp.sample(identity.table, 2 * size, 2 * source + 0.5), [3], -1)
    colour = person + (1 - matte) * identity.plate
    smile = jnp.maximum(motion[channel("smile")], 0)
    lids = paint_lids(identity.eyes, still, warp.cut(colour, at_eyes, eyes), motion[channel("blink")], SQUEEZE * smile)
    colour = warp.paste(colour, lids, at_eyes)

    # The seam's curve goes on beyond the corners: what parts there is no mouth, but a thorn in the cheek.
    inside = jnp.clip(1 - is_low - is_base, 0, 1) * jnp.clip((CORNER - jnp.abs(u_base)) / 0.01, 0, 1)
    planes = jnp.stack([inside, (u_base + u_low) / 2, jnp.maximum(v_base, 0), jnp.maximum(-v_low, 0)], -1)
    at_mouth = jnp.clip(_corner(size, lips, mouth_at) - at_jaw, 0, jnp.array(jaw) - jnp.array(lips))
    inside, u, drop, rise = jnp.moveaxis(warp.cut(planes, at_mouth, lips), -1, 0)
    lift = (motion[channel("upper_lip")] + LIFT * smile) * identity.unit / mouth.half
    paint = paint_mouth(u, drop, rise, identity.palette, lift)
    shown_lips = warp.cut(colour, at_jaw + at_mouth, lips)
    return warp.paste(colour, shown_lips + inside[..., None] * (paint - shown_lips), at_jaw + at_mouth)


@partial(jax.jit, static_argnames=("size", "windows", "limited"))
def _frames(identity: Identity, motion, size: int, windows: _Windows, limited: bool):
    motion = lid_closure(motion.at[:, channel("jaw_open")].add(-identity.shut))
    motion = shown(motion, identity.gap, identity.smile) if limited else motion
    return jnp.clip(jax.vmap(lambda m: _frame(identity, m, size, windows))(motion), 0, 255)


def render_frames(identity: Identity, motion, limited: bool = True):
    """Frames float32 `[t, size, size, 3]` in 0..255 of motion `[t, 15]`; differentiable in the motion.

    Motion is followed within `limits.LIMITS`; without `limited` as far as it goes, torn or not. It is compiled once per
    t, and once more for close pictures. The identity's arrays must be known, not traced.
    """
    size = identity.texture.shape[0] // 2
    windows = CLOSE if float(identity.unit) > _CLOSE * size else FAR
    return _frames(identity, jnp.asarray(motion, jnp.float32), size, windows, limited)


def render(identity: Identity, motion: np.ndarray) -> np.ndarray:
    """Frames uint8 `[t, size, size, 3]` of motion `[t, 15]`, followed within `limits.LIMITS`.

    Works through the clip in chunks of CHUNK frames, the last one padded, so that one compilation serves any length.
    """
    motion = np.asarray(motion, np.float32)
    size = identity.texture.shape[0] // 2
    frames = np.empty((len(motion), size, size, 3), np.uint8)
    identity = jax.device_put(identity)
    for start in range(0, len(motion), CHUNK):
        part = motion[start : start + CHUNK]
        padded = np.concatenate([part, np.zeros((CHUNK - len(part), motion.shape[1]), np.float32)])
        done = np.asarray(render_frames(identity, padded))[: len(part)]
        frames[start : start + len(part)] = np.rint(done)
    return frames
