"""Videos of a model's answers, of the recorded avatars and of their users; a stopped rendering goes on.

    OUT/rendered.json                their origin: model, data, seed, size
    OUT/portraits/NAME.png           whom a clip shows
    OUT/videos/ROW/NAME.mp4          ROW: user, recorded, model, ...; each with its own voice

Clips go through the generator in batches. A video is whole or absent, and is not made again. A clip's motion does not
depend on the batch, so that a stopped rendering goes on to the same videos.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from afjax import files
from afjax.audio.framing import FPS, RATE
from afjax.avatar.avatar import Avatar
from afjax.codec.base import Codec
from afjax.codec.face.channels import CHANNELS
from afjax.errors import InputError
from data_pipeline.schema import Conversation
from data_pipeline.simulate.portrait.animate import moving_person
from experiments import cli
from experiments.evaluation import eval_set
from experiments.runs.data import people_of

__all__ = ["Videos", "begun", "clip_name", "painted", "render", "render_held_out", "write_picture", "write_video"]

BATCH = 8
"""Clips that are generated at once."""
PART = 50
"""Frames that are rendered at once, whole blocks of the latent codec."""
FIRST = 2_000_000_000
"""First seed of drawn people; codecs are trained on people of smaller seeds."""
RECORD = "rendered.json"


@dataclass
class Videos:
    """Finished videos by row and name; a folder of `portraits` by name; `people`, avatar and user, by name."""

    rows: dict[str, dict[str, Path]]
    portraits: Path | None
    people: dict[str, tuple[str, str]]
    notes: list[str] = field(default_factory=list)


def begun(out: Path, made_of: Mapping[str, object]):
    """Notes the origin of the videos in `out`. Raises InputError if it holds others."""
    known = read_record(out)
    wanted = {name: str(value) for name, value in made_of.items()}
    if known is not None:
        other = [name for name in {*known, *wanted} if known.get(name) != wanted.get(name)]
        if other:
            name = min(other)
            what = f"its videos are of another {name} ({known.get(name)}, not {wanted.get(name)})"
            raise InputError(what, out, "choose another --out, or delete its videos and rendered.json")
    files.write_json(out / RECORD, wanted)


def render_held_out(
    run: Avatar,
    clips: Sequence[Conversation],
    out: Path,
    others: Mapping[str, Avatar] | None = None,
    portraits: Mapping[str, np.ndarray] | None = None,
    size: int = 0,
) -> Videos:
    """Renders held-out conversations.

    Args:
      run: the model, row `model`; its codec shows everybody.
      clips: the conversations, which hold sound.
      out: where the folders of the module's head are made.
      others: further rows by name: models of the same codec, without the user (`talking_only`).
      portraits: pictures uint8 `[h, w, 3]` by name, for recordings whose own pictures are already in
        `OUT/videos/recorded` and `user`; None: people are drawn, and recorded motion is rendered like the model's.
      size: side of the pictures; 0: the codec's own.
    """
    if any(clip.avatar_wave is None or clip.user_wave is None for clip in clips):
        raise InputError("the held-out conversations hold no sound", do="build the data again")
    codec, names = run.codec(size), [clip_name(n) for n in range(len(clips))]
    makers = {"model": _Maker(run, "joint")} | {row: _Maker(other, "avatar") for row, other in (others or {}).items()}
    if portraits is None:
        makers |= {"recorded": _recorded, "user": _user}
    folders = {row: out / "videos" / row for row in dict.fromkeys(("user", "recorded", *makers))}
    kept = [n for n, name in enumerate(names) if portraits is None or name in portraits]
    with cli.Progress(len(kept) * len(makers), "render", "videos") as progress:
        for start in range(0, len(clips), BATCH):
            span = range(start, min(start + BATCH, len(clips)))
            missing = {
                row: [n for n in span if n in kept and not _video(folders[row], names[n]).is_file()] for row in makers
            }
            shown = {}
            for n in sorted({n for numbers in missing.values() for n in numbers}):
                picture = painted(codec, n) if portraits is None else portraits[names[n]]
                shown[n] = codec.identity(picture)
                if portraits is None:
                    write_picture(out / "portraits" / f"{names[n]}.png", picture)
            for row, numbers in missing.items():
                batch = _Batch(codec, clips, span, shown)
                for n in numbers:
                    motion, identity, wave = makers[row](batch, n)
                    render(_video(folders[row], names[n]), codec, identity, motion, wave)
            progress.update(sum(n in kept for n in span) * len(makers))
    notes = []
    if portraits is None:
        notes.append("no recordings given: people are drawn, and `recorded` is recorded motion as the codec renders it")
    elif len(kept) < len(names):
        notes.append(f"{len(names) - len(kept)} of {len(names)} clips are left out: no portrait of them can be used")
    people = {names[n]: tuple(map(str, people_of(clips)[n])) for n in kept}
    rows = {row: {name: _video(folder, name) for name in people} for row, folder in folders.items()}
    return Videos(rows, out / "portraits", people, notes)


@dataclass(frozen=True)
class _Batch:
    """Clips that are generated together: numbers `span` of `clips`; `shown`: identities of the needed ones."""

    codec: Codec
    clips: Sequence[Conversation]
    span: range
    shown: Mapping[int, Any]


class _Maker:
    """The motion of a model, one batch at a time."""

    def __init__(self, run: Avatar, condition_set: str):
        self._run, self._keep, self._made = run, condition_set, (range(0), None)

    def __call__(self, batch: _Batch, n: int):
        if self._made[0] != batch.span:
            rest = np.zeros((len(batch.span), len(batch.codec.channels)), np.float32)
            for number, identity in batch.shown.items():
                rest[number - batch.span.start] = batch.codec.reference_motion(identity)
            part = batch.clips[batch.span.start : batch.span.stop]
            kept = {"model": self._keep}
            made = eval_set.generate(self._run, part, kept=kept, first=batch.span.start, reference_motion=rest)
            self._made = batch.span, made["model"]
        return self._made[1][n - batch.span.start], batch.shown[n], batch.clips[n].avatar_wave


def _recorded(batch: _Batch, n: int):
    """Recorded motion on the clip's portrait, relative to whose face it was."""
    clip, identity = batch.clips[n], batch.shown[n]
    return clip.avatar_motion - clip.rest + batch.codec.reference_motion(identity), identity, clip.avatar_wave


def _user(batch: _Batch, n: int):
    """The user's motion on a drawn person. A user's rest is not recorded: latents are taken about their mean."""
    clip, identity = batch.clips[n], batch.codec.identity(painted(batch.codec, len(batch.clips) + n))
    motion = clip.user_motion
    if np.ndim(rest := batch.codec.reference_motion(identity)):
        motion = motion - motion.mean(axis=0) + rest
    return motion, identity, clip.user_wave


def clip_name(number: int) -> str:
    """Name of a held-out conversation, by its number in the split."""
    return f"eval-{number:05d}"


def painted(codec: Codec, number: int) -> np.ndarray:
    """Portrait of a drawn person, drawn as in the latent codec's training."""
    return moving_person(FIRST + number, np.zeros((1, len(CHANNELS)), np.float32), codec.size)[0]


def _video(folder: Path, name: str) -> Path:
    return folder / f"{name}.mp4"


def render(path: Path, codec: Codec, identity, motion: np.ndarray, wave: np.ndarray):
    """Writes the video of a face under motion `[t, d]`, PART frames at a time, with sound int16 `[s]` at 16 kHz."""
    parts = (codec.render(identity, motion[start : start + PART]) for start in range(0, len(motion), PART))
    write_video(path, parts, wave.astype(np.float32) / 32768)


def write_video(path: Path, parts: Iterable[np.ndarray], wave: np.ndarray):
    """Writes parts of pictures uint8 `[n, s, s, 3]` and sound float32 `[s]` at 16 kHz as a video."""
    import soxr

    from afjax.media.writer import SOUND_RATE, VideoWriter

    sound, writer, at = soxr.resample(wave, RATE, SOUND_RATE), None, 0
    with contextlib.ExitStack() as stack:
        for part in parts:
            if writer is None:
                writer = stack.enter_context(VideoWriter(path, part.shape[2], part.shape[1]))
            writer.frames(part)
            writer.sound(sound[at : at + len(part) * SOUND_RATE // FPS])
            at += len(part) * SOUND_RATE // FPS


def write_picture(path: Path, picture: np.ndarray):
    """Writes a PNG, whole or not at all."""
    from PIL import Image

    with files.aside(path) as partial:
        Image.fromarray(picture).save(partial)


def read_record(out: Path) -> dict[str, str] | None:
    try:
        return json.loads((out / RECORD).read_text())
    except (OSError, ValueError):
        return None
