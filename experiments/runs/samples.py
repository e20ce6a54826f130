"""Motion and videos that a training writes as it goes."""

import importlib.util
from pathlib import Path

import numpy as np

from afjax import files
from afjax.audio.framing import FPS
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config
from afjax.streaming.generator import Generator, generation_config
from data_pipeline.records import Metadata, read_split
from experiments.report.conversation_video import write_conversation
from experiments.runs.tensorboard_samples import show

MEDIA = ("av", "soxr", "PIL", "ai_edge_litert", "matplotlib")


class SampleWriter:
    """Writes generated motion of a few held-out clips as it goes, and the first seconds of one of them as a video.

    `board`: folder of TensorBoard events that get the video as well.
    """

    def __init__(self, config: Config, folder: Path, metadata: Metadata, out: Path, board: Path | None, clips: int = 4):
        self._clips = [clip for clip, _ in zip(read_split(folder, "eval"), range(clips), strict=False)]
        self._generator = Generator(generation_config(config), None, metadata.normalizer)
        self._out, self._board = out, board
        missing = [package for package in MEDIA if importlib.util.find_spec(package) is None]
        silent = not self._clips or self._clips[0].avatar_features is None or metadata.channels != CHANNELS
        self._frames = 0 if missing or silent else round(config.training.sample_seconds * FPS)
        if missing:
            print(f"samples without videos: {', '.join(missing)} not installed")

    def __call__(self, step: int, params):
        video, made = self._out / f"{step:07d}.mp4", self._out / f"{step:07d}.npz"
        if not self._clips or (video if self._frames else made).exists():  # a run that has ended, started again
            return
        avatar_features, user_features, user, recorded = (
            np.stack([getattr(clip, name) for clip in self._clips]).astype(np.float32)
            for name in ("avatar_features", "user_features", "user_motion", "avatar_motion")
        )
        self._generator.params = params
        rest = np.stack([clip.rest for clip in self._clips])
        motion = self._generator.clips(avatar_features, user_features, user, reference_motion=rest)
        with files.aside(made) as path:
            np.savez(path, motion=motion, recorded=recorded, user=user)
        if self._frames:
            write_conversation(video, self._clips[0], motion[0, : self._frames], size=128)
            if self._board:
                show(self._board, step, video)
