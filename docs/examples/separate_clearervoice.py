"""Voices by ClearerVoice-Studio, for `data_pipeline.build --separate` (docs/separation.md).

    python separate_clearervoice.py VIDEO BOXES OUT

It runs in the environment of that program, without afjax. ClearerVoice follows faces itself and extracts a voice for
each stretch in which it has followed one; here every stretch is given to the person whose boxes it overlaps. Where it
follows nobody the voice is silent.
"""

import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile

MODEL, RATE, FRAME = "AV_MossFormer2_TSE_16K", 16_000, 640
LEAST = 0.1
"""Mean overlap of boxes (intersection over union) from which a stretch is a person's."""


class Done(Exception):
    """Voices are written: what the program would draw afterwards isn't needed."""


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union `[n]` of boxes `[n, 4]`; 0 where one of them is nan."""
    low, high = np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    return np.nan_to_num(shared / (areas[0] + areas[1] - shared))


def owner(frames: np.ndarray, boxes: np.ndarray, people: dict) -> str:
    """Whose face was followed, or ""."""
    shares = {}
    for name, rows in people.items():
        inside = frames < len(rows)
        shares[name] = overlap(boxes[inside], rows[frames[inside]]).mean() if inside.any() else 0.0
    name = max(shares, key=shares.get)
    return name if shares[name] >= LEAST else ""


def voices(tracks: list, sources: list, sound: np.ndarray, people: dict) -> dict:
    """A voice as long as the sound of each of the people, out of what was extracted for tracks of faces."""
    found = {name: np.zeros_like(sound) for name in people}
    for track, source in zip(tracks, sources):  # noqa: B905, Python 3.8
        frames, boxes = np.asarray(track["track"]["frame"]), np.asarray(track["track"]["bbox"])[:, :4]
        name = owner(frames, boxes, people)
        if name:
            first, stop = frames[0] * FRAME, min((frames[-1] + 1) * FRAME, len(sound))
            piece = np.ravel(source)[: stop - first]
            loudest = np.abs(sound[first:stop]).max()  # the network hears it at full scale
            found[name][first : first + len(piece)] = piece * loudest
    return found


def main(video: str, boxes: str, out: str):
    listed = json.loads(Path(boxes).read_text())["people"]
    people = {name: np.array([row or [np.nan] * 4 for row in rows]) for name, rows in listed.items()}
    from clearvoice import ClearVoice
    from clearvoice.utils import video_process

    def take(tracks, sources, settings):
        sound, _ = soundfile.read(settings.audioFilePath, dtype="float32")
        for name, voice in voices(tracks, sources, sound, people).items():
            soundfile.write(f"{out}/{name}.wav", voice, RATE, subtype="FLOAT")
        raise Done

    video_process.visualization = take
    sys.argv[1:] = []  # it reads them too
    with tempfile.TemporaryDirectory() as folder:
        linked = Path(folder, f"video{Path(video).suffix}")  # it hands names to a shell
        linked.symlink_to(Path(video).absolute())
        try:
            program = ClearVoice(task="target_speaker_extraction", model_names=[MODEL])
            program(input_path=str(linked), online_write=True, output_path=folder)
        except Done:
            return
    sys.exit("no face was followed")


if __name__ == "__main__":
    if "--version" in sys.argv:
        print(f"ClearerVoice {version('clearvoice')}, {MODEL}")
    else:
        main(*sys.argv[1:])
