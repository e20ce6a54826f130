"""What a picture of the avatar costs to encode: processor's milliseconds and Mb/s at 25 a second, one thread, as JSON.

    python -m tests.serving.encoding_cost --size 256

A drawn face that nods and smiles, with a camera's noise. Time is the process's own, so that other programs lengthen it
little; of aiortc's encoders it holds packing into payloads, too.
"""

import io
import json
import time
from fractions import Fraction

import av
import numpy as np
from absl import app, flags
from PIL import Image

from afjax.codec.face.channels import channel
from afjax.codec.face.codec import FaceCodec
from data_pipeline.simulate.behaviour import idle_motion
from data_pipeline.simulate.portrait.draw import paint_portrait

_SIZE = flags.DEFINE_integer("size", 256, "Side of the picture, a multiple of 128.")
FRAMES, WARM = 125, 25


def pictures() -> list[np.ndarray]:
    motion = idle_motion.zeros(FRAMES)
    motion[:, channel("smile")] += 0.15 * idle_motion.bump(FRAMES, 10, 8.0, 20.0, 12.0)
    motion[:, channel("pitch")] += 4.0 * idle_motion.nod(FRAMES, 60, 2.0)
    codec, rng = FaceCodec(size=_SIZE.value), np.random.default_rng(0)
    shown = codec.render(codec.identity(paint_portrait(1)), motion)
    return [np.clip(p + rng.normal(0, 2, p.shape), 0, 255).astype(np.uint8) for p in shown]


def frame(picture: np.ndarray, n: int) -> av.VideoFrame:
    found = av.VideoFrame.from_ndarray(picture, format="rgb24")
    found.pts, found.time_base = 3600 * n, Fraction(1, 90_000)
    return found


def jpeg():
    def encode(picture, n):
        out = io.BytesIO()
        Image.fromarray(picture).save(out, "JPEG", quality=80)
        return out.tell()

    return encode


def of_aiortc(encoder):
    encoder.target_bitrate = 1_000_000
    return lambda picture, n: sum(map(len, encoder.encode(frame(picture, n))[0]))


def x264(size):
    context = av.CodecContext.create("libx264", "w")
    context.width = context.height = size
    context.pix_fmt, context.time_base, context.bit_rate, context.thread_count = (
        "yuv420p",
        Fraction(1, 25),
        1_000_000,
        1,
    )
    context.options = {"preset": "ultrafast", "tune": "zerolatency"}

    def encode(picture, n):
        given = frame(picture, n)
        given.pts, given.time_base = n, Fraction(1, 25)
        return sum(packet.size for packet in context.encode(given))

    return encode


def cost(encode, shown) -> dict:
    sizes = [encode(picture, n) for n, picture in enumerate(shown[:WARM])]
    begun, sizes = time.process_time(), []
    for n, picture in enumerate(shown[WARM:]):
        sizes.append(encode(picture, WARM + n))
    milliseconds = 1000 * (time.process_time() - begun) / len(sizes)
    return {"cpu_ms": round(milliseconds, 1), "mbit_s": round(8 * 25 * float(np.mean(sizes)) / 1e6, 2)}


def main(_):
    from aiortc.codecs.h264 import H264Encoder
    from aiortc.codecs.vpx import Vp8Encoder

    shown, size = pictures(), _SIZE.value
    encoders = {"jpeg": jpeg(), "aiortc_vp8": of_aiortc(Vp8Encoder()), "aiortc_h264": of_aiortc(H264Encoder())}
    encoders["x264_ultrafast"] = x264(size)
    print(json.dumps({name: cost(encode, shown) for name, encode in encoders.items()}, indent=1))


if __name__ == "__main__":
    app.run(main)
