"""One recorded conversation: survey, clip after clip, sync check; each step kept on disk, so that it can go on.

    FOLDER/survey.json    what it was made from, where the clips start, and the face's square in each
    FOLDER/0007.json      a finished clip's line of the table; with 0007.npz, its record, 0007.jpg, its contact sheet,
                          and 0007.tracks.npy, mouths and loudness for the sync check, where nothing is wrong with it
    FOLDER/result.json    the whole conversation is finished: what is wrong with it, if anything, what was decided for
                          the user, the sync check, and every clip's line

Every file is written aside and renamed.
"""

import io
import json
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np

from afjax import digests, files
from afjax.audio.envelope import envelope, speaking
from afjax.audio.framing import FPS, FRAME, RATE
from afjax.codec.base import Codec
from afjax.codec.latent.crop import Square
from afjax.errors import InputError, InputWarning
from afjax.media.audio import read_audio
from afjax.media.video import VideoInfo, probe, read_frames, shown_frames
from data_pipeline.recorded import clip, labels, shots, sync
from data_pipeline.recorded.pairs import ROLES, Pair, Side
from data_pipeline.schema import encode

SAME = 0.95
"""Correlation of two voices' loudness from which they are one sound."""
SURVEYED = 512
"""Larger side of the pictures in which faces and cuts are looked for before clips are made."""
VERSION = 3


def prepare(pair: Pair, folder: Path, length: int, codec: Codec, codec_name: str = "face", say=print) -> dict:
    """Makes whatever is not made yet of a conversation's clips of `length` frames; -> what `result.json` holds.

    `say` is called with a line for every clip. Faults of the input are results, not errors, as is what was decided for
    the user (`warnings`).
    """
    source = source_of(pair, length, codec_name)
    result, made_from = read_json(folder / "result.json"), read_json(folder / "survey.json")
    if made_from is not None and made_from.get("source") != source:
        shutil.rmtree(folder)
        result = made_from = None
    if result is not None and result.get("source") == source:
        return result
    folder.mkdir(parents=True, exist_ok=True)
    result = {"source": source, "reason": "", "frames": 0, "clips": 0, "sync": {}}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InputWarning)
        result |= _outcome(pair, folder, length, source, made_from, codec, say)
    decided = (str(each.message) for each in caught if issubclass(each.category, InputWarning))
    result["warnings"] = list(dict.fromkeys(decided))
    result["lines"] = _lines(folder)
    write_result(folder, result)
    return result


def write_result(folder: Path, result: dict):
    _write(folder / "result.json", json.dumps(result, indent=1).encode())


def kept(result: dict) -> list[str]:
    """Names of the clips of a finished conversation that are to become records."""
    return [] if result["reason"] else [name for name, line in result["lines"] if not line["reason"]]


def _outcome(pair: Pair, folder: Path, length: int, source: str, made_from, codec: Codec, say) -> dict:
    """Of a conversation whose clips are made: frames, clips and sync check, or as far as it came and the reason."""
    result = {}
    try:
        videos = {role: _named(role, probe, getattr(pair, role).video) for role in ROLES}
        voices = {role: _named(role, _sound, getattr(pair, role), videos[role]) for role in ROLES}
        voices = _checked(pair, voices)
        plan = made_from or _plan(pair, folder, length, source, videos, voices)
        result |= {"frames": plan["frames"], "clips": len(plan["clips"])}
        if not plan["clips"]:
            whole = plan["frames"] / FPS
            raise InputError(f"no stretch of {length / FPS:g} s without a cut in {whole:.1f} s")
        _clips(pair, folder, length, plan, videos, voices, codec, say)
        result |= _synchrony(folder, len(plan["clips"]))
    except InputError as error:
        result["reason"] = str(error)
    return result


def source_of(pair: Pair, length: int, codec_name: str) -> str:
    """Hash of all that decides the result but the split; files count by their contents, wherever they lie."""
    parts: list = [VERSION, length, codec_name]
    for role in ROLES:
        side = getattr(pair, role)
        labels = [label for label in (side.boxes, side.speech) if label]
        parts += [side.half, side.channel, side.person, side.sound == side.video, side.span]
        parts += [bool(side.boxes), bool(side.speech), *(label.key for label in labels)]
        for file in (side.video, side.sound, *(label.path for label in labels)):
            try:
                parts.append(digests.of_ends(file) if file else "silence")
            except OSError:
                parts.append("missing")
    return digests.of_json(parts)


def _named(role: str, function, *arguments):
    try:
        return function(*arguments)
    except InputError as error:
        raise InputError(f"{role}: {error}") from None


def _sound(side: Side, video: VideoInfo) -> np.ndarray:
    """A person's voice `[S]` at 16 kHz from the conversation's first frame on."""
    first, stop = span_of(side, video)
    if side.sound is None:
        return np.zeros((stop - first) * FRAME, np.float32)
    own = side.sound == side.video
    if own and not video.has_sound:
        raise InputError("the video has no sound track", side.video, "name a file in the audio column")
    wave = read_audio(side.sound, RATE, video.start if own else None, side.channel)
    wave = wave[first * FRAME : stop * FRAME if side.span[1] else None]
    return wave[: len(wave) // FRAME * FRAME]


def span_of(side: Side, video: VideoInfo) -> tuple[int, int]:
    """First frame of a conversation among those of its video, and the one after its last."""
    first, stop = round(side.span[0] * FPS), min(round(side.span[1] * FPS) or video.frames, video.frames)
    if first >= stop:
        raise InputError(f"it starts at {side.span[0]:g} s, the video ends at {video.frames / FPS:g} s", side.video)
    return first, stop


def _checked(pair: Pair, waves: dict[str, np.ndarray]) -> dict[str, clip.Voice]:
    """The voices up to the shorter one's end. Raises InputError if one is silent or both are the same."""
    frames = min(map(len, waves.values())) // FRAME
    if not frames:
        raise InputError("the sound is shorter than a frame")
    voices, loudness = {}, []
    for role, wave in waves.items():
        side = getattr(pair, role)
        spoken = speaking(wave, len(wave) // FRAME)[:frames] if side.sound else np.zeros(frames, bool)
        if side.sound and not spoken.any():
            raise InputError(f"{role}: the sound is silent")
        if side.speech:
            spoken = labels.speaking(_named(role, labels.read_speech, side.speech), side.span[0], frames, FPS)
        voices[role] = clip.Voice(wave[: frames * FRAME], spoken)
        loudness += [envelope(wave, frames)] if side.sound else []
    if len(loudness) == 2 and np.corrcoef(loudness)[0, 1] > SAME:
        raise InputError("both voices are the same sound: separate them first (docs/data.md)")
    return voices


def frames_of(side: Side, video: VideoInfo, max_side: int = 0) -> Iterator[np.ndarray]:
    """The conversation's frames, uint8 `[H, W, 3]`, of the half that shows the person; `max_side` of the picture."""
    for frame in islice(read_frames(video, max_side), *span_of(side, video)):
        middle = frame.shape[1] // 2
        yield {"": frame, "left": frame[:, :middle], "right": frame[:, -middle:]}[side.half]


def _survey(side: Side, video: VideoInfo, limit: int) -> shots.Survey:
    """Survey at a reduced size, in pixels of the full one."""
    (height, width), first = next(read_frames(video)).shape[:2], span_of(side, video)[0]
    whole = (height, width // 2 if side.half else width)
    close = not (side.half or side.boxes)  # else the person takes a part of the picture
    frames, boxes = islice(frames_of(side, video, SURVEYED if close else 2 * SURVEYED), limit), None
    if side.boxes:
        given, shown = labels.read_boxes(side.boxes), shown_frames(video)[first : first + limit]
        boxes = np.full((len(shown), 4), np.nan)
        boxes[shown < len(given)] = given[shown[shown < len(given)]]
        if side.half == "right":  # its first column is this one of the whole picture
            boxes[:, 0::2] -= width - whole[1]
    return shots.survey(frames, boxes, whole)


def _plan(pair, folder: Path, length: int, source: str, videos, voices) -> dict:
    """Surveys both pictures and writes where the clips are: start and, by role, the square or what is wrong."""
    spans = [span_of(getattr(pair, role), videos[role]) for role in ROLES]
    limit = min(*(stop - first for first, stop in spans), *(len(voice.speaking) for voice in voices.values()))
    surveys = {role: _named(role, _survey, getattr(pair, role), videos[role], limit) for role in ROLES}
    limit = min(limit, *(each.frames for each in surveys.values()))
    clips = []
    for start in shots.starts(surveys.values(), length, limit):
        entry = {"start": start}
        for role in ROLES:
            try:
                entry[role] = asdict(shots.square(surveys[role], start, length))
            except InputError as error:
                entry.setdefault("reason", f"{role}: {error}")
        clips.append(entry)
    plan = {"source": source, "frames": limit, "clips": clips}
    _write(folder / "survey.json", json.dumps(plan, indent=1).encode())
    return plan


def _clips(pair, folder: Path, length: int, plan: dict, videos, voices, codec: Codec, say):
    """Makes the clips that have no line yet."""
    frames = {role: frames_of(getattr(pair, role), videos[role]) for role in ROLES}
    at = 0
    for number, entry in enumerate(plan["clips"]):
        name, start = f"{number:04d}", entry["start"]
        if (folder / f"{name}.json").is_file():
            continue
        line = {"start": start, "reason": entry.get("reason", "")}
        if not line["reason"]:
            for role in ROLES:
                next(islice(frames[role], start - at, start - at), None)
            at = start + length
            squares = {role: Square(**entry[role]) for role in ROLES}
            try:
                made = clip.make(pair, start, length, squares, frames, voices, codec)
            except InputError as error:
                line["reason"] = str(error)
            else:
                line |= made.figures
                _save(folder, name, made)
        _write(folder / f"{name}.json", json.dumps(line).encode())
        done = f"{pair.name} {number + 1}/{len(plan['clips'])}"
        say(f"{done}: set aside, {line['reason']}" if line["reason"] else f"{done}: kept")


def _save(folder: Path, name: str, made: clip.Clip):
    loud = clip.loudness(made.record)
    tracks = io.BytesIO()
    np.save(tracks, np.stack([track[role] for role in ROLES for track in (made.mouths, loud)]).astype(np.float32))
    for kind, content in (
        ("tracks.npy", tracks.getvalue()), ("jpg", clip.sheet(made)), ("npz", encode(made.record)),
    ):  # fmt: skip
        _write(folder / f"{name}.{kind}", content)


def _synchrony(folder: Path, count: int) -> dict:
    """The sync check over all kept clips: `sync` of every face with its own voice, and `reason`."""
    files = [folder / f"{number:04d}.tracks.npy" for number in range(count)]
    kept = [np.load(file, allow_pickle=False) for file in files if file.is_file()]
    if not kept:
        raise InputError("no clip of it is left")
    tracks = dict(zip(((role, what) for role in ROLES for what in ("mouth", "voice")), np.hstack(kept), strict=True))
    own = {role: sync.measure(tracks[role, "mouth"], tracks[role, "voice"]) for role in ROLES}
    other = [sync.measure(tracks[face, "mouth"], tracks[voice, "voice"]) for face, voice in (ROLES, ROLES[::-1])]
    said = {role: asdict(found) | {"says": str(found)} for role, found in own.items()}
    return {"reason": sync.fault(own, other), "sync": said}


def _lines(folder: Path) -> list[list]:
    """[name, line] of every finished clip."""
    files = sorted(file for file in folder.glob("*.json") if file.stem.isdigit())
    return [[file.stem, json.loads(file.read_bytes())] for file in files]


def read_json(path: Path) -> dict | None:
    """A table; None where there is none that can be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write(path: Path, content: bytes):
    with files.aside(path) as partial:
        partial.write_bytes(content)
