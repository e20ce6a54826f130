"""Simulates a data set in several processes and writes it with its statistics."""

import json
import multiprocessing
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from afjax.audio.feature_extractors import described
from afjax.audio.framing import FPS
from afjax.codec.face.channels import CHANNELS
from afjax.errors import InputError
from afjax.files import folder_aside
from afjax.normalizer import Normalizer
from data_pipeline.records import EXTRACTOR, SPLITS, Metadata, Moments, write_metadata, write_split
from data_pipeline.schema import EVENT_KINDS, Conversation, decode, encode
from data_pipeline.simulate.conversation import simulate
from data_pipeline.simulate.speech.dialogue import STYLES, listening_style
from data_pipeline.simulate.speech.synthesis import Speaker

ORACLE = 1
_speaker: Speaker | None = None


def _start() -> None:
    global _speaker
    _speaker = Speaker()


def _job(job: tuple[int, str, dict]) -> bytes | InputError:
    seed, split, settings = job
    oracle = ORACLE if split == "eval" else None
    try:
        return encode(simulate(seed, split, _speaker, oracle=oracle, **settings))
    except InputError as error:
        return error


class _Tally:
    """Counts while records pass: statistics of the training split, events and shares of each split."""

    def __init__(self):
        self.moments = {name: Moments() for name in ("motion", "audio")}
        self.events = {split: Counter() for split in SPLITS}
        self.shares = {split: [] for split in SPLITS}

    def add(self, split: str, clip: Conversation) -> None:
        self.events[split].update(EVENT_KINDS[kind] for kind in clip.event_kind)
        self.shares[split].append(float((clip.user_speaking & ~clip.avatar_speaking).mean()))
        if split == "train":
            self.moments["motion"].add(clip.avatar_motion)
            self.moments["audio"].add(clip.avatar_features)
            self.moments["audio"].add(clip.user_features)

    def per_clip(self, split: str, count: int) -> dict[str, float]:
        return {kind: round(self.events[split][kind] / count, 2) for kind in EVENT_KINDS}

    def normalizer(self) -> Normalizer:
        return Normalizer(*(array for moments in self.moments.values() for array in moments.result()))


def build(
    out: str | Path,
    counts: dict[str, int],
    seconds: float,
    seed: int,
    workers: int = 2,
    slow_posture: float = 0.0,
    sound: bool = False,
    listening: float = 0.0,
) -> dict:
    """Simulates and writes a data set. Returns its summary, which is also written to `summary.json`.

    `slow_posture`: time constant in seconds of the walk of both heads (`simulate.behaviour.posture`), 0 = none.
    `sound`: whether training records keep it too. `listening`: share of the time for which the avatar listens in
    training, where it always listens in evaluation; 0: the styles of `simulate.speech.dialogue`.

    Raises InputError if `out` is taken or can't be written, or speech synthesis is missing.
    """
    started = time.monotonic()
    first = seed * 1_000_000
    tally = _Tally()
    context = multiprocessing.get_context("spawn")
    # the processes first: one that is still being started complains where its parent ends
    with context.Pool(workers, _start) as pool, folder_aside(Path(out)) as folder:
        total, done = sum(counts.values()), 0

        def records(split):
            nonlocal done
            settings = {"seconds": seconds, "slow_posture": slow_posture, "sound": sound}
            if listening:
                settings["style"] = STYLES["silent"] if split == "eval" else listening_style(listening)
            jobs = [(first + index, split, settings) for index in range(counts[split])]
            for record in pool.imap(_job, jobs, chunksize=2):
                if isinstance(record, InputError):
                    raise record
                tally.add(split, decode(record))
                done += 1
                _progress(done, total, started)
                yield record

        for split in counts:
            write_split(folder, split, records(split))
        frames = int(round(seconds * FPS))
        splits = {split: {"count": count, "frames": frames, "seed": first} for split, count in counts.items()}
        write_metadata(folder, Metadata(CHANNELS, described(EXTRACTOR), FPS, splits, tally.normalizer()))
        summary = {
            "out": str(Path(out).absolute()),
            "seconds": round(time.monotonic() - started, 1),
            "slow_posture": slow_posture,
            "listening": listening or None,
            "bytes": sum(file.stat().st_size for file in folder.iterdir()),
            "splits": {
                split: {
                    "conversations": count,
                    "listening": round(float(np.mean(tally.shares[split])), 4) if count else None,
                    "events_per_clip": tally.per_clip(split, max(count, 1)),
                }
                for split, count in counts.items()
            },
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=1))
    return summary


def _progress(done: int, total: int, started: float) -> None:
    spent = time.monotonic() - started
    line = f"simulated {done}/{total} conversations, {spent:.0f} s, {spent / done * (total - done):.0f} s to go"
    if sys.stdout.isatty():
        print(f"\r{line}  ", end="\n" if done == total else "", flush=True)
    elif done == total or done % 64 == 0:
        print(line, flush=True)
