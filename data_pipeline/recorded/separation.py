"""Separation of voices that are mixed on one track, by a program of others.

    CMD {video} {boxes} {out}       in any order, with whatever else it wants; {sound}: the file with the mixed sound
    {boxes}                         {"fps": 25, "people": {"avatar": [[left, top, right, bottom], null], "user": ...}}:
                                    of each person whose voice is wanted a box of the face, or null, for every frame of
                                    the video at 25 frames per second, in pixels of its picture
    {out}                           a folder, in which avatar.wav, user.wav are expected, one of each person in boxes

A result is the person's voice from the video's first frame to its last, of any rate. It is refused where it has another
length or begins elsewhere, where both people got one sound, or where there is much more or less sound than in the
mixture. The program is started once per conversation and video, without a shell, in the folder where the build was
started. It may take as long as PATIENCE says.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from afjax import digests, files
from afjax.audio.framing import FPS, FRAME, RATE
from afjax.errors import InputError
from afjax.media.audio import read_audio
from afjax.media.video import VideoInfo

NEEDED, KNOWN = ("{video}", "{out}"), ("{video}", "{boxes}", "{out}", "{sound}")
PATIENCE = (600.0, 60.0)
"""Seconds that a program may take: the first number, or the second per second of video if that is more."""
SAME = 0.95
"""Correlation of two voices from which they are one sound."""
LEVEL = 6.0
"""Most dB by which the voices' energy may differ from the mixture's."""
SLACK = FRAME
"""Most samples by which a voice may be longer, shorter or later."""
_EXAMPLE = '--separate "python separate.py {video} {boxes} {out}"'


@dataclass(frozen=True)
class Separator:
    """A program that separates voices.

    Attributes:
      command: the command as given; version: its own answer, or "".
      sha256: hash of the command, its version, and the files that it names.
    """

    command: str
    version: str
    sha256: str

    def said(self) -> dict[str, str]:
        return {"command": self.command, "version": self.version, "sha256": self.sha256}


def separator(command: str) -> Separator:
    """The separator of a command. Raises InputError where it lacks a needed place, or its program is not there.

    The words before its first place are run once with `--version`; a line with a number in it is its version.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"--separate can't be read ({error})", do=_EXAMPLE) from None
    missing = [place for place in NEEDED if not any(place in word for word in words)]
    odd = set(re.findall(r"\{[a-z_]*\}", command)) - {*KNOWN}
    if missing or odd:
        what = f"has no {missing[0]}" if missing else f"knows no {odd.pop()}"
        raise InputError(f"--separate {what}", do=_EXAMPLE)
    if any(place in words[0] for place in KNOWN) or shutil.which(words[0]) is None:
        raise InputError("--separate: no such program", words[0], "name it with its folder")
    head = words[: next(n for n, word in enumerate(words) if any(place in word for place in KNOWN))]
    while len(head) > 1 and head[-1].startswith("-"):
        head.pop()
    version = _version(head)
    parts = [[Path(word).name, digests.of_ends(word)] if Path(word).is_file() else word for word in words[1:]]
    return Separator(command, version, digests.of_json([Path(words[0]).name, *parts, version]))


def _version(head: list[str]) -> str:
    try:
        done = subprocess.run(
            [*head, "--version"], capture_output=True, text=True, errors="replace", timeout=60, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    line = next(iter(done.stdout.strip().splitlines()), "")
    return line if done.returncode == 0 and len(line) <= 200 and re.search(r"\d", line) else ""


def separate(
    of: Separator, video: VideoInfo, sound: Path, boxes: Mapping[str, np.ndarray], folder: Path
) -> dict[str, np.ndarray]:
    """Runs the program for one video. Returns the voices `[frames * FRAME]` at 16 kHz by role.

    Args:
      sound: the file with the mixed sound, perhaps the video.
      boxes: boxes of the face `[frames, 4]` by role, nan where there is none; folder: work folder, which is removed.

    Raises InputError where the program fails or its result can't be true.
    """
    shutil.rmtree(folder, ignore_errors=True)
    out = folder / "out"
    out.mkdir(parents=True)
    try:
        listed = {role: [_plain(box) for box in rows] for role, rows in boxes.items()}
        (folder / "boxes.json").write_text(json.dumps({"fps": FPS, "people": listed}))
        places = {"{video}": video.path, "{boxes}": folder / "boxes.json", "{out}": out, "{sound}": sound}
        words = shlex.split(of.command)
        for place, path in places.items():
            words = [word.replace(place, str(path)) for word in words]
        _run(words, max(PATIENCE[0], PATIENCE[1] * video.seconds))
        mixed = read_audio(sound, RATE, video.start if sound == video.path else None)
        voices = {role: _read(out, role, video, len(mixed)) for role in boxes}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    fault = _fault(list(voices.values()), mixed)
    if fault:
        raise InputError(f"separated voices: {fault}")
    size = video.frames * FRAME
    return {role: np.pad(voice[:size], (0, max(0, size - len(voice)))) for role, voice in voices.items()}


def _plain(box: np.ndarray) -> list[float] | None:
    return [round(float(edge), 1) for edge in box] if np.isfinite(box).all() else None


def _run(words: list[str], patience: float):
    """Runs a program, and all that it starts, until it ends or this process is ended."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    try:
        process = subprocess.Popen(words, start_new_session=True, text=True, errors="replace", **pipes)
    except OSError as error:
        raise InputError(f"the program of --separate can't be run ({error.strerror})", words[0]) from None
    try:
        _, said = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        raise InputError(f"the program of --separate took more than {patience:.0f} s") from None
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        last = next(iter(said.strip().splitlines()[-1:]), "it said nothing")
        raise InputError(f"the program of --separate ended with code {process.returncode} ({last[:200]})")


def _read(out: Path, role: str, video: VideoInfo, mixed: int) -> np.ndarray:
    try:
        voice = read_audio(out / f"{role}.wav", RATE)
    except InputError as error:
        raise InputError(f"separated voices: {error}".replace(f"{out}{os.sep}", "")) from None
    if min(abs(len(voice) - video.frames * FRAME), abs(len(voice) - mixed)) > SLACK:
        lengths = f"{role}.wav has {len(voice) / RATE:.2f} s, the video {video.frames / FPS:.2f} s"
        raise InputError(f"separated voices: {lengths}")
    return voice


def _fault(voices: list[np.ndarray], mixed: np.ndarray) -> str:
    """What can't be true of voices and their mixture, or ""."""
    length = min(len(mixed), *map(len, voices))
    whole, mixed = sum(voice[:length].astype(np.float64) for voice in voices), mixed[:length].astype(np.float64)
    if len(voices) == 2 and alike(*voices):
        return "both people got the same sound"
    level = 10 * float(np.log10((np.square(whole).sum() + 1e-12) / (np.square(mixed).sum() + 1e-12)))
    if level > LEVEL or (level < -LEVEL and len(voices) == 2):
        return f"together {abs(level):.0f} dB {'louder' if level > 0 else 'quieter'} than the mixture"
    size = 1 << (2 * length).bit_length()
    curve = np.fft.irfft(np.fft.rfft(whole, size) * np.fft.rfft(mixed, size).conj(), size)
    lag = (int(curve.argmax()) + size // 2) % size - size // 2
    if len(voices) == 2 and abs(lag) > SLACK:
        return f"{abs(lag) / RATE:.2f} s {'late' if lag > 0 else 'early'} against the mixture"
    return ""


def alike(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two voices `[s]` are one sound, whatever their levels."""
    length = min(len(first), len(second))
    a, b = (each[:length].astype(np.float64) - each[:length].mean() for each in (first, second))
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return size > 0 and abs(float(a @ b)) / size > SAME


def store(path: Path, voice: np.ndarray):
    """Writes a voice `[s]` at 16 kHz as a WAV file of 16 bits."""
    with files.aside(path) as partial, wave.open(str(partial), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.round(32767 * voice.clip(-1, 1)).astype("<i2").tobytes())


def said(found: Mapping[str, Any]) -> str:
    """A line on the separator, from its entry in `metadata.json`."""
    return found["version"] or found["command"]
