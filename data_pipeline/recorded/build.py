"""A data set from a table of recorded conversations.

    OUT/attempts/              work in progress (`attempts`); gone when the set is done
    OUT/clips/NAME/            finished work of each conversation (`prepare`); may be deleted when the set is done
    OUT/clips.csv              one line per clip, and per conversation that was set aside: kept or not, and why
    OUT/clips.parquet          the same with the quality numbers of every clip (`table`), if pyarrow is installed
    OUT/report.html            the same to look at, with contact sheets and histograms
    OUT/cost.jsonl             processor time of each job, stage by stage (`metering`)
    OUT/train-*.safetensors, eval-*.safetensors, metadata.json, summary.json    the data set (`data_pipeline.records`)

A build that was stopped, in whatever way, goes on where it was. A build whose table has grown makes what is missing.
Files of records depend on the table and the recordings alone: not on who built them, in what order or how often. There
is no data set without `metadata.json`: it is removed when all clips are there, and written last of all.
"""

import json
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from afjax import digests, files
from afjax.audio.feature_extractors import described
from afjax.audio.framing import FPS
from afjax.codec.face.track.models import load_model
from afjax.errors import InputError, InputWarning
from afjax.media.container import optional
from afjax.normalizer import Normalizer
from data_pipeline.executors import Run, executor
from data_pipeline.recorded import costs, metering, page, sharding
from data_pipeline.recorded.attempts import TRIALS, WORK, attempt, forgive
from data_pipeline.recorded.clip import is_run, load_codec
from data_pipeline.recorded.options import Options
from data_pipeline.recorded.pairs import Pair, read_pairs
from data_pipeline.recorded.prepare import PLAIN, kept
from data_pipeline.recorded.tally import Tally, of_pair, said, tabulate
from data_pipeline.records import EXTRACTOR, METADATA, SPLITS, Metadata, write_metadata

__all__ = ["WORK", "build"]


def build(
    table: str | Path,
    out: str | Path,
    seconds: float,
    workers: int = 2,
    latent: str = "",
    engine: str = "local",
    address: str = "local",
    gpus: float = 0.0,
    options: Options = PLAIN,
) -> dict:
    """Builds a data set of clips of `seconds` seconds. Returns its summary, which is also written to `summary.json`.

    Args:
      latent: the folder of a latent codec (`data_pipeline.recorded.clip.load_codec`) whose motion takes the place of
        the `face` codec's.
      engine, workers, address, gpus: who does the work (`data_pipeline.executors`).
      options: further work.

    Raises InputError for a faulty table, a missing package, if `out` holds other things or is being built by another
    process, or if no clip is left to train on. Conversations and clips with faults are set aside.
    """
    started = time.monotonic()
    pairs = sorted(read_pairs(table, options.separator is not None), key=lambda pair: pair.name)
    for package in ("av", "soxr"):
        optional(package)
    optional("PIL.Image", "pillow")
    options.check()
    if engine == "ray" and latent:  # devices are the jobs'
        import jax

        jax.config.update("jax_platforms", "cpu")
    channels, out, length = (
        load_codec(latent).channels,
        _folder(Path(out).expanduser().absolute()),
        round(seconds * FPS),
    )
    with files.held(out), executor(engine, workers, address, gpus) as run:
        for left in out.glob(".*.partial*"):  # of a build that was killed
            left.unlink()
        forgive(out)
        results = dict(_prepared(run, pairs, out, length, latent, options))
        (out / METADATA).unlink(missing_ok=True)
        total = sum(each["kept"] for each in results.values())
        tally = tabulate(out / "clips.csv", pairs, out / WORK, length, total, options.identity)
        summary = {"out": str(out), "seconds": round(time.monotonic() - started, 1), "codec": _name(latent)}
        summary |= {"conversations": len(pairs), "splits": tally.splits(length), "set_aside": tally.set_aside}
        summary["minutes"] = sum(result["frames"] for result in results.values()) / FPS / 60
        summary["attempts"] = {name: each["attempts"] for name, each in results.items() if each["attempts"] > 1}
        summary["tools"] = options.said(sum(pair.mixed for pair in pairs))
        summary["warnings"] = said(pairs, results)
        _write(out / "report.html", page.page(summary, pairs, results, tally, out / WORK))
        if not tally.clips["train"]:
            raise InputError("no clip is left to train on", out / "clips.csv", "it says why each was set aside")
        _records(run, out, pairs, results, tally, channels, length, summary["tools"])
        shutil.rmtree(out / TRIALS, ignore_errors=True)
        _write(out / "summary.json", json.dumps(summary, indent=1) + "\n")
    return summary


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
    """Name of the codec, with what tells one set of weights from another."""
    if not latent:
        return "face"
    if is_run(latent):
        return f"latent {load_codec(latent).sha256[:16]}"
    return f"latent {digests.of_file(Path(latent) / 'provenance.json')[:16]}"


def _prepared(
    run: Run, pairs: Sequence[Pair], out: Path, length: int, latent: str, options: Options
) -> Iterator[tuple[str, dict]]:
    """Yields every conversation's result in short, as they finish."""
    named, name = {pair.name: pair for pair in pairs}, _name(latent)
    jobs = ((pair.name, (pair, out, length, latent, name, options)) for pair in pairs)
    for number, (conversation, result) in enumerate(run(_job, jobs), 1):
        outcome = f"set aside, {result['reason']}" if result["reason"] else "done"
        outcome += f", attempt {result['attempts']}" if result["attempts"] > 1 and not result["reason"] else ""
        print(f"{conversation}: {outcome} ({number}/{len(pairs)} conversations)", flush=True)
        for sentence in of_pair(named[conversation], result):
            warnings.warn(sentence, InputWarning, stacklevel=2)
        costs.note(out, conversation, result.pop("seconds"), result["frames"] / FPS, result["attempts"])
        yield conversation, result


def _job(pair: Pair, out: Path, length: int, latent: str, codec_name: str, options: Options) -> dict:
    """A conversation's result in short, for the summary and the report, and its processor `seconds`."""
    load_model("face_landmark")  # fails first: a missing package is no fault of the conversation
    codec = _codec(latent)
    with metering.metered() as seconds:
        found = attempt(pair, out, length, codec, codec_name, lambda line: print(line, flush=True), options)
    short = {name: found[name] for name in ("reason", "frames", "clips", "warnings", "attempts")}
    says = {role: check["says"] for role, check in found["sync"].items()}
    return short | {"says": says, "kept": len(kept(found)), "seconds": seconds}


def _record_job(shard: sharding.Shard, out: Path) -> tuple[dict, dict[str, float]]:
    """The note on a file of records, and processor seconds."""
    with metering.metered() as seconds:
        said = sharding.write(shard, out)
    return said, seconds


_codec = lru_cache(1)(load_codec)  # once per process


def _records(
    run: Run,
    out: Path,
    pairs: Sequence[Pair],
    results: Mapping,
    tally: Tally,
    channels: Sequence[str],
    length: int,
    tools: Mapping,
):
    """Writes the kept clips as records, numbered through; then metadata with the statistics of the training split."""
    each = sharding.records_of_a_file(out, next(pair.name for pair in pairs if results[pair.name]["kept"]))
    splits, plan, first = {}, [], 0
    for split in SPLITS:
        counts = [(pair.name, results[pair.name]["kept"]) for pair in pairs if pair.split == split]
        plan += sharding.planned(split, counts, each, first)
        splits[split] = {"count": tally.clips[split], "frames": length, "seed": first}
        first += tally.clips[split]
    done = {}
    for name, (note, seconds) in run(_record_job, ((shard.name, (shard, out)) for shard in plan)):
        done[name] = note
        costs.note(out, name, seconds, note["count"] * length / FPS)
    written = [done[shard.name] for shard in plan]
    _clean(out, {shard.name for shard in plan})
    train = [said for said in written if said["name"].startswith("train-")]
    metadata = Metadata(
        tuple(channels), described(EXTRACTOR), FPS, splits, Normalizer(*sharding.added(train)), tally.sets, tools
    )
    notes = [{name: said[name] for name in ("name", "count", "bytes", "sha256")} for said in written]
    write_metadata(out, metadata, notes)


def _clean(out: Path, names: set[str]):
    """Removes files of records that an earlier build has left, and the notes on them."""
    for split in SPLITS:
        for path in (*out.glob(f"{split}-*-of-*.safetensors"), out / f"{split}.array_record"):
            if path.name not in names:
                path.unlink(missing_ok=True)
    for note in (out / sharding.NOTES).glob("*.json"):
        if note.stem not in names:
            note.unlink()


def _write(path: Path, text: str):
    with files.aside(path) as partial:
        partial.write_text(text, encoding="utf-8")
