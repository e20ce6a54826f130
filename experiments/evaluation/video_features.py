"""Readings of finished videos by networks and our tracker, kept on disk.

    CACHE/DIGEST/tracks.npz        motion of the face codec, boxes, points, opening, thumbnails; speech
    CACHE/DIGEST/KIND-WEIGHTS.npy  features of a network: DIGEST of the video's bytes, WEIGHTS of the network's file

A stopped measurement goes on. Another system, network or copy of a video costs only what is missing. Videos are read
twice, in constant memory: once to find the face, once for the networks.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from afjax import digests, files
from afjax.audio.envelope import envelope, speaking
from afjax.audio.framing import FRAME, RATE
from afjax.codec.base import Encoded
from afjax.codec.face.channels import CHANNELS
from afjax.codec.face.codec import FaceCodec
from afjax.codec.face.track.mesh import FaceLandmarks, landmarks_of
from afjax.errors import InputError
from afjax.media.audio import read_audio
from afjax.media.video import VideoInfo, probe, read_frames
from afjax.metrics.pretrained import faces, mfcc, pictures, stand_ins
from afjax.metrics.pretrained.networks import KINDS, Network
from data_pipeline.records import EXTRACTOR
from experiments import cli

__all__ = ["Seen", "VideoReader"]

SIDE = 960
"""Pixels of the longer side at most: larger frames are scaled down."""
BATCH = 16
"""Frames, or windows of frames, that a network gets per call."""
VERSION = 1


@dataclass(frozen=True)
class Seen:
    """One video of t frames.

    Attributes:
      tracks: `motion` `[t, d]`, `found` `[t]`, `opening` `[t]`, `thumbnail` `[t, 192]`; with sound also `speaking`,
        `envelope` `[t]`, `features` `[t, f]`.
      features: arrays on disk by the network's kind; `syncnet_*` are missing without sound or with under 6 frames,
        `dlib` `[n, 128]` has one row per second.
      notes: what was decided or is missing.
    """

    path: Path
    tracks: dict[str, np.ndarray]
    features: dict[str, np.ndarray]
    notes: tuple[str, ...]

    @property
    def has_sound(self) -> bool:
        return "envelope" in self.tracks


class VideoReader:
    """Reads videos into `cache`. `networks` and `digests_of`, of their files: by kind; `embed`: dlib's, or None."""

    def __init__(
        self,
        cache: Path,
        networks: Mapping[str, Network] | None = None,
        digests_of: Mapping[str, str] | None = None,
        embed: Callable[[np.ndarray], np.ndarray | None] | None = None,
    ):
        self._cache, self._networks, self._embed = cache, dict(networks or {}), embed
        self._names = {kind: f"{kind}-{(digests_of or {}).get(kind, '')[:12]}.npy" for kind in self._networks}
        if embed is not None:
            self._names["dlib"] = "dlib.npy"

    def __call__(self, path: Path) -> Seen:
        """Readings of a video, even one without a face. Raises InputError for a video that can't be read."""
        video = probe(path)
        folder = self._cache / digests.of_file(path)[:24]
        tracks = _stored(folder / "tracks.npz")
        if tracks is None:
            tracks = self._tracks(video)
            with files.aside(folder / "tracks.npz") as partial:
                np.savez(partial, version=VERSION, **tracks)
        notes = []
        if not tracks["found"].all():
            notes.append(f"{path.name}: the face is found in {tracks['found'].sum()} of {len(tracks['found'])} frames")
        if problem := str(tracks.pop("problem", "")):
            notes.append(f"{path.name}: {problem}")
        self._look(video, folder, tracks)
        found = {kind: folder / name for kind, name in self._names.items() if (folder / name).is_file()}
        arrays = {kind: np.load(file, mmap_mode="r", allow_pickle=False) for kind, file in found.items()}
        return Seen(path, tracks, arrays, tuple(notes))

    def without_networks(self) -> "VideoReader":
        """A reader that gives tracks alone, from the same cache."""
        return VideoReader(self._cache)

    def portrait(self, picture: np.ndarray) -> dict[str, np.ndarray]:
        """Embeddings of a portrait uint8 `[h, w, 3]` by kind, `arcface` and `dlib`; none where no face is found."""
        landmarks = landmarks_of(picture)
        if landmarks is None:
            return {}
        found = {}
        if "arcface" in self._networks:
            aligned = pictures.align(picture, faces.five_points(landmarks))
            found["arcface"] = self._networks["arcface"](pictures.arcface_input(aligned[None]))[0]
        if self._embed is not None and (described := self._embed(picture)) is not None:
            found["dlib"] = described
        return found

    def _tracks(self, video: VideoInfo) -> dict[str, np.ndarray]:
        """First reading: all that follows from the face and the sound."""
        rows, thumbs = [], []

        def counted(progress) -> Iterator[np.ndarray]:
            for frame in read_frames(video, SIDE):
                thumbs.append(stand_ins.thumbnails(frame[None])[0])
                yield frame
                progress.update()

        with cli.Progress(video.frames, f"track {video.path.name}") as progress, cli.quiet():
            try:
                encoded = FaceCodec().encode(counted(progress), seen=lambda face: rows.append(_measured(face)))
            except InputError as error:
                if not rows or np.isfinite(rows).any():
                    raise InputError(str(error), video.path) from None
                encoded = Encoded(*faceless(len(rows)))
        rows = faces.bridged(np.array(rows)) if encoded.found.any() else np.zeros((len(rows), 15))
        tracks = {"motion": encoded.motion, "found": encoded.found, "thumbnail": np.stack(thumbs)}
        tracks |= {"box": rows[:, :4], "points": rows[:, 4:14].reshape(-1, 5, 2), "opening": rows[:, 14]}
        return tracks | self._sound(video, len(rows))

    def _sound(self, video: VideoInfo, frames: int) -> dict[str, np.ndarray]:
        if not video.has_sound:
            return {"problem": np.array("it has no sound")}
        try:
            wave = fitted(read_audio(video.path, RATE, video.start), frames)
            sound = {"speaking": speaking(wave, frames), "envelope": envelope(wave, frames)}
            return sound | {"features": EXTRACTOR.clip(wave, frames).astype(np.float16)}
        except InputError as error:
            return {"problem": np.array(str(error))}

    def _look(self, video: VideoInfo, folder: Path, tracks: dict[str, np.ndarray]):
        """Second reading: writes the missing features."""
        frames, shown = len(tracks["found"]), tracks["found"].any()
        heard = shown and "envelope" in tracks and frames > pictures.SYNC_FRAMES
        wanted = {kind for kind, name in self._names.items() if not (folder / name).is_file()}
        if not heard:
            wanted -= {"syncnet_lips", "syncnet_sound"}
        if frames < stand_ins.CLIP:
            wanted -= {"i3d"}
        if "syncnet_sound" in wanted:
            wave = fitted(read_audio(video.path, RATE, video.start), frames)
            windows = mfcc.syncnet_sound_input(wave, frames)
            self._save(folder, "syncnet_sound", [self._networks["syncnet_sound"](windows)])
            wanted.discard("syncnet_sound")
        if not wanted:
            return
        found: dict[str, list[np.ndarray]] = {kind: [] for kind in wanted}
        squares = faces.sync_squares(tracks["box"])
        crops: list[np.ndarray] = []
        with cli.Progress(frames, f"look at {video.path.name}") as progress:
            for at, batch in _batches(read_frames(video, SIDE), frames):
                if "inception" in wanted:
                    found["inception"].append(self._networks["inception"](pictures.inception_input(batch)))
                if "i3d" in wanted and len(batch) == stand_ins.CLIP:
                    found["i3d"].append(self._networks["i3d"](pictures.i3d_input(batch[None])))
                if "arcface" in wanted:
                    found["arcface"].append(self._faces(batch, tracks, at))
                if "dlib" in wanted:
                    found["dlib"] += [self._described(batch[n]) for n in range(len(batch)) if (at + n) % 25 == 0]
                if "syncnet_lips" in wanted:
                    crops += [faces.sync_crop(picture, squares[at + n]) for n, picture in enumerate(batch)]
                    ready = len(crops) - pictures.SYNC_FRAMES
                    if ready >= BATCH or (at + len(batch) == frames and ready > 0):
                        windows = pictures.syncnet_lips_input(np.stack(crops))
                        found["syncnet_lips"].append(self._networks["syncnet_lips"](windows))
                        del crops[:ready]
                progress.update(len(batch))
        for kind, rows in found.items():
            self._save(folder, kind, rows)

    def _save(self, folder: Path, kind: str, rows: list[np.ndarray]):
        with files.aside(folder / self._names[kind]) as partial:
            np.save(partial, np.concatenate(rows).astype(np.float32), allow_pickle=False)

    def _faces(self, batch: np.ndarray, tracks: dict[str, np.ndarray], at: int) -> np.ndarray:
        """ArcFace's embeddings of frames, 0 where no face is found."""
        span = slice(at, at + len(batch))
        if not tracks["found"].any():
            return np.zeros((len(batch), KINDS["arcface"].features), np.float32)
        aligned = [pictures.align(*each) for each in zip(batch, tracks["points"][span], strict=True)]
        embedded = self._networks["arcface"](pictures.arcface_input(np.stack(aligned)))
        return embedded * tracks["found"][span, None]

    def _described(self, picture: np.ndarray) -> np.ndarray:
        found = self._embed(picture)
        return (np.zeros(128) if found is None else found)[None]


def _measured(landmarks: FaceLandmarks | None) -> np.ndarray:
    """Box, five points and opening of a frame's face `[15]`, NaN without one."""
    if landmarks is None:
        return np.full(15, np.nan)
    return np.concatenate([faces.box(landmarks), faces.five_points(landmarks).ravel(), [faces.opening(landmarks)]])


def faceless(frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Motion, found and confidence of a video that shows no face."""
    still = np.zeros((frames, len(CHANNELS)), np.float32)
    return still, np.zeros(frames, bool), np.zeros(frames, np.float32)


def fitted(wave: np.ndarray, frames: int) -> np.ndarray:
    """Sound at 16 kHz as long as `frames` frames: cut, or followed by silence."""
    length = frames * FRAME
    return np.pad(wave[:length], (0, max(0, length - len(wave))))


def _batches(frames: Iterator[np.ndarray], count: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yields first frame and pictures of each BATCH frames; the last may be fewer."""
    held, at = [], 0
    for frame in frames:
        held.append(frame)
        if len(held) == BATCH or at + len(held) == count:
            yield at, np.stack(held)
            at, held = at + len(held), []


def _stored(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = dict(found)
    except (OSError, ValueError, EOFError, KeyError):
        return None
    return arrays if arrays.pop("version", 0) == VERSION else None
