"""Renderings of a portrait by the `face` codec, and what its own tracker reads from them.

`scales` and `EXPRESSIONS` are the motions of a portrait's sheet. `read_back` renders motion whose channels are drawn
independently in every frame. It gives Pearson's r between the motion put in and what the tracker reads, every frame
detected anew, so that no channel helps to read another. `read_alone` moves one channel at a time: its loss is the
channel's own, any further loss of `read_back` is due to other channels. `read_turns` reads single turns of the head,
drawn beyond what the renderer follows in use.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from afjax import files
from afjax.codec.face.channels import CHANNELS, channel
from afjax.codec.face.codec import FaceCodec
from afjax.codec.face.render.limits import LIMITS
from afjax.codec.face.render.renderer import render_frames
from afjax.codec.face.track.coefficients import RAW, measure, relative
from afjax.codec.face.track.mesh import landmarks_of
from afjax.codec.face.track.template import load_template
from afjax.errors import InputError, InputWarning
from afjax.media.image import read_portrait
from experiments import cli
from experiments.report.face_sheet import sheet

__all__ = [
    "cosine",
    "EXPRESSIONS",
    "DRAWN",
    "PICTURES",
    "expression",
    "sample_motion",
    "look_at",
    "read_alone",
    "read_back",
    "read_turns",
    "rest_and_laugh",
    "rest_difference",
    "scales",
    "show_portraits",
]

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic")
DRAWN = {
    "yaw": (-25.0, 25.0),
    "pitch": (-15.0, 15.0),
    "roll": (-15.0, 15.0),
    "jaw_open": (0.0, 0.25),
    "smile": (-0.06, 0.18),
    "mouth_width": (-0.12, 0.12),
    "brow_raise": (-0.06, 0.1),
    "blink": (0.0, 1.0),
}
"""Ranges from which `read_back` draws: those of conversation, and a laugh."""

TURNS = (20.0, 30.0, 40.0)
"""Degrees to either side of rest that `read_turns` draws."""

EXPRESSIONS = {
    "neutral": {},
    "smile": {"smile": 0.12, "blink": 0.08},
    "laugh": {"smile": 0.2, "jaw_open": 0.2, "blink": 0.25, "pitch": -4.0, "brow_raise": 0.01},
    "surprise": {"brow_raise": 0.1, "jaw_open": 0.16, "mouth_width": -0.03, "scale": 0.02},
    "talk": {"jaw_open": 0.11, "mouth_width": -0.02, "upper_lip": 0.01},
    "pucker": {"mouth_width": -0.12, "jaw_open": 0.03},
    "nod": {"pitch": 14.0, "ty": 0.01},
    "doze": {"blink": 1.0, "pitch": 10.0, "roll": 6.0, "jaw_open": 0.02},
    "turned": {"yaw": 25.0, "roll": -8.0, "smile": 0.06},
}


def expression(name: str) -> np.ndarray:
    """Motion `[d]` of one of `EXPRESSIONS`."""
    motion = np.zeros(len(CHANNELS), np.float32)
    for each, value in EXPRESSIONS[name].items():
        motion[channel(each)] = value
    return motion


def scales(steps: int = 5) -> np.ndarray:
    """Motion `[d, steps, d]`: each channel alone, from its lowest to its highest shown value."""
    motion = np.zeros((len(CHANNELS), steps, len(CHANNELS)), np.float32)
    for n, (low, high) in enumerate(LIMITS[name] for name in CHANNELS):
        motion[n, :, n] = np.linspace(low, high, steps)
    return motion


def sample_motion(frames: int, seed: int) -> np.ndarray:
    """Motion `[frames, d]`: one frame at rest, then every channel of DRAWN uniform in its range in every frame."""
    random = np.random.default_rng(seed)
    motion = np.zeros((frames, len(CHANNELS)), np.float32)
    for name, (low, high) in DRAWN.items():
        motion[1:, channel(name)] = random.uniform(low, high, frames - 1)
    return motion


def _raw(frames: np.ndarray) -> np.ndarray:
    """The numbers `RAW` `[t, 17]` of frames, each detected anew; nan where no face is found."""
    template, found = load_template(), [landmarks_of(frame) for frame in frames]
    rows = [np.full(len(RAW), np.nan) if each is None else measure(each, frames.shape[2], template) for each in found]
    return np.stack(rows)


def read_back(codec: FaceCodec, identity, frames: int = 60, seed: int = 7) -> dict[str, float]:
    """Agreement of the motion shown and the motion read.

    Returns:
      Pearson's r per channel of `DRAWN`; `smile_of_width`: |r| of the width put in and the smile read;
      `width_of_smile`: the other way round; `found`: share of frames in which a face was found.
    """
    motion = sample_motion(frames, seed)
    raw = _raw(codec.render(identity, motion))
    found = np.isfinite(raw[:, 0])
    shown, raw = motion[found], raw[found]
    back = relative(raw, raw[0])

    def r(put: str, read: str) -> float:
        return float(np.corrcoef(shown[:, channel(put)], back[:, channel(read)])[0, 1])

    return {
        **{name: r(name, name) for name in DRAWN},
        "smile_of_width": abs(r("mouth_width", "smile")),
        "width_of_smile": abs(r("smile", "mouth_width")),
        "found": float(np.mean(found)),
    }


def read_alone(codec: FaceCodec, identity, steps: int = 7) -> dict[str, list[float]]:
    """Pearson's r and slope of what is read of each channel of `DRAWN`, moved alone over its range in `steps` steps.

    nan where the portrait at rest, or all but two of the frames, show no face.
    """
    motion = np.zeros((1 + len(DRAWN) * steps, len(CHANNELS)), np.float32)
    for n, (name, ends) in enumerate(DRAWN.items()):
        motion[1 + n * steps :, channel(name)][:steps] = np.linspace(*ends, steps)
    raw = _raw(codec.render(identity, motion))
    figures = {}
    for n, name in enumerate(DRAWN):
        part = slice(1 + n * steps, 1 + (n + 1) * steps)
        put, found = motion[part, channel(name)], np.isfinite(raw[part, 0] + raw[0, 0])
        figures[name] = [float("nan")] * 2
        if found.sum() >= 3:
            read = relative(raw[part][found], raw[0])[:, channel(name)]
            figures[name] = [float(np.corrcoef(put[found], read)[0, 1]), float(np.polyfit(put[found], read, 1)[0])]
    return figures


def read_turns(identity) -> dict[str, list[float]]:
    """Degrees read of heads that are turned by `TURNS` to either side, each frame on its own.

    Returns:
      by axis, the absolute degrees read, `[2 len(TURNS)]` in the order of TURNS, each to the negative side first; nan
      where no face is found.
    """
    axes = ("yaw", "pitch", "roll")
    asked = np.array([side * turn for turn in TURNS for side in (-1, 1)], np.float32)
    motion = np.zeros((1 + len(axes) * len(asked), len(CHANNELS)), np.float32)
    for n, name in enumerate(axes):
        motion[1 + n * len(asked) :, channel(name)][: len(asked)] = asked
    raw = _raw(np.rint(np.asarray(render_frames(identity, motion, limited=False))).astype(np.uint8))
    with np.errstate(invalid="ignore"):
        back = relative(raw, raw[0])[1:].reshape(len(axes), len(asked), -1)
    return {name: (back[n, :, channel(name)] * np.sign(asked)).tolist() for n, name in enumerate(axes)}


def rest_and_laugh(codec: FaceCodec, identity, measures: Mapping[str, Callable]) -> dict[str, float]:
    """Each of `measures`, functions of two pictures, applied to a portrait at rest and laughing."""
    pair = codec.render(identity, np.stack([expression("neutral"), expression("laugh")]))
    return {name: measure(*pair) for name, measure in measures.items()}


def cosine(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """Cosine of two embeddings `[e]`; nan where one is None."""
    return float("nan") if a is None or b is None else float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def rest_difference(codec: FaceCodec, identity) -> float:
    """Mean absolute difference, of 255, of the rendered rest and the portrait's own crop (unless its mouth is shut)."""
    crop = identity.texture[..., :3] + (1 - identity.texture[..., 3:]) * identity.plate.repeat(2, 0).repeat(2, 1)
    crop = crop.reshape(codec.size, 2, codec.size, 2, 3).mean((1, 3))
    rest = codec.render(identity, np.zeros((1, len(CHANNELS))))[0]
    return float(np.abs(rest - np.rint(np.clip(crop, 0, 255))).mean())


def look_at(portrait: np.ndarray, out: Path, size: int, measures: Mapping[str, Callable]) -> tuple[dict, dict]:
    """Writes the two sheets `out`_channels.png and `out`_expressions.png of a portrait.

    Returns its figures, and the readings of channels alone (`alone`) and of turns (`turns`).

    measures: functions of a pair of pictures, by name.
    """
    codec = FaceCodec(size=size)
    identity = codec.identity(portrait)
    motion = scales()
    pictures = codec.render(identity, motion.reshape(-1, len(CHANNELS)))[:, ::2, ::2]
    words = [f"{name} {row[n]:+.2f}" for n, name in enumerate(CHANNELS) for row in motion[n]]
    sheet(out.with_name(f"{out.name}_channels.png"), pictures, words, columns=motion.shape[1])
    pictures = codec.render(identity, np.stack([expression(name) for name in EXPRESSIONS]))
    sheet(out.with_name(f"{out.name}_expressions.png"), pictures, list(EXPRESSIONS), columns=3)
    small = FaceCodec().identity(portrait)
    figures = read_back(FaceCodec(), small) | {"rest": rest_difference(codec, identity)}
    single = {"alone": read_alone(FaceCodec(), small), "turns": read_turns(small)}
    return figures | rest_and_laugh(codec, identity, measures), single


def show_portraits(folder: Path, out: Path, size: int, vgg: str = "") -> None:
    """Writes the sheets of a folder's portraits and the table of readings; `vgg`: weights for LPIPS."""
    if size % 128:
        raise InputError(f"--size={size} is not a multiple of 128", do="choose 128, 256, 384 ... 1024")
    pictures = [path for path in sorted(folder.glob("[!.]*")) if path.suffix.lower() in PICTURES]
    if not pictures:
        raise InputError("no picture", folder, f"put portraits there ({', '.join(PICTURES)})")
    out.mkdir(parents=True, exist_ok=True)
    measures, rows, single = _measures(vgg), {}, {}
    for path in pictures:
        try:
            with cli.quiet(), warnings.catch_warnings(record=True) as decided:
                warnings.simplefilter("always", InputWarning)
                rows[path.stem], single[path.stem] = look_at(read_portrait(path), out / path.stem, size, measures)
        except InputError as error:
            print(f"left out: {error if str(path) in str(error) else InputError(str(error), path)}")
            continue
        for each in {str(each.message) for each in decided if issubclass(each.category, InputWarning)}:
            warnings.warn(f"{path.name}: {each}", InputWarning, stacklevel=2)
        print(f"{path.name}: " + "  ".join(f"{name} {value:.3f}" for name, value in rows[path.stem].items()))
    if not rows:
        raise InputError("no portrait can be used", folder)
    alone, turns = ([each[name] for each in single.values()] for name in ("alone", "turns"))
    cli.print_table(_alone_rows(alone), header=("alone", "portraits", "r", "lowest", "slope", "from", "to"))
    cli.print_table(_turn_rows(turns), header=("turned", "portraits", "found", "read", "from", "to"))
    files.write_json(out / "faces.json", {name: row | single[name] for name, row in rows.items()})
    print(f"written: {out}")


def _alone_rows(alone: list[dict[str, list[float]]]) -> list[tuple]:
    """Rows per channel: portraits, median and lowest r, median, lowest and highest slope."""
    rows = []
    for name in alone[0]:
        r, slope = np.array([each[name] for each in alone]).T
        figures = (np.nanmedian(r), np.nanmin(r), np.nanmedian(slope), np.nanmin(slope), np.nanmax(slope))
        rows.append((name, len(alone), *map(float, figures)))
    return rows


def _turn_rows(turns: list[dict[str, list[float]]]) -> list[tuple]:
    """Rows per axis and degree: portraits, share found, median, lowest and highest degrees read."""
    rows = []
    for name in turns[0]:
        read = np.array([each[name] for each in turns]).reshape(len(turns), len(TURNS), 2)
        for n, turn in enumerate(TURNS):
            found = np.isfinite(read[:, n])
            some = read[:, n][found] if found.any() else np.array([np.nan])
            figures = (float(np.median(some)), float(some.min()), float(some.max()))
            rows.append((f"{name} {turn:.0f}", len(turns), float(found.mean()), *figures))
    return rows


def _measures(vgg: str) -> dict:
    """Measures of a pair of pictures by name, as far as their packages and weights are there."""
    from afjax.metrics.pretrained.dlib_face import DlibFace

    measures = {}
    try:
        embed = DlibFace()
    except InputError as error:
        print(f"note: {error}; CSIM-dlib is left out")
    else:
        measures["CSIM-dlib"] = lambda *pair: cosine(*(embed(picture) for picture in pair))
    if vgg:
        from afjax.nn.vgg import lpips
        from afjax.weights.lpips import load_vgg

        weights = load_vgg(vgg)
        measures["LPIPS-vgg"] = lambda *pair: float(lpips(weights, *(one[None] / 127.5 - 1.0 for one in pair))[0])
    return measures
