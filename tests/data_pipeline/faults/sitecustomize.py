"""What tests put in place of networks and decoders, in every process that has this folder on its path.

Faces are found in the middle of every picture, motion is how bright it is. In a conversation whose avatar is named
`poison` the process is killed, in one of `fragile` for the first time; those of `slow...` wait. Processes note
themselves in the folder AFJAX_TEST_NOTES. A file of records is full at 1 MiB.
"""

import os
import signal
import sys
import time
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from pathlib import Path

NOTES = Path(os.environ.get("AFJAX_TEST_NOTES", "."))


class Faults(MetaPathFinder):
    """Changes `data_pipeline.recorded.attempts` once it has been imported."""

    def find_spec(self, name, path=None, target=None):
        if name != "data_pipeline.recorded.attempts":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        run = spec.loader.exec_module

        def changed(module):
            run(module)
            change(module)

        spec.loader.exec_module = changed
        return spec


def change(attempts):
    import numpy as np

    from afjax.codec.base import Encoded
    from afjax.codec.face.channels import CHANNELS, channel
    from afjax.codec.face.codec import FaceCodec
    from data_pipeline import shards
    from data_pipeline.recorded import shots

    shards.SHARD = 1 << 20  # several files of few records

    def survey(frames, *more):
        frames = list(frames)
        height, width = frames[0].shape[:2]
        box = (width / 2 - 40, height / 2 - 40, width / 2 + 40, height / 2 + 40)
        return shots.Survey(len(frames), height, width, (), {n: box for n in range(0, len(frames), shots.STRIDE)})

    def encode(self, frames, fps=25.0):
        pictures = np.stack([frame.mean(axis=(0, 1)) for frame in frames])
        motion = np.zeros((len(pictures), len(CHANNELS)), np.float32)
        motion[:, channel("jaw_open")] = pictures.mean(axis=1) / 2550
        return Encoded(motion, np.ones(len(pictures), bool), np.ones(len(pictures), np.float32))

    prepare = attempts.prepare

    def faulty(pair, folder, *more):
        (NOTES / f"{pair.name}.{os.getpid()}.{time.monotonic_ns()}").touch()
        person = pair.avatar.person
        if person.startswith("slow"):
            time.sleep(0.5)
        if person == "poison" or (person == "fragile" and len(list(NOTES.glob(f"{pair.name}.*"))) == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return prepare(pair, folder, *more)

    shots.survey, FaceCodec.encode, attempts.prepare = survey, encode, faulty


sys.meta_path.insert(0, Faults())
