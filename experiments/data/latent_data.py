"""Simulated conversations, acted out by drawn people, as motion of the latent codec."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from afjax import files
from afjax.codec.face.channels import CHANNELS
from afjax.codec.face.track.portraits import portrait_face
from afjax.codec.latent.codec import LatentCodec
from afjax.codec.latent.crop import box_of, square_of
from afjax.errors import InputError
from afjax.files import folder_aside
from data_pipeline.records import SPLITS, Moments, read_metadata, read_split, write_metadata, write_split
from data_pipeline.schema import Conversation, encode
from data_pipeline.simulate.portrait.animate import moving_person
from experiments import cli

PEOPLE = 1_000_000_000
"""First seed of the people; codecs are trained on people of smaller seeds."""


def latent_data(data: Path, codec: LatentCodec, out: str | Path) -> dict:
    """Writes the data set `out`. Returns its summary, which is also written into it."""
    started = time.monotonic()
    metadata = read_metadata(data)
    if metadata.channels != CHANNELS:
        raise InputError("its motion is not the face codec's", data, "give simulated conversations")
    moments, total = Moments(), sum(split["count"] for split in metadata.splits.values())
    with (
        folder_aside(files.writable(out, folder=True)) as folder,
        cli.Progress(total, "act", "conversations") as progress,
    ):

        def records(split: str) -> Iterator[bytes]:
            for n, clip in enumerate(read_split(data, split)):
                acted = act(clip, codec, PEOPLE + 4 * n + 2 * SPLITS.index(split))
                if split == "train":
                    moments.add(acted.avatar_motion)
                progress.update()
                yield encode(acted)

        for split in metadata.splits:
            write_split(folder, split, records(split))
        mean, std = moments.result()
        normalizer = replace(metadata.normalizer, motion_mean=mean, motion_std=std)
        write_metadata(folder, replace(metadata, channels=codec.channels, normalizer=normalizer))
        summary = {
            "out": files.absolute(out),
            "conversations": total,
            "channels": len(codec.channels),
            "seconds": round(time.monotonic() - started, 1),
        }
        files.write_json(folder / "summary.json", summary)
    return summary


def act(clip: Conversation, codec: LatentCodec, person: int) -> Conversation:
    """A conversation acted out by two people: seed `person` is the avatar's, the next one the user's."""
    avatar, user = (
        _latents(motion, codec, person + n) for n, motion in enumerate((clip.avatar_motion, clip.user_motion))
    )
    rests = {"avatar_reference": avatar[0], "user_reference": user[0]}
    return replace(clip, avatar_motion=avatar[1:], user_motion=user[1:], avatar_oracle=None, **rests)


def _latents(motion: np.ndarray, codec: LatentCodec, person: int) -> np.ndarray:
    """Motion latents `[1 + t, dim]` of a person at rest and then under motion `[t, 15]`."""
    frames = moving_person(person, np.concatenate([np.zeros_like(motion[:1]), motion]), codec.size)
    mesh = portrait_face(frames[0]).landmarks.mesh
    square = square_of(box_of(mesh)[None], *frames.shape[1:3], codec.config.margin)
    return np.stack([codec.read(frame, square) for frame in frames])
