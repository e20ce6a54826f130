"""Frames as a player shows them: every display matrix, interlaced lines, HDR."""

from fractions import Fraction

import numpy as np
import pytest

from afjax.media.video import probe, read_frames

av = pytest.importorskip("av")

H, W = 64, 96
CORNERS = np.zeros((H, W, 3), np.uint8)
CORNERS[: H // 2, : W // 2], CORNERS[: H // 2, W // 2 :], CORNERS[H // 2 :, : W // 2] = 250, 170, 90


def write(path, frames, codec="libx264", pixels="yuv420p", matrix=None, options=None):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"crf": "8"} if options is None else options)
        stream.height, stream.width, stream.pix_fmt = frames[0].height, frames[0].width, pixels
        stream.codec_context.time_base = Fraction(1, 25)
        for name in ("color_trc", "colorspace", "color_primaries", "color_range"):
            setattr(stream.codec_context, name, getattr(frames[0], name))
        if matrix is not None:
            stream.set_display_matrix(matrix)
        for n, frame in enumerate(frames):
            frame.pts, frame.time_base = n, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def first(path, max_side=0):
    return next(iter(read_frames(probe(path), max_side))).astype(int)


def corners(image):
    """Grey of the four corners, row by row."""
    h, w = image.shape[:2]
    return [int(image[y : y + 8, x : x + 8].mean()) for y in (4, h - 12) for x in (4, w - 12)]


@pytest.mark.parametrize("matrix", [(1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1)]
                         + [(0, 1, 1, 0), (0, 1, -1, 0), (0, -1, 1, 0), (0, -1, -1, 0)])  # fmt: skip
def test_every_display_matrix_is_obeyed(tmp_path, matrix):
    a, b, c, d = matrix
    frames = [av.VideoFrame.from_ndarray(CORNERS, format="rgb24") for _ in range(3)]
    one = 1 << 16
    path = write(tmp_path / "a.mp4", frames, matrix=[a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30])
    shown = {}
    for y, x, grey in ((0, 0, 250), (0, 1, 170), (1, 0, 90), (1, 1, 0)):
        across, down = a * x + c * y, b * x + d * y
        shown[down - min(0, b + d), across - min(0, a + c)] = grey  # the picture's corner goes to where they begin
    image = first(path)
    assert image.shape == ((H, W, 3) if a else (W, H, 3))
    assert corners(image) == pytest.approx([shown[y, x] for y in (0, 1) for x in (0, 1)], abs=6)


def test_interlaced_frames_have_no_comb(tmp_path):
    """A bar that has moved between the two fields: no neighbouring lines differ; a still picture keeps its lines."""
    pictures = []
    for n in range(4):
        image = np.full((H, W, 3), 40, np.uint8)
        image[::2, 8 * n : 8 * n + 16] = 220
        image[1::2, 8 * n + 8 : 8 * n + 24] = 220
        pictures.append(av.VideoFrame.from_ndarray(image, format="rgb24"))
    path = write(tmp_path / "a.mp4", pictures, options={"crf": "8", "x264-params": "interlaced=1:tff=1"})
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    assert np.abs(np.diff(first(path)[..., 1], axis=0)).max() < 40
    for side, height in ((0, H), (48, 32)):
        assert first(path, side).shape == (height, height * W // H, 3)


def hdr(rgb, curve):
    """A flat frame of BT.2020 light, 1 = 203 cd/m2, as 10-bit code values of a curve."""
    light = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]) @ rgb
    if curve == 16:
        root = (light * 203 / 10_000) ** 0.1593017578125
        code = ((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root)) ** 78.84375
    else:
        scene = light * 203 / 1000
        scene = scene * max(float(scene @ [0.2627, 0.6780, 0.0593]), 1e-9) ** (1 / 1.2 - 1)
        code = np.where(
            scene <= 1 / 12,
            np.sqrt(3 * scene),
            0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073,
        )
    luma = code @ [0.2627, 0.6780, 0.0593]
    planes = 64 + 876 * luma, 512 + 896 * (code[2] - luma) / 1.8814, 512 + 896 * (code[0] - luma) / 1.4746
    frame = av.VideoFrame(W, H, "yuv420p10le")
    for plane, value in zip(frame.planes, planes, strict=True):
        plane.update(np.full(plane.buffer_size // 2, round(float(value)), "<u2").tobytes())
    frame.color_trc, frame.colorspace, frame.color_primaries, frame.color_range = curve, 9, 9, 1
    return frame


def sdr(light):
    light = np.asarray(light)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("curve", [16, 18])
@pytest.mark.parametrize("rgb", [(0.45, 0.3, 0.2), (0.1, 0.1, 0.1), (0.2, 0.4, 0.6)])
def test_hdr_looks_as_its_light_does(tmp_path, curve, rgb):
    path = write(tmp_path / "a.mkv", [hdr(np.array(rgb), curve)] * 3, "ffv1", "yuv420p10le", options={})
    assert np.abs(first(path).mean(axis=(0, 1)) - sdr(rgb)).max() < 4


def test_highlights_are_bent_not_cut():
    from afjax.media.frame import picture

    greys = [picture(hdr(np.full(3, light), 16), 1.0, 0).mean() for light in (0.5, 0.7, 1.0, 1.5, 2.0, 4.0)]
    assert greys[0] == pytest.approx(sdr(0.5), abs=3) and all(np.diff(greys) > 2) and greys[-1] < 255
