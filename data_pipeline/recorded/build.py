"""A data set from a table of recorded conversations.

    OUT/clips/NAME/            the work on each conversation (`prepare`); may be deleted when the set is done
    OUT/clips.csv              a line for every clip and every conversation that was set aside: kept or not, and why
    OUT/report.html            the same to look at, with contact sheets
    OUT/train-*.safetensors, eval-*.safetensors, metadata.json, summary.json    the data set (`data_pipeline.records`)

A build that was stopped goes on where it was, and one whose table has grown makes what is missing. `metadata.json`,
without which there is no data set, is removed when all clips are there and comes back when all records are.
"""

import csv
import io
import json
import multiprocessing
import os
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

from afjax import digests, files
from afjax.audio.feature_extractors import described
from afjax.audio.framing import FPS
from afjax.codec.face.track.models import load_model
from afjax.errors import InputError, InputWarning
from afjax.media.container import optional
from afjax.normalizer import Normalizer
from data_pipeline.recorded import page
from data_pipeline.recorded.clip import is_run, load_codec
from data_pipeline.recorded.pairs import ROLES, Pair, read_pairs
from data_pipeline.recorded.prepare import lines, prepare
from data_pipeline.records import EXTRACTOR, METADATA, SPLITS, Metadata, Moments, write_metadata, write_split
from data_pipeline.schema import Conversation, decode, encode

WORK = "clips"
COLUMNS = (
    "conversation", "clip", "split", "record", "kept", "reason", "start_seconds", "seconds",
    *(f"{role}_{what}" for role in ROLES for what in ("person", "face", "speaks", "sync")),
)  # fmt: skip


def build(table: str | Path, out: str | Path, seconds: float, workers: int = 2, latent: str = "") -> dict:
    """Builds a data set of clips of `seconds`; -> its summary, which is also written to `summary.json`.

    `latent`: the folder of a latent codec (`data_pipeline.recorded.clip.load_codec`), for motion of it in place of
    the `face` codec's.

    Raises InputError for a faulty table, if `out` holds other things, or if no clip is left to train on. Conversations
    and clips with faults are set aside.
    """
    started = time.monotonic()
    pairs = read_pairs(table)
    for package in ("av", "soxr"):
        optional(package)
    optional("PIL.Image", "pillow")
    channels, out = load_codec(latent).channels, _folder(Path(out).expanduser().absolute())
    length, results = round(seconds * FPS), {}
    for pair, result in _prepared(pairs, out / WORK, length, workers, latent):
        results[pair.name] = result
        said = f"set aside, {result['reason']}" if result["reason"] else "done"
        print(f"{pair.name}: {said} ({len(results)}/{len(pairs)} conversations)", flush=True)
        for sentence in _said(pair, result):
            warnings.warn(sentence, InputWarning, stacklevel=2)
    rows = [row for pair in pairs for row in _rows(pair, out / WORK / pair.name, results[pair.name], length)]
    for split in SPLITS:
        for number, row in enumerate(_kept(rows, split)):
            row["record"] = number
    (out / METADATA).unlink(missing_ok=True)
    _write(out / "clips.csv", _csv(rows))
    summary = {"out": str(out), "seconds": round(time.monotonic() - started, 1), "codec": _name(latent)}
    summary |= _counts(pairs, rows, results)
    summary["warnings"] = [said for pair in pairs for said in _said(pair, results[pair.name])]
    _write(out / "report.html", page.page(summary, pairs, rows, results, out / WORK))
    if not _kept(rows, "train"):
        raise InputError("no clip is left to train on", out / "clips.csv", "it says why each was set aside")
    _records(out, rows, channels, length)
    _write(out / "summary.json", json.dumps(summary, indent=1) + "\n")
    return summary


def _said(pair: Pair, result: dict) -> list[str]:
    """What was decided for the user about a conversation."""
    return [f"{pair.name}: {sentence}" for sentence in result.get("warnings", [])]


def _folder(out: Path) -> Path:
    """Makes the folder. Raises InputError if it can't be made or holds something else."""
    try:
        if out.exists() and not (out / WORK).is_dir() and (not out.is_dir() or any(out.iterdir())):
            raise InputError("it exists already and is no unfinished build", out, "choose another folder or delete it")
        (out / WORK).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't be written ({error.strerror})", out, "choose another folder") from None
    return out


def _name(latent: str) -> str:
    """Of the codec, with what tells one set of weights from another."""
    if not latent:
        return "face"
    if is_run(latent):
        return f"latent {load_codec(latent).sha256[:16]}"
    return f"latent {digests.of_file(Path(latent) / 'provenance.json')[:16]}"


def _prepared(pairs: Sequence[Pair], work: Path, length: int, workers: int, latent: str) -> Iterator[tuple[Pair, dict]]:
    """Every conversation's result, as they are finished by several processes."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(pairs)), context, _start, (latent,))
    try:
        jobs = {pool.submit(_job, pair, work / pair.name, length, _name(latent)): pair for pair in pairs}
        for job in as_completed(jobs):
            yield jobs[job], job.result()
    except BrokenProcessPool:
        do = "give --workers=1; what is finished is kept"
        raise InputError("a process died, perhaps for want of memory", work, do) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()


_codec = None


def _start(latent: str):
    """Of a process: loads the codec, is quiet on stderr, and ends when the one that started it does."""
    global _codec

    def follow():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    _codec = load_codec(latent)


def _job(pair: Pair, folder: Path, length: int, codec_name: str) -> dict:
    load_model("face_landmark")  # a missing package is no fault of the conversation
    return prepare(pair, folder, length, _codec, codec_name, lambda line: print(line, flush=True))


def _rows(pair: Pair, folder: Path, result: dict, length: int) -> list[dict]:
    """Lines of the table: one a clip, or one for a conversation that has none."""
    shared = {"conversation": pair.name, "split": pair.split}
    shared |= {f"{role}_person": getattr(pair, role).person for role in ROLES}
    shared |= {f"{role}_sync": found["says"] for role, found in result["sync"].items()}
    rows = []
    for name, line in lines(folder):
        reason = line.pop("reason") or result["reason"]
        start = line.pop("start") / FPS
        span = {"start_seconds": start, "seconds": length / FPS}
        rows.append(shared | line | span | {"clip": name, "kept": not reason, "reason": reason})
    return rows or [shared | {"clip": "", "kept": False, "reason": result["reason"]}]


def _kept(rows: Sequence[dict], split: str) -> list[dict]:
    return [row for row in rows if row["kept"] and row["split"] == split]


def _csv(rows: Sequence[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "kept": int(row["kept"])} for row in rows)
    return text.getvalue()


def _counts(pairs: Sequence[Pair], rows: Sequence[dict], results: dict[str, dict]) -> dict:
    splits = {}
    for split in SPLITS:
        kept = _kept(rows, split)
        people = {row[f"{role}_person"] for row in kept for role in ROLES}
        minutes = sum(row["seconds"] for row in kept) / 60
        conversations = len({row["conversation"] for row in kept})
        splits[split] = {"conversations": conversations, "clips": len(kept), "minutes": minutes, "people": len(people)}
    aside = [row for row in rows if not row["kept"]]
    whole = sum(result["frames"] for result in results.values()) / FPS / 60
    return {"conversations": len(pairs), "minutes": whole, "splits": splits, "set_aside": len(aside)}


def _records(out: Path, rows: Sequence[dict], channels: Sequence[str], length: int):
    """Writes the kept clips as records, numbered through, with the statistics of the training split."""
    moments = {name: Moments() for name in ("motion", "audio")}
    splits, number = {}, 0

    def numbered(split: str):
        nonlocal number
        for row in _kept(rows, split):
            record = decode((out / WORK / row["conversation"] / f"{row['clip']}.npz").read_bytes())
            if split == "train":
                _add(moments, record)
            yield encode(replace(record, seed=number))
            number += 1

    for split in SPLITS:
        first = number
        splits[split] = {"count": write_split(out, split, numbered(split)), "frames": length, "seed": first}
    normalizer = Normalizer(*(array for moment in moments.values() for array in moment.result()))
    write_metadata(out, Metadata(tuple(channels), described(EXTRACTOR), FPS, splits, normalizer))


def _add(moments: dict[str, Moments], record: Conversation):
    moments["motion"].add(record.avatar_motion)
    moments["audio"].add(record.avatar_features)
    moments["audio"].add(record.user_features)


def _write(path: Path, text: str):
    with files.aside(path) as partial:
        partial.write_text(text, encoding="utf-8")
