"""One recorded conversation: survey, clip after clip, sync check; each step is kept on disk, so that work can go on.

    FOLDER/survey.json    what it was made from, where the clips start, and the face's square in each
    FOLDER/0007.json      a finished clip's line of the table; with 0007.npz, its record, 0007.jpg, its contact sheet,
                          0007.tracks.npy, mouths and loudness for the sync check, and if asked for 0007.faces.npy, the
                          faces' descriptors, where nothing is wrong with it
    FOLDER/voice-ROLE.wav a voice that was separated, until all clips are made
    FOLDER/result.json    the whole conversation is finished: what is wrong with it, if anything, what was decided for
                          the user, the sync check, and every clip's line

Every file is written aside and renamed.
"""

import io
import json
import shutil
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np

from afjax import digests, files
from afjax.audio.framing import FPS
from afjax.codec.base import Codec
from afjax.codec.latent.crop import Square
from afjax.errors import InputError, InputWarning
from afjax.media.video import VideoInfo, probe, read_frames, shown_frames
from data_pipeline.recorded import clip, labels, quality, separation, shots, sync, voices
from data_pipeline.recorded.metering import stage, staged
from data_pipeline.recorded.options import Options
from data_pipeline.recorded.pairs import ROLES, Pair, Side
from data_pipeline.recorded.voices import named, span_of
from data_pipeline.schema import encode

PLAIN = Options()
SURVEYED = 512
"""Larger side of the pictures in which the survey looks for faces and cuts."""
VERSION = 4


def prepare(
    pair: Pair, folder: Path, length: int, codec: Codec, codec_name: str = "face", say=print, options: Options = PLAIN
) -> dict:
    """Makes the missing ones of a conversation's clips of `length` frames. Returns the content of `result.json`.

    `say` is called with one line per clip. Faults of the input, and decisions made for the user (`warnings`), are
    results, not errors.
    """
    source = source_of(pair, length, codec_name, options)
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
        result |= _outcome(pair, folder, length, source, made_from, codec, say, options)
    decided = (str(each.message) for each in caught if issubclass(each.category, InputWarning))
    result["warnings"] = list(dict.fromkeys(decided))
    result["lines"] = _lines(folder)
    write_result(folder, result)
    for path in folder.glob("voice-*.wav"):
        path.unlink()
    return result


def write_result(folder: Path, result: dict):
    _write(folder / "result.json", json.dumps(result, indent=1).encode())


def kept(result: dict) -> list[str]:
    """Names of the clips of a finished conversation that are to become records."""
    return [] if result["reason"] else [name for name, line in result["lines"] if not line["reason"]]


def _outcome(
    pair: Pair, folder: Path, length: int, source: str, made_from, codec: Codec, say, options: Options
) -> dict:
    """Makes a conversation's clips: frames, clips and sync check; on a fault, what there is of these and the reason."""
    result = {}
    try:
        with stage("opening"):
            videos = {role: named(role, probe, getattr(pair, role).video) for role in ROLES}
        surveys: dict[str, shots.Survey] = {}
        apart = _apart(pair, folder, videos, surveys, options) if pair.mixed else {}
        heard = voices.read(pair, videos, apart, options.speech)
        plan = made_from or _plan(pair, folder, length, source, videos, heard, surveys)
        result |= {"frames": plan["frames"], "clips": len(plan["clips"])}
        if not plan["clips"]:
            whole = plan["frames"] / FPS
            raise InputError(f"no stretch of {length / FPS:g} s without a cut in {whole:.1f} s")
        _clips(pair, folder, length, plan, videos, heard, codec, say, options)
        result |= _synchrony(folder, len(plan["clips"]))
    except InputError as error:
        result["reason"] = str(error)
    return result


def source_of(pair: Pair, length: int, codec_name: str, options: Options = PLAIN) -> str:
    """Hash of all that decides the result except the split; files count by their contents, wherever they lie."""
    labelled = all(getattr(pair, role).speech for role in ROLES)
    parts: list = [VERSION, length, codec_name, options.token(pair.mixed, labelled)]
    for role in ROLES:
        side = getattr(pair, role)
        given = [label for label in (side.boxes, side.speech) if label]
        parts += [side.half, side.channel, side.person, side.sound == side.video, side.span, side.mixed]
        parts += [bool(side.boxes), bool(side.speech), *(label.key for label in given)]
        for file in (side.video, side.sound, *(label.path for label in given)):
            try:
                parts.append(digests.of_ends(file) if file else "silence")
            except OSError:
                parts.append("missing")
    return digests.of_json(parts)


def _apart(pair: Pair, folder: Path, videos, surveys: dict, options: Options) -> dict[str, Path]:
    """Files of the separated voices by role, made unless they are there. Fills `surveys`, which it needs."""
    if options.separator is None:
        raise InputError("its voices are mixed, and no program separates them", do="--separate")
    wanted = [role for role in ROLES if getattr(pair, role).mixed]
    found = {role: folder / f"voice-{role}.wav" for role in wanted}
    if all(path.is_file() for path in found.values()):
        return found
    surveys |= _surveys(pair, videos, {})
    runs: dict[tuple, list[str]] = {}
    for role in wanted:
        runs.setdefault((getattr(pair, role).video, getattr(pair, role).sound), []).append(role)
    made: dict[str, np.ndarray] = {}
    for (video, sound), roles in runs.items():
        boxes = {role: _boxes(getattr(pair, role), videos[role], surveys[role]) for role in roles}
        if sound == video and not videos[roles[0]].has_sound:
            raise InputError(f"{roles[0]}: the video has no sound track", video, "name a file in the audio column")
        with stage("separating voices"):
            made |= separation.separate(options.separator, videos[roles[0]], sound, boxes, folder / "separating")
    if len(runs) == 2 and separation.alike(*made.values()):
        raise InputError("separated voices: both people got the same sound")
    for role, voice in made.items():
        separation.store(found[role], voice)
    return found


def _boxes(side: Side, video: VideoInfo, survey: shots.Survey) -> np.ndarray:
    """A person's face box `[frames, 4]` for every frame of a video: that of the sample before it, nan without one."""
    first, _ = span_of(side, video)
    boxes = np.full((video.frames, 4), np.nan)
    shift = _width(video) - survey.width if side.half == "right" else 0
    for n in range(0, survey.frames, shots.STRIDE):
        if n in survey.boxes:
            boxes[first + n : first + n + shots.STRIDE] = survey.boxes[n] + np.array([shift, 0, shift, 0])
    return boxes


def _width(video: VideoInfo) -> int:
    return next(read_frames(video)).shape[1]


def frames_of(side: Side, video: VideoInfo, max_side: int = 0) -> Iterator[np.ndarray]:
    """The conversation's frames, uint8 `[h, w, 3]`, of the half that shows the person; `max_side`: the picture's."""
    for frame in islice(read_frames(video, max_side), *span_of(side, video)):
        middle = frame.shape[1] // 2
        yield {"": frame, "left": frame[:, :middle], "right": frame[:, -middle:]}[side.half]


def _survey(side: Side, video: VideoInfo, max_frames: int) -> shots.Survey:
    """Scene cuts and face boxes of one person's video, found on reduced frames, in pixels of the full size."""
    (height, width), first = next(read_frames(video)).shape[:2], span_of(side, video)[0]
    full_size = (height, width // 2 if side.half else width)
    fills_picture = not (side.half or side.boxes)  # otherwise the person takes a part of the picture
    frames, boxes = islice(frames_of(side, video, SURVEYED if fills_picture else 2 * SURVEYED), max_frames), None
    if side.boxes:
        given, shown = labels.read_boxes(side.boxes), shown_frames(video)[first : first + max_frames]
        boxes = np.full((len(shown), 4), np.nan)
        boxes[shown < len(given)] = given[shown[shown < len(given)]]
        if side.half == "right":  # its first column is this one of the full_size picture
            boxes[:, 0::2] -= width - full_size[1]
    with stage("survey: faces and cuts"):
        return shots.survey(staged("survey: decoding", frames), boxes, full_size)


def _surveys(pair: Pair, videos: Mapping[str, VideoInfo], heard: Mapping[str, clip.Voice]) -> dict[str, shots.Survey]:
    """Surveys of both pictures, up to the end of the shorter one and of the voices, if they are known."""
    spans = [span_of(getattr(pair, role), videos[role]) for role in ROLES]
    limit = min(*(stop - first for first, stop in spans), *(len(voice.speaking) for voice in heard.values()))
    return {role: named(role, _survey, getattr(pair, role), videos[role], limit) for role in ROLES}


def _plan(pair, folder: Path, length: int, source: str, videos, heard, surveys: dict) -> dict:
    """Writes the plan of the clips: start and, by role, the square or what is wrong, and pixels of the faces."""
    surveys = surveys or _surveys(pair, videos, heard)
    limit = min(*(each.frames for each in surveys.values()), *(len(voice.speaking) for voice in heard.values()))
    clips = []
    for start in shots.starts(surveys.values(), length, limit):
        entry = {"start": start, "faces": {}}
        for role in ROLES:
            entry["faces"][role] = shots.face_size(surveys[role], start, length)
            try:
                entry[role] = asdict(shots.square(surveys[role], start, length))
            except InputError as error:
                entry.setdefault("reason", f"{role}: {error}")
        clips.append(entry)
    plan = {"source": source, "frames": limit, "clips": clips}
    _write(folder / "survey.json", json.dumps(plan, indent=1).encode())
    return plan


def _clips(pair, folder: Path, length: int, plan: dict, videos, heard, codec: Codec, say, options: Options):
    """Makes the clips that have no line yet."""
    frames = {role: staged("clips: decoding", frames_of(getattr(pair, role), videos[role])) for role in ROLES}
    at = 0
    for number, entry in enumerate(plan["clips"]):
        name, start = f"{number:04d}", entry["start"]
        if (folder / f"{name}.json").is_file():
            continue
        line = {"start": start, "reason": entry.get("reason", "")}
        numbers = {role: {"face_size": entry["faces"][role]} for role in ROLES}
        if not line["reason"]:
            for role in ROLES:
                next(islice(frames[role], start - at, start - at), None)
            at = start + length
            squares = {role: Square(**entry[role]) for role in ROLES}
            try:
                made = clip.make(pair, start, length, squares, frames, heard, codec, options.identity)
            except InputError as error:
                line["reason"] = str(error)
            else:
                line |= made.figures
                numbers = {role: numbers[role] | made.quality[role] for role in ROLES}
                _save(folder, name, made)
        line["quality"] = {role: quality.rounded(numbers[role]) for role in ROLES}
        _write(folder / f"{name}.json", json.dumps(line).encode())
        done = f"{pair.name} {number + 1}/{len(plan['clips'])}"
        say(f"{done}: set aside, {line['reason']}" if line["reason"] else f"{done}: kept")


def _save(folder: Path, name: str, made: clip.Clip):
    tracks = np.stack([track[role] for role in ROLES for track in (made.mouths, made.loud)])
    parts = {"tracks.npy": _array(tracks)} | ({} if made.faces is None else {"faces.npy": _array(made.faces)})
    with stage("writing clips"):
        for kind, content in (*parts.items(), ("jpg", clip.sheet(made)), ("npz", encode(made.record))):
            _write(folder / f"{name}.{kind}", content)


def _array(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values.astype(np.float32))
    return buffer.getvalue()


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
