"""Voices by IIANet, for `data_pipeline.build --separate` (docs/separation.md).

    python separate_iianet.py CLONE VIDEO BOXES OUT

It runs in the environment of that program, without afjax; CLONE is its repository, with the weights of VoxCeleb2 in
checkpoints/vox2. Its own script follows the two largest faces of one shot; here faces are where the boxes are. A voice
is extracted in pieces of two seconds, as it was trained, that fade into each other, and brought to the level at which
the voices add up to the mixture.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

RATE, FRAME, FPS = 16_000, 640, 25
PIECE, HOP = 50, 25
"""Frames of a piece, and from one to the next."""
HEAD = 1.5
"""Side of a head by the larger side of its face."""


def square(box: np.ndarray) -> tuple:
    """Left, top and side of the square around a head, pixels."""
    side = int(HEAD * max(box[2] - box[0], box[3] - box[1]))
    return int((box[0] + box[2] - side) / 2), int((box[1] + box[3] - side) / 2), side


def cut(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A head of a frame `[h, w, 3]`, black beyond its edges."""
    left, top, side = square(box)
    whole = np.pad(frame, ((side, side), (side, side), (0, 0)))
    return whole[top + side : top + 2 * side, left + side : left + 2 * side]


def joined(pieces: list, samples: int) -> np.ndarray:
    """Voice `[samples]` of pieces that begin HOP frames apart, each faded in and out over its whole length."""
    voice, weight = np.zeros(samples), np.full(samples, 1e-8)
    for number, piece in enumerate(pieces):
        first = number * HOP * FRAME
        fade = np.minimum(np.arange(1, len(piece) + 1), np.arange(len(piece), 0, -1)).astype(float)
        voice[first : first + len(piece)] += fade * piece
        weight[first : first + len(piece)] += fade
    return voice / weight


def leveled(voices: dict, mixed: np.ndarray) -> dict:
    """The voices, each times the number with which their sum is nearest to the mixture."""
    rows = np.stack(list(voices.values()))
    factors = np.linalg.lstsq(rows.T, mixed, rcond=None)[0]
    return {name: factor * voice for (name, voice), factor in zip(voices.items(), factors)}  # noqa: B905


def main(clone: str, video: str, boxes: str, out: str):
    people = json.loads(Path(boxes).read_text())["people"]
    video, out = os.path.abspath(video), os.path.abspath(out)
    os.chdir(clone)
    sys.path.insert(0, os.getcwd())
    import cv2
    import face_alignment
    import inference
    import torch
    import yaml
    from look2hear.datas.transform import get_preprocessing_pipelines
    from look2hear.models import IIANet
    from look2hear.videomodels import ResNetVideoModel

    config = yaml.safe_load(Path("checkpoints/vox2/conf.yml").read_text())
    weights = os.path.join(config["main_args"]["exp_dir"], "best_model.pth")
    rate = config["datamodule"]["data_config"]["sample_rate"]
    listens = IIANet.from_pretrain(weights, sample_rate=rate, **config["audionet"]["audionet_config"]).cuda().eval()
    looks = ResNetVideoModel(**config["videonet"]["videonet_config"]).cuda().eval()
    points = face_alignment.FaceAlignment(face_alignment.LandmarksType.TWO_D, flip_input=False)
    normal, average = get_preprocessing_pipelines()["val"], np.load("20words_mean_face.npy")
    with tempfile.TemporaryDirectory() as folder:
        steady, sound = f"{folder}/video.mp4", f"{folder}/sound.wav"
        run = ["ffmpeg", "-loglevel", "error", "-y", "-i", video]
        subprocess.run([*run, "-vf", f"fps={FPS}", "-an", steady], check=True)
        subprocess.run([*run, "-vn", "-ac", "1", "-ar", str(RATE), sound], check=True)
        mixed, _ = soundfile.read(sound, dtype="float32")
        voices = {}
        for name, rows in people.items():
            known = [n for n, row in enumerate(rows) if row]
            writer = cv2.VideoWriter(f"{folder}/{name}.mp4", cv2.VideoWriter_fourcc(*"mp4v"), FPS, (224, 224))
            landmarks = []
            for n, frame in enumerate(inference.read_video(steady)):
                nearest = min(known, key=lambda other: abs(other - n))
                head = cv2.resize(cut(frame, np.array(rows[nearest])), (224, 224))
                writer.write(head)
                found = points.get_landmarks(head[..., ::-1])
                landmarks.append(found[0] if found else None)
            writer.release()
            whole = inference.landmarks_interpolate(landmarks)
            mouths = inference.crop_patch(average, f"{folder}/{name}.mp4", whole, 12, 48, 68, 96, 96)
            mouths, pieces = inference.convert_bgr2gray(mouths), []
            with torch.no_grad():
                for first in range(0, max(len(mouths) - PIECE, 0) + HOP, HOP):
                    seen = torch.from_numpy(normal(mouths[first : first + PIECE])[None, None]).float().cuda()
                    heard = torch.from_numpy(mixed[first * FRAME : (first + PIECE) * FRAME][None, None]).cuda()
                    pieces.append(np.ravel(listens(heard, looks(seen))[0].cpu().numpy()))
            voices[name] = joined(pieces, len(mixed))
    for name, voice in leveled(voices, mixed).items():
        soundfile.write(f"{out}/{name}.wav", voice, RATE, subtype="FLOAT")


if __name__ == "__main__":
    main(*sys.argv[1:])
