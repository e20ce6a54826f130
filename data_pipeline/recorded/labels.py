"""Labels of data sets: where a face is in every frame of a video, and when somebody speaks.

Boxes, by the ending of the file; pixels of the video's own picture, left, top, right, bottom:

    .npy     float `[n, 4]`, one row per frame of the file; rows that aren't finite: none
    .npz     Seamless Interaction: around the 68 points of the face in `boxes_and_keypoints:keypoints` `[n, 133, 3]`
    .json    RealTalk: {"17": {"people": {"p0": {"bbox": [...]}}}}; the label's key says which person

Speech, in seconds from the start of the video:

    .json    {"metadata:vad": [{"start": 1.2, "end": 3.4}, ...]}, or the list alone
    .jsonl   one object per line, with start and end
    .csv     columns `start` and `end` (or `stop`); with a key the lines whose `speaker` it is

Files are read as data: no pickles, sizes checked. Anything else raises InputError.
"""

import csv
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from afjax.errors import InputError
from afjax.media.container import check_file
from data_pipeline.recorded.pairs import Label

FACE = slice(23, 91)
"""Points of the face among the 133 of COCO-WholeBody."""
_MAX_BYTES = 1 << 28
_MAX_UNPACKED = 1 << 30
_MAX_FRAMES = 1 << 20


def read_boxes(label: Label) -> np.ndarray:
    """Box of the face `[n, 4]` in every frame of the file, nan where there is none."""
    path = check_file(label.path, _MAX_BYTES)
    readers = {".npy": _plain_boxes, ".npz": _keypoint_boxes, ".json": _person_boxes}
    if path.suffix not in readers:
        raise InputError("boxes are .npy, .npz or .json", path)
    try:
        boxes = np.asarray(readers[path.suffix](path, label.key), np.float64)
    except InputError:
        raise
    except Exception as error:  # numpy, zipfile and json raise a dozen kinds for broken files
        raise InputError(f"its boxes can't be read ({error!r})", path) from None
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not 0 < len(boxes) <= _MAX_FRAMES:
        raise InputError(f"boxes of shape {list(boxes.shape)}, not [frames, 4]", path)
    usable = np.isfinite(boxes).all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    if not usable.any():
        raise InputError("it has no box", path)
    return np.where(usable[:, None], boxes, np.nan)


def _plain_boxes(path: Path, key: str) -> np.ndarray:
    return np.load(path, allow_pickle=False)


def _keypoint_boxes(path: Path, key: str) -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    if max(sizes.get(f"boxes_and_keypoints:{name}.npy", 0) for name in ("keypoints", "is_valid_box")) > _MAX_UNPACKED:
        raise InputError("unpacks to more than a gigabyte", path)
    with np.load(path, allow_pickle=False) as stored:
        points = stored["boxes_and_keypoints:keypoints"][:, FACE, :2]
        valid = np.asarray(stored["boxes_and_keypoints:is_valid_box"], bool).reshape(-1)
    boxes = np.concatenate([points.min(1), points.max(1)], axis=1)
    return np.where(valid[:, None], boxes, np.nan)


def _person_boxes(path: Path, key: str) -> np.ndarray:
    frames = json.loads(path.read_bytes())
    numbers = [int(number) for number in frames]
    if max(numbers, default=0) >= _MAX_FRAMES or min(numbers, default=0) < 0:
        raise InputError(f"frames up to {max(numbers)}", path)
    boxes = np.full((max(numbers, default=-1) + 1, 4), np.nan)
    for number, frame in frames.items():
        found = (frame.get("people") or {}).get(key)
        if found and found.get("bbox"):
            boxes[int(number)] = found["bbox"]
    return boxes


def read_speech(label: Label) -> list[tuple[float, float]]:
    """Spans of speech: start and end in seconds."""
    path = check_file(label.path, _MAX_BYTES)
    readers = {".json": _vad, ".jsonl": _json_lines, ".csv": _turns}
    if path.suffix not in readers:
        raise InputError("speech is .json, .jsonl or .csv", path)
    try:
        found = [(float(start), float(end)) for start, end in readers[path.suffix](path, label.key)]
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error, RecursionError) as error:
        raise InputError(f"its speech can't be read ({error!r})", path) from None
    return [(start, end) for start, end in found if end > start]


def speaking(spans: list[tuple[float, float]], start: float, frames: int, fps: int) -> np.ndarray:
    """Frames whose middle lies in a span, bool `[frames]`; the first frame is at `start` seconds."""
    spoken = np.zeros(frames, bool)
    for begin, end in spans:
        first, stop = (int(np.ceil((each - start) * fps - 0.5)) for each in (max(begin, start), max(end, start)))
        spoken[first:stop] = True
    return spoken


def _vad(path: Path, key: str) -> Iterator[tuple]:
    stored = json.loads(path.read_bytes())
    found = stored if isinstance(stored, list) else stored["metadata:vad"]
    yield from ((span["start"], span["end"]) for span in found)


def _json_lines(path: Path, key: str) -> Iterator[tuple]:
    for text in path.read_text(encoding="utf-8").splitlines():
        if text.strip():
            span = json.loads(text)
            yield span["start"], span["end"]


def _turns(path: Path, key: str) -> Iterator[tuple]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            if not key or row["speaker"] == key:
                yield row["start"], row["end"] if "end" in row else row["stop"]
