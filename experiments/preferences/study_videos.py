"""Videos of a preference study: two models on the same clips of users, each beside its user."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import afjax
from afjax import files
from afjax.errors import InputError
from afjax.media.video import probe
from afjax.metrics import preference_votes
from experiments import cli
from experiments.talk.stream import stream

NOTE = "The avatar is on the right of each video. It listens and says nothing."
"""What participants read about these videos."""

QUESTIONS = tuple(asked for asked in preference_votes.QUESTIONS if asked != "verbal_alignment")
"""What they are asked: nothing about words of an avatar that is silent."""


def render(models: Sequence[str], clips: Sequence[str], out: Path, portrait: str = "") -> tuple[list[Path], list[str]]:
    """Folders of two models' videos, named by the clips, in the folder `out`, which is made whole or not at all.

    A clip has the same noise in both. The user's picture and voice are the clip's; the avatar is silent.

    Args:
      models: run folders, model folders, or names of models that ship.
      clips: files of users' videos.
      portrait: file of the avatar's picture; by default that of `experiments.stream`.

    Returns the folders, and what was found odd in clips and portrait. Raises InputError for models that are the same or
    can't be loaded, clips of one name or none, and an `out` that exists.
    """
    names = [Path(clip).stem for clip in clips]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError("two clips have this name", f"--user_video {twice[0]}", "rename one")
    if out.exists():
        do = "name its folders by --a and --b, without --user_video, or delete it"
        raise InputError("these videos exist already", out, do)
    for clip in clips:
        probe(files.absolute(clip))
    if len({afjax.load(model).folder.resolve() for model in models}) == 1:
        raise InputError("--a and --b are the same model", models[0])
    folders = [f"{side}_{Path(model).name}" for side, model in zip("ab", models, strict=True)]
    remarks = []
    with files.folder_aside(out) as aside, cli.Progress(2 * len(clips), "render", "videos") as progress:
        for folder, model in zip(folders, models, strict=True):
            for number, (name, clip) in enumerate(zip(names, clips, strict=True)):
                video = aside / folder / f"{name}.mp4"
                found = stream(model, video, portrait, clip, seed=number, side_by_side=True)
                remarks += [f"{name}: {remark}" for remark in (*found["notes"], *found["warnings"])]
                progress.update()
            (aside / folder / "summary.json").unlink()
    return [out / folder for folder in folders], list(dict.fromkeys(remarks))
