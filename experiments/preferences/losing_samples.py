"""Losing samples: what a model makes of conversations without their users, or with them as a control."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from afjax import digests, files
from afjax.avatar.avatar import Avatar
from afjax.avatar.features import require_same
from afjax.config import to_dict
from afjax.errors import InputError
from afjax.metrics import groups
from afjax.normalizer import Normalizer
from data_pipeline import preferences
from data_pipeline.records import read_metadata, read_split
from data_pipeline.schema import Conversation
from experiments import cli
from experiments.runs import divided
from experiments.runs.data import check_codec, check_fits, people_of

CONDITION_SET = {"dropped": "avatar", "unseen": "avatar_and_user_audio", "partner": "joint", "kept": "joint"}


def make_preferences(
    run: Avatar, data: Path, out: Path, users: Sequence[str] = ("dropped",), per_clip: int = 2, seed: int = 0
) -> dict:
    """Writes losing motions for every training conversation in `data`, `per_clip` of each of `users`.

    `users` are names of CONDITION_SET: what is done to the user. Samples of several have the same noise and differ in
    what was done alone. Returns the summary.
    """
    metadata = read_metadata(data)
    check_fits(run.config, len(metadata.channels), metadata.feature_dim, data)
    check_codec(run, metadata, data)
    require_same(run.features, metadata.features, data)
    watch = cli.Watch()
    preferences.begin(out, provenance(run, metadata.normalizer, users, per_clip, seed))
    clips = list(read_split(data, "train"))
    watched = {user: strangers(clips, data) if user == "partner" else clips for user in users}
    missing = preferences.missing(out, len(clips))
    gaps = {first: range(first, min(first + preferences.PART, len(clips))) for first in missing}
    total = sum(map(len, gaps.values()))
    with watch("generate"), cli.Progress(total, "losing samples", "conversations") as progress:
        for first, chosen in gaps.items():
            made = [
                losing(run, clips, watched[user], chosen, user, (seed, first, k))
                for user in users
                for k in range(per_clip)
            ]
            preferences.write_part(out, first, np.stack(made, axis=1))
            progress.update(len(chosen))
    summary = {
        "out": out, "conversations": len(clips), "per_clip": per_clip, "user": _joined(users), "seconds": watch.seconds
    }  # fmt: skip
    files.write_json(out / "summary.json", summary)
    return summary


def strangers(clips: list[Conversation], data: Path) -> list[Conversation]:
    """Another conversation for each, of a user who takes no part in it."""
    partner = groups.partners(people_of(clips))
    if partner is None:
        raise InputError("a conversation has no other one's user to be shown", data, "take --user dropped")
    return [clips[index] for index in partner]


def losing(run: Avatar, clips: list, watched: list, chosen: range, user: str, seed: tuple[int, ...]) -> np.ndarray:
    """Motions `[n, t, d]` of the chosen conversations, of one length, with the users of those `watched`, if any."""
    watched = [watched[index] for index in chosen]
    frames = {clip.frames for clip in [*watched, *(clips[index] for index in chosen)]}
    if len(frames) > 1:
        raise InputError("the training conversations are not all of one length", do="build them with one --seconds")
    tracks = (
        [clips[index].avatar_features for index in chosen],
        [clip.user_features for clip in watched],
        [clip.user_motion for clip in watched],
    )
    number = int(np.random.SeedSequence(seed).generate_state(1)[0] >> 1)
    rest = np.stack([clips[index].rest for index in chosen])
    stacked = (np.stack(track).astype(np.float32) for track in tracks)
    return divided.clips(run.generator, *stacked, rest, number, CONDITION_SET[user])


def provenance(run: Avatar, normalizer: Normalizer, users: Sequence[str], per_clip: int, seed: int) -> dict:
    """All that decides the samples: equal provenance means equal samples."""
    return {
        "model": run.config.name,
        "step": run.step,
        "weights_sha256": digests.of_params(run.generator.params),
        "sampler": to_dict(run.config.sampler),
        "user": _joined(users),
        "per_clip": per_clip,
        "seed": seed,
        "statistics_sha256": normalizer.to_json()["sha256"],
        "motion_sha256": preferences.motion_sha256(normalizer),
    }


def _joined(users: Sequence[str]) -> str:
    return ", ".join(users)
