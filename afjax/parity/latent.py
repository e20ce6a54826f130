"""Arrays that the latent codec gives for the inputs of parity fixtures, under the fixtures' keys and in their layout.

Layers are compared alone (`ae_pieces`), then every map of encoder and decoder (`ae_small`, `ae_full`): channels first,
by mean and standard deviation over space, a central crop and the top-left corner.
"""

import functools
import re
from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from afjax.codec.latent import decoder, encoder
from afjax.codec.latent import layers as nn
from afjax.codec.latent.directions import motion_of, orthonormal
from afjax.codec.latent.network import decode, motion, prepare
from afjax.errors import InputError
from afjax.parity.arrays import Stored
from afjax.weights.latent_names import PIECES, names
from afjax.weights.names import to_tree
from afjax.weights.tensor_shapes import latent_config

__all__ = ["arrays", "frames_of", "motion_of_frames"]

Arrays = Mapping[str, np.ndarray]


def arrays(file: str, inputs: Stored, state_dict: Arrays, dtype, wanted: Iterable[str]) -> dict[str, np.ndarray]:
    """Those arrays of `wanted`, keys of a fixture file, that are known.

    Args:
      file: "ae_pieces", "ae_small" or "ae_full".
      inputs: the fixture's `in/...` arrays (others are not read).
      state_dict: parameters under released names; not used for "ae_pieces".
      dtype: that of the computation; float64 needs jax.enable_x64.
      wanted: keys, without `in/...` and `f64/...`.
    """
    wanted = list(wanted)
    if file == "ae_pieces":
        return _pieces(sorted({key.split("/")[0] for key in wanted}), inputs, dtype)
    network = _Network(inputs, state_dict, dtype)
    found = {key: network.array(key) for key in wanted}
    return {key: np.asarray(array) for key, array in found.items() if array is not None}


def _first(x):
    """Channels first, as a numpy array."""
    return np.moveaxis(np.asarray(x), -1, 1)


def _last(x) -> jax.Array:
    return jnp.moveaxis(x, 1, -1)


def pictures(levels: np.ndarray, dtype) -> jax.Array:
    """uint8 `[n, h, w, 3]` as the network sees them, in any dtype by float32 arithmetic, like the reference's."""
    return jnp.asarray(levels.astype(np.float32) / np.float32(127.5) - np.float32(1), dtype)


# Compiled once for all fixtures of a shape.
_encode = jax.jit(encoder.encode)
_decode = jax.jit(decode)
_prepare = jax.jit(prepare)


@jax.jit
def _levels(prepared, latents, features):
    """Every level's maps, and the 4x4 map before them."""
    first = x = decoder.start(prepared["decoder"], latents)
    raw = image = None
    done = []
    for each, feature in zip(prepared["decoder"]["levels"], features, strict=True):
        made = decoder.level(each, x, latents, nn.pad_feature(feature), raw, image)
        x, raw, image = made.flow.x, made.flow.raw, made.image
        done.append(made)
    return first, done


def _prepared(state_dict: Arrays, dtype):
    config = latent_config(state_dict, "manifest")
    used = {name: jnp.asarray(state_dict[name], dtype) for name in names(config)}
    return _prepare(to_tree(used, names(config)))


class _Network:
    """Arrays of a whole network."""

    def __init__(self, inputs: Stored, state_dict: Arrays, dtype):
        self.inputs, self.dtype = inputs, dtype
        weight = jnp.asarray(state_dict["motion_autoencoder.dec.direction.weight"], dtype)
        self.prepared = _prepared(state_dict, dtype)
        encoding, small = _encode(self.prepared["encoder"], pictures(inputs["in/image_u8"], dtype))
        self.encoding = encoding
        r_d = motion(self.prepared, jnp.asarray(inputs["in/drive_lambda"], dtype))
        self.latent = encoding.identity + r_d
        self.vectors = {
            "s_r": encoding.identity,
            "lambda": encoding.coefficients,
            "enc_motion": encoding.coefficients,
            "r_s": motion(self.prepared, encoding.coefficients),
            "Q": self.prepared["directions"],
            "R_diag": jnp.diagonal(jnp.linalg.qr(weight + 1e-8)[1]),
            "r_d": r_d,
            "latent": self.latent,
        }
        self.maps = {f"feat{n}_res{each.shape[1]}": each for n, each in enumerate(encoding.features)}
        self.maps["enc_last_resblock"] = small

    @functools.cached_property
    def decoded(self) -> dict[str, jax.Array]:
        """The decoder's maps by key, channels last."""
        first, levels = _levels(self.prepared, self.latent, self.encoding.features)
        maps = {"dec_conv1": first}
        for n, each in enumerate(levels):
            maps |= {f"dec_convs{2 * n}": each.up, f"dec_convs{2 * n + 1}": each.conv}
            maps |= {f"dec_flow{n}_warp": each.flow.warped, f"dec_flow{n}_out": each.flow.x}
            maps |= {f"dec_flow{n}_skip": each.flow.raw, f"dec_flow{n}_flow": each.flow.flow, f"dec_rgb{n}": each.image}
        return maps

    @functools.cached_property
    def image(self) -> jax.Array:
        """The picture as `decode` gives it, channels first."""
        return _first(_decode(self.prepared, self.latent, self.encoding.features))

    def array(self, key: str):
        """The array of a key; None for an unknown key."""
        if key in self.vectors:
            return self.vectors[key]
        name, slash, part = key.partition("/")
        if slash:
            of = self.maps.get(name, self.decoded.get(name))
            return None if of is None else _part(of, part)
        if found := re.fullmatch(r"image_crop_y(\d+)_x(\d+)", key):
            y, x = map(int, found.groups())
            return self.image[:, :, y : y + 64, x : x + 64]
        if found := re.fullmatch(r"flow(\d+)", key):
            flows = (each for name, each in self.decoded.items() if name.endswith("_flow"))
            return next((flow for flow in flows if flow.shape[1] == int(found[1])), None)
        if found := re.fullmatch(r"seq_frames_(\d+(?:_\d+)*)", key):
            return self._sequence([int(n) for n in found[1].split("_")])
        if key == "image_box8":
            n, c, h, w = self.image.shape
            return self.image.reshape(n, c, h // 8, 8, w // 8, 8).mean((3, 5), np.float64)
        known = {"image": lambda x: x, "image_mean": _mean, "image_std": _spread}
        return known[key](self.image) if key in known else None

    def _sequence(self, frames: list[int]) -> np.ndarray | None:
        """Frames of the first portrait moved by a sequence of coefficients; None beyond its end."""
        sequence = self.inputs["in/seq_lambda"][0]
        if max(frames) >= len(sequence):
            return None
        coefficients = jnp.asarray(sequence[frames], self.dtype)
        latents = self.encoding.identity[:1] + motion(self.prepared, coefficients)
        return _first(_decode(self.prepared, latents, [each[:1] for each in self.encoding.features]))


def _mean(x: np.ndarray) -> np.ndarray:
    return x.mean((2, 3), np.float64)


def _spread(x: np.ndarray) -> np.ndarray:
    """Standard deviation over space."""
    return x.std((2, 3), np.float64)


def _part(x: jax.Array, part: str) -> np.ndarray | None:
    x = _first(x)
    height, width = x.shape[2:]
    if part == "crop":
        top, left = max(0, height - 16) // 2, max(0, width - 16) // 2
        return x[:, :8, top : top + 16, left : left + 16]
    known = {"mean": _mean, "std": _spread, "edge": lambda x: x[:, :8, :4, :16]}
    return known[part](x) if part in known else None


def _pieces(pieces: list[str], inputs: Stored, dtype) -> dict[str, np.ndarray]:
    """Outputs of layers by key, all computed by one program. Raises InputError if a layer lacks an input."""
    own, kernels = {}, {}
    given = {key.split("/")[1] for key in inputs if key.startswith("in/")}
    pieces = [name for name in pieces if name in given and _KNOWN.fullmatch(name)]
    for name in pieces:
        of = {key.removeprefix(f"in/{name}/"): each for key, each in inputs.items() if key.startswith(f"in/{name}/")}
        kernels[name] = next((each for key, each in of.items() if key.startswith("buffer/")), None)
        of = {key: jnp.asarray(each, dtype) for key, each in of.items() if not key.startswith("buffer/")}
        own[name] = {key: _last(each) if each.ndim == 4 and key in _MAPS else each for key, each in of.items()}

    def outputs(name: str, own: Mapping[str, jax.Array]) -> list[tuple[str, jax.Array]]:
        try:
            return list(_piece(name, own, kernels[name]))
        except (KeyError, IndexError, AttributeError, TypeError, ValueError, StopIteration) as error:
            raise InputError(f"the inputs of {name} are not those of this layer ({error})", inputs.where) from None

    @jax.jit
    def compute(own):
        return {f"{name}/{key}": each for name in pieces for key, each in outputs(name, own[name])}

    made = compute(own)
    as_is = re.compile(r"to_flow.*/out3|direction/.*|equal_linear/.*")
    return {key: np.asarray(each) if as_is.fullmatch(key) else _first(each) for key, each in made.items()}


_KNOWN = re.compile(
    r"blur\w*|upsample|downsample|equal_linear|resblock|grid_sample|direction|styled_conv(_up)?|to_(flow|rgb)_\w+"
    r"|conv_layer_(1x1|3x3|3x3_down|1x1_down_skip)|modconv_(3x3|3x3_up|1x1_nodemod)"
)
_MAPS = ("arg0", "arg1", "arg2", "arg3", "feat")


def _piece(name: str, own: Mapping[str, jax.Array], kernel: np.ndarray | None) -> Iterable[tuple[str, jax.Array]]:
    """One piece's outputs, by name; maps channels last."""
    if name == "grid_sample":
        return [("out", nn.warp(nn.pad_feature(own["feat"]), own["grid"]))]
    if name == "direction":
        directions = orthonormal(own["weight"])
        signs = jnp.diagonal(jnp.linalg.qr(own["weight"] + 1e-8)[1])
        return [("Q", directions), ("out", motion_of(directions, own["lambda"])), ("R_diag", signs)]
    params = {key.removeprefix("param/"): each for key, each in own.items() if key.startswith("param/")}
    made = _layer(name, params, [own[key] for key in _MAPS if key in own], kernel)
    return [(f"out{n}", each) for n, each in enumerate(made if isinstance(made, tuple) else (made,))]


def _layer(name: str, params: Mapping[str, jax.Array], args: list[jax.Array], kernel: np.ndarray | None):
    """The layer of a piece on channels-last maps."""
    if name.startswith("blur"):
        kernel = kernel.astype(np.float64)
        taps = tuple((kernel.sum(0) / np.sqrt(kernel.sum())).tolist())
        padding = {"blur_pad2_2": (2, 2), "blur_pad1_1_gain4": (1, 1)}.get(name, (2, 1))
        return nn.blur(*args, padding, taps)
    if name == "equal_linear":
        return nn.linear(*args, nn.equalise(params["weight"]), params["bias"])
    if name.startswith("conv_layer"):
        return _conv_layer(name, params, *args)
    if name == "resblock":
        return encoder.residual_block(encoder.prepare_block(_named("block", params)), *args)
    if name.startswith("styled_conv"):
        return decoder.styled(decoder.prepare_styled(_named("styled", params), name.endswith("up")), *args)
    if name.startswith("modconv"):
        return _modulated(name, params, *args)
    if name.startswith("to_flow"):
        x, latents, feature, raw = (*args, None)[:4]
        prepared = decoder.prepare_flow(_named("flow", params))
        return tuple(decoder.to_flow(prepared, x, latents, nn.pad_feature(feature), raw))
    if name.startswith("to_rgb"):
        return decoder.to_rgb(decoder.prepare_rgb(_named("rgb", params)), *(*args, None)[:2])
    return {"upsample": nn.upsample, "downsample": nn.downsample}[name](*args)


def _named(piece: str, params: Mapping[str, jax.Array]) -> dict:
    return to_tree(params, {name: (path,) for name, path in PIECES[piece].items() if name in params})


def _conv_layer(name: str, params: Mapping[str, jax.Array], x: jax.Array) -> jax.Array:
    weight = nn.equalise(next(value for key, value in params.items() if key.endswith("weight")))
    bias = next((value.reshape(-1) for key, value in params.items() if key.endswith("bias")), None)
    kernel = jnp.transpose(weight, (2, 3, 1, 0))
    if name == "conv_layer_1x1_down_skip":
        return nn.linear(nn.downsample(x), kernel[0, 0].T)
    if name == "conv_layer_3x3_down":
        return nn.activate(nn.conv(nn.blur(x, (2, 2)), kernel, 2, "VALID"), bias)
    pad = weight.shape[2] // 2
    return nn.activate(nn.conv(x, kernel, padding=((pad, pad), (pad, pad))), bias)


def _modulated(name: str, params: Mapping[str, jax.Array], x: jax.Array, latents: jax.Array) -> jax.Array:
    style = nn.linear(latents, nn.equalise(params["modulation.weight"]), params["modulation.bias"])
    weight = nn.equalise(params["weight"][0])
    kernel = jnp.transpose(weight, (2, 3, 1, 0))
    if name == "modconv_1x1_nodemod":
        return nn.linear(x * style[:, None, None], weight[:, :, 0, 0])
    demodulate = nn.demodulation(style, jnp.sum(weight * weight, (2, 3)))
    if name == "modconv_3x3_up":
        return nn.modulated_up(x, style, nn.phases(kernel), demodulate)
    return nn.modulated(x, style, kernel, demodulate)


def motion_of_frames(inputs: Arrays, state_dict: Arrays, dtype) -> dict[str, np.ndarray]:
    """`r_s` and `user_motion` of `e2e_small`, `[1, dim]` and `[1, t, dim]`."""
    prepared = _prepared(state_dict, dtype)
    frames = np.concatenate([inputs["in/avatar_u8"][None], inputs["in/user_frames_u8"]])
    encoding = _encode(prepared["encoder"], pictures(frames, dtype))[0]
    latents = np.asarray(motion(prepared, encoding.coefficients))
    return {"r_s": latents[:1], "user_motion": latents[None, 1:]}


def frames_of(latents: np.ndarray, inputs: Arrays, state_dict: Arrays, dtype, chosen: np.ndarray) -> dict:
    """`e2e_small`'s pictures of latents `[1, t, dim]`: frames `chosen`, and each frame's mean and spread by channel."""
    prepared = _prepared(state_dict, dtype)
    identity, _, features = _encode(prepared["encoder"], pictures(inputs["in/avatar_u8"][None], dtype))[0]
    frames = _first(_decode(prepared, identity + jnp.asarray(latents[0], dtype), features))
    clipped = np.clip(frames, -1, 1)
    return {
        "frames": frames[chosen],
        "frames_mean": _mean(frames),
        "frames_std": _spread(frames),
        "video_min_max": np.array([clipped.min(), clipped.max()]),
    }
