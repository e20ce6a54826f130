"""Cost of a build: one line per job in `OUT/cost.jsonl`, and core minutes per hour of conversation.

    {"job": "monday", "hours": 0.1, "attempts": 1, "seconds": {"clips: motion": 410.3, ...}}

`seconds` are processor time by stage (`metering`). A job that found its work done has no line. A job that was done
again has another line, and the last one counts. Lines of a build that died may be missing.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afjax.errors import InputError
from data_pipeline.recorded.metering import OTHER

COSTS = "cost.jsonl"
RECORDS = "files of records"
STAGES = (
    "opening", "survey: decoding", "survey: faces and cuts", "separating voices", "reading sound", "who speaks",
    "clips: decoding", "clips: motion", "quality", "identity", "features", "writing clips", RECORDS, OTHER,
)  # fmt: skip
"""Stages in the order of the table."""


def note(out: Path, job: str, seconds: Mapping[str, float], conversation: float, attempts: int = 1):
    """Adds a job's line, unless it has done nothing; `conversation`: the conversation's length in seconds."""
    if set(seconds) - {OTHER}:
        line = {"job": job, "hours": round(conversation / 3600, 6), "attempts": attempts}
        line["seconds"] = {name: round(spent, 3) for name, spent in seconds.items()}
        with (out / COSTS).open("ab+") as file:
            if file.tell():
                file.seek(-1, 2)
                torn = file.read() != b"\n"  # by the end of a build
                file.write(b"\n" * torn)
            file.write(json.dumps(line).encode() + b"\n")


def summed(out: Path) -> dict[str, Any]:
    """`minutes` per hour of conversation by stage, and `hours`, of jobs that took one attempt; `left_out`: other jobs.

    Raises InputError where nothing was noted.
    """
    jobs = {}
    try:
        lines = (out / COSTS).read_text(encoding="utf-8").splitlines()
    except OSError:
        raise InputError(
            "no build has noted its cost here", out / COSTS, "name the folder of a build of --pairs"
        ) from None
    for text in lines:
        try:
            line = json.loads(text)
            jobs[line["job"]] = line
        except (ValueError, KeyError, TypeError):
            continue  # torn
    whole = [line for line in jobs.values() if line["attempts"] == 1]
    minutes, hours = {}, {}
    for line in whole:
        kind = RECORDS if RECORDS in line["seconds"] else ""
        hours[kind] = hours.get(kind, 0.0) + line["hours"]
        for name, spent in line["seconds"].items():
            per = minutes.setdefault((kind, name), 0.0)
            minutes[kind, name] = per + spent / 60
    found: dict[str, float] = {}
    for (kind, name), spent in minutes.items():
        if hours[kind]:
            found[name] = found.get(name, 0.0) + spent / hours[kind]
    if not found:
        raise InputError("it names no conversation that was done in one attempt", out / COSTS)
    ordered = {name: found[name] for name in (*STAGES, *sorted(set(found) - {*STAGES})) if name in found}
    return {"minutes": ordered, "hours": hours.get("", 0.0), "left_out": len(jobs) - len(whole)}
