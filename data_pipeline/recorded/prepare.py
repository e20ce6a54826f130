"""One recorded conversation: survey, clip after clip, sync check; each step kept on disk, so that it can go on.

    FOLDER/survey.json    what it was made from, where the clips start, and the face's square in each
    FOLDER/0007.json      a finished clip's line of the table; with 0007.npz, its record, 0007.jpg, its contact sheet,
                          and 0007.tracks.npy, mouths and loudness for the sync check, where nothing is wrong with it
    FOLDER/result.json    the whole conversation is finished: what is wrong with it, if anything, what was decided for
                          the user, and the sync check

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
from afjax.media.video import VideoInfo, probe, read_frames
from data_pipeline.recorded import clip, shots, sync
from data_pipeline.recorded.pairs import ROLES, Pair, Side
from data_pipeline.schema import encode

SAME = 0.95
"""Correlation of two voices' loudness from which they are one sound."""
VERSION = 2


def prepare(pair: Pair, folder: Path, length: int, codec: Codec, codec_name: str = "face", say=print) -> dict:
    """Makes whatever is not made yet of a conversation's clips of `length` frames; -> what `result.json` holds.

    `say` is called with a line for every clip. Faults of the input are results, not errors, as is what was decided for
    the user (`warnings`).
    """
    source = _source(pair, length, codec_name)
    result, made_from = _read(folder / "result.json"), _read(folder / "survey.json")
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
    _write(folder / "result.json", json.dumps(result, indent=1).encode())
    return result


def _outcome(pair: Pair, folder: Path, length: int, source: str, made_from, codec: Codec, say) -> dict:
    """Of a conversation whose clips are made: frames, clips and sync check, or as far as it came and the reason."""
    result = {}
    try:
        videos = {role: _named(role, probe, getattr(pair, role).video) for role in ROLES}
        voices = {role: _named(role, _sound, getattr(pair, role), videos[role]) for role in ROLES}
        voices = _checked(voices)
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


def _source(pair: Pair, length: int, codec_name: str) -> str:
    """Hash of all that decides the result but the split."""
    parts = [VERSION, length, codec_name]
    for role in ROLES:
        side = getattr(pair, role)
        parts += [str(value) for value in asdict(side).values()]
        for file in (side.video, side.sound):
            try:
                state = file.stat()
                parts += [state.st_size, state.st_mtime_ns]
            except OSError:
                parts.append("missing")
    return digests.of_json(parts)


def _named(role: str, function, *arguments):
    try:
        return function(*arguments)
    except InputError as error:
        raise InputError(f"{role}: {error}") from None


def _sound(side: Side, video: VideoInfo) -> np.ndarray:
    """A person's voice `[S]` at 16 kHz from the video's first frame on."""
    own = side.sound == side.video
    if own and not video.has_sound:
        raise InputError("the video has no sound track", side.video, "name a file in the audio column")
    wave = read_audio(side.sound, RATE, video.start if own else None, side.channel)
    return wave[: len(wave) // FRAME * FRAME]


def _checked(waves: dict[str, np.ndarray]) -> dict[str, clip.Voice]:
    """The voices up to the shorter one's end. Raises InputError if one is silent or both are the same."""
    frames = min(map(len, waves.values())) // FRAME
    if not frames:
        raise InputError("the sound is shorter than a frame")
    voices, loudness = {}, []
    for role, wave in waves.items():
        spoken = speaking(wave, len(wave) // FRAME)[:frames]
        if not spoken.any():
            raise InputError(f"{role}: the sound is silent")
        voices[role] = clip.Voice(wave[: frames * FRAME], spoken)
        loudness.append(envelope(wave, frames))
    if np.corrcoef(loudness)[0, 1] > SAME:
        raise InputError("both voices are the same sound: separate them first (docs/data.md)")
    return voices


def frames_of(side: Side, video: VideoInfo) -> Iterator[np.ndarray]:
    for frame in read_frames(video):
        middle = frame.shape[1] // 2
        yield {"": frame, "left": frame[:, :middle], "right": frame[:, -middle:]}[side.half]


def _plan(pair, folder: Path, length: int, source: str, videos, voices) -> dict:
    """Surveys both pictures and writes where the clips are: start and, by role, the square or what is wrong."""
    limit = min(min(video.frames for video in videos.values()), *(len(voice.speaking) for voice in voices.values()))
    surveys = {}
    for role in ROLES:
        frames = islice(frames_of(getattr(pair, role), videos[role]), limit)
        surveys[role] = _named(role, shots.survey, frames)
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


def lines(folder: Path) -> list[tuple[str, dict]]:
    """(name, line) of every finished clip."""
    files = sorted(file for file in folder.glob("*.json") if file.stem.isdigit())
    return [(file.stem, json.loads(file.read_bytes())) for file in files]


def _read(path: Path) -> dict | None:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _write(path: Path, content: bytes):
    with files.aside(path) as partial:
        partial.write_bytes(content)
