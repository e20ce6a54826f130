"""DualTalk: FLAME coefficients and voices of two people, no pictures; from its files to records.

    python -m data_pipeline.sets.dualtalk --root FOLDER --out records

    {train,test,ood}/NAME_speaker1.{npz,wav}, NAME_speaker2.{npz,wav}    exp [T, E], pose [T, 6] at 25 fps

`test` becomes eval, `ood` is left out. A conversation is cut into clips of `--seconds`. Speaker 1 is the avatar;
`data.swap` exchanges the roles. Motion has the channels exp_00, exp_01, ..., pose_0 .. pose_5, zero for the neutral
face; no codec of afjax draws them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from afjax import files
from afjax.audio.envelope import speaking
from afjax.audio.feature_extractors import described
from afjax.audio.framing import FPS, FRAME
from afjax.errors import InputError
from afjax.media.audio import read_audio
from afjax.normalizer import Normalizer
from data_pipeline.records import EXTRACTOR, Metadata, Moments, write_metadata, write_split
from data_pipeline.schema import Conversation, encode
from data_pipeline.sets import program
from data_pipeline.sets.table import Skipped, usable

LICENCE = "Apache-2.0"
SPLITS = {"train": "train", "eval": "test"}
POSE = 6
_MAX_FRAMES = 1 << 20


@dataclass
class _Set:
    """What all clips of a set share, and counts while they pass."""

    length: int
    skip: Skipped
    width: int = 0
    number: int = 0
    conversations: set[str] = field(default_factory=set)
    moments: tuple[Moments, Moments] = field(default_factory=lambda: (Moments(), Moments()))


def build(root: Path, out: str | Path, seconds: float = 8.0) -> dict:
    """Writes the records of a folder -> clips by split, and what was left out. Raises InputError without any clip."""
    made, counts = _Set(round(seconds * FPS), Skipped()), {}
    for folder in sorted(path.name for path in root.iterdir() if path.is_dir() and path.name not in SPLITS.values()):
        made.skip(folder, "it is neither train nor test")
    with files.folder_aside(out) as aside:
        for split, folder in SPLITS.items():
            first = made.number
            count = write_split(aside, split, map(encode, _clips(root / folder, split, made)))
            counts[split] = {"count": count, "frames": made.length, "seed": first}
        if not counts["train"]["count"]:
            reason = made.skip.lines[-1] if made.skip.lines else ("train", "it is empty")
            raise InputError(f"no clip to train on; {reason[0]}: {reason[1]}", root)
        names = [f"exp_{n:02d}" for n in range(made.width - POSE)] + [f"pose_{n}" for n in range(POSE)]
        normalizer = Normalizer(*made.moments[0].result(), *made.moments[1].result())
        sets = {"DualTalk": {"licences": [LICENCE], "conversations": len(made.conversations), "clips": made.number}}
        write_metadata(aside, Metadata(tuple(names), described(EXTRACTOR), FPS, counts, normalizer, sets))
    return {"clips": {split: each["count"] for split, each in counts.items()}, "skipped": made.skip}


def _clips(folder: Path, split: str, made: _Set) -> Iterator[Conversation]:
    names = {path.name.rpartition("_speaker")[0] for path in folder.glob("*_speaker[12].npz")}
    for name in sorted(names):
        parts = [folder / f"{name}_speaker{n}{kind}" for n in (1, 2) for kind in (".npz", ".wav")]
        if not usable(parts, made.skip, name):
            continue
        try:
            motions = [_motion(path) for path in parts[::2]]
            waves = [read_audio(path) for path in parts[1::2]]
        except InputError as error:
            made.skip(name, str(error))
            continue
        made.width = made.width or motions[0].shape[1]
        if any(motion.shape[1] != made.width for motion in motions):
            made.skip(name, f"{[motion.shape[1] for motion in motions]} numbers a frame, others have {made.width}")
            continue
        frames = min(*map(len, motions), *(len(wave) // FRAME for wave in waves))
        if frames < made.length:
            made.skip(name, f"{frames / FPS:.1f} s are shorter than a clip")
            continue
        spoken = [speaking(wave, len(wave) // FRAME) for wave in waves]
        for start in range(0, frames - made.length + 1, made.length):
            clip = _clip(name, start, made, motions, waves, spoken)
            if split == "train":
                made.moments[0].add(clip.avatar_motion)
                made.moments[1].add(clip.avatar_features)
                made.moments[1].add(clip.user_features)
            made.number += 1
            made.conversations.add(name)
            yield clip


def _clip(name: str, start: int, made: _Set, motions, waves, spoken) -> Conversation:
    span, tracks, none = slice(start, start + made.length), {}, np.zeros(0, np.int32)
    for role, motion, wave, speaks in zip(("avatar", "user"), motions, waves, spoken, strict=True):
        sound = wave[span.start * FRAME : span.stop * FRAME]
        tracks[f"{role}_motion"] = motion[span]
        tracks[f"{role}_features"] = EXTRACTOR.clip(sound, made.length).astype(np.float16)
        tracks[f"{role}_speaking"] = speaks[span]
        tracks[f"{role}_wave"] = np.round(32767 * sound.clip(-1, 1)).astype(np.int16)
    events = {"event_kind": none, "event_frame": none, "event_responded": none.astype(bool), "event_response": none}
    people = {f"{role}_voice": f"dualtalk_{name}_{n}" for n, role in enumerate(("avatar", "user"), 1)}
    return Conversation(**tracks, **events, seed=made.number, **people)


def _motion(path: Path) -> np.ndarray:
    """Motion float32 `[t, e + 6]` of a file. Raises InputError for what is no file of coefficients."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            parts = [np.asarray(stored[name], np.float32) for name in ("exp", "pose")]
    except Exception as error:  # numpy and zipfile raise a dozen kinds for broken files
        raise InputError(f"exp and pose can't be read ({type(error).__name__})", path) from None
    expression, pose = (part.reshape(len(part), -1) if part.ndim else part[None, None] for part in parts)
    if len(expression) != len(pose) or pose.shape[1] != POSE or not 0 < len(pose) <= _MAX_FRAMES:
        raise InputError(f"exp is {list(expression.shape)}, pose {list(pose.shape)}", path)
    motion = np.concatenate([expression, pose], axis=1)
    if not np.isfinite(motion).all():
        raise InputError("it has numbers that are not finite", path)
    return motion


def main(root: Path, out: str, seconds: str):
    try:
        length = float(seconds)
    except ValueError:
        length = 0.0
    if not 1 <= length <= 120:
        raise InputError(f"--seconds is {seconds!r}", do="a number from 1 to 120")
    summary = build(root, out, length)
    for split, count in summary["clips"].items():
        print(f"{split:10}{count:>8} clips")
    for name, reason in summary["skipped"].lines:
        print(f"left out  {name}: {reason}")


if __name__ == "__main__":
    program.start(main, "DualTalk", "records", seconds=("8", "Length of a clip."))
