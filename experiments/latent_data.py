"""Simulated conversations as motion of the latent codec: drawn people act them out, the codec reads their pictures.

    python -m data_pipeline.build --out out/data --train 16 --eval 4 --seconds 8
    python -m experiments.latent_data --data out/data --codec out/ae --out out/latent_data
    python -m experiments.train --config experiments/configs/quickstart.py --workdir out/latent \\
        --config.model.motion_dim=128 --config.data.path=out/latent_data --config.data.codec=out/ae
    python -m experiments.stream --workdir out/latent --portrait face.png --avatar_audio voice.wav --out talk.mp4

`--codec` is a run folder of `experiments.train_autoencoder`, `motion_dim` its `codec.dim`. Every conversation has an
avatar and a user of its own, none of whom the codec was trained on. Motion is absolute; `avatar_reference` is the
avatar's portrait. Sound, features and events are taken over, the oracle is not.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from absl import flags

from afjax.codec.face.channels import CHANNELS
from afjax.codec.latent.codec import LatentCodec
from afjax.codec.latent.crop import portrait_square
from afjax.errors import InputError
from data_pipeline.records import (
    SPLITS,
    Moments,
    Statistics,
    folder_aside,
    read_metadata,
    read_split,
    write_metadata,
    write_split,
)
from data_pipeline.schema import Conversation, encode
from data_pipeline.simulate.people import moving_person
from experiments import cli
from experiments.autoencoder_run import load_autoencoder

PEOPLE = 1_000_000_000
"""Seeds of the people start here: no codec is trained on so many others."""


def latent_data(data: Path, codec: LatentCodec, out: str | Path) -> dict:
    """Writes the data set `out`; -> its summary, which is also written into it."""
    started = time.monotonic()
    metadata = read_metadata(data)
    if metadata.channels != CHANNELS:
        raise InputError("its motion is not the face codec's", data, "give simulated conversations")
    moments, total = Moments(), sum(split["count"] for split in metadata.splits.values())
    with (
        folder_aside(cli.writable(out, folder=True)) as folder,
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
        old = metadata.statistics
        write_metadata(
            folder,
            replace(metadata, channels=codec.channels, statistics=Statistics(mean, std, old.audio_mean, old.audio_std)),
        )
        summary = {
            "out": cli.absolute(out),
            "conversations": total,
            "channels": len(codec.channels),
            "seconds": round(time.monotonic() - started, 1),
        }
        cli.write_json(folder / "summary.json", summary)
    return summary


def act(clip: Conversation, codec: LatentCodec, person: int) -> Conversation:
    """A conversation acted out by the people of two seeds, `person` the avatar's and the next one the user's."""
    avatar, user = (
        _latents(motion, codec, person + n) for n, motion in enumerate((clip.avatar_motion, clip.user_motion))
    )
    return replace(clip, avatar_motion=avatar[1:], user_motion=user[1:], avatar_reference=avatar[0], avatar_oracle=None)


def _latents(motion: np.ndarray, codec: LatentCodec, person: int) -> np.ndarray:
    """Motion latents `[1 + T, dim]` of a person at rest and then under motion `[T, 15]`."""
    frames = moving_person(person, np.concatenate([np.zeros_like(motion[:1]), motion]), codec.size)
    square = portrait_square(frames[0], codec.config.margin)
    return np.stack([codec.read(frame, square) for frame in frames])


def main():
    if not (_DATA.value and _CODEC.value and _OUT.value):
        raise InputError("--data, --codec and --out are all needed", do="--help says what they are")
    summary = latent_data(cli.absolute(_DATA.value), load_autoencoder(_CODEC.value), _OUT.value)
    cli.print_table(list(summary.items()))


if __name__ == "__main__":
    _DATA = flags.DEFINE_string("data", "", "Folder of simulated conversations.")
    _CODEC = flags.DEFINE_string("codec", "", "Run folder of a trained latent codec.")
    _OUT = flags.DEFINE_string("out", "", "Folder to make.")
    cli.run(main)
