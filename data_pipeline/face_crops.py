"""Training pictures of the latent codec: face crops of clips, with boxes around eyes and mouth.

    DIR/frames.json         version, size, what the clips are, clips that were left out and why
    DIR/train/00000.npy     uint8 `[t, size, size, 3]`, the pictures of a clip
    DIR/train/faces.npz     of all clips one after the other: `length` `[clips]`, `boxes` `[n, 3, 4]`, and `motion`
                            `[n, 15]` where it is known
    DIR/eval/...

Clips are videos, or drawn people that move (`simulate.portrait.animate`). One square crops a clip, as in
`afjax.codec.latent.codec`. Pictures stay on disk and are read through memory maps: n size² 3 bytes.
"""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import grain
import numpy as np

from afjax.codec.face import channels
from afjax.codec.face.track.tracker import FaceTracker
from afjax.codec.latent.crop import box_of, crop, square_of
from afjax.codec.latent.parts import PARTS, boxes_of
from afjax.errors import InputError
from afjax.files import folder_aside
from afjax.media.video import probe, read_frames
from data_pipeline.dataset import Batches
from data_pipeline.records import SPLITS
from data_pipeline.simulate.portrait.animate import moving_person, sample_motion

__all__ = ["Faces", "Source", "batches", "build"]

VERSION = 1
INDEX = "frames.json"
SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi")
_AGAIN = "delete the folder and build it again"
_EVAL = 500_000  # seeds of held-out people start here


@dataclass(frozen=True)
class Source:
    """Source of the pictures.

    Attributes:
      size: side of the pictures in pixels.
      margin: margin around a face, as for `square_of`.
      frames: most pictures of a clip, spread over a video.
      videos: a folder with the folders `train` and `eval` of videos, one person each; empty: drawn people.
      train, eval: numbers of drawn people; seed: that of the people and their motion.
    """

    size: int
    margin: float = 1.0
    frames: int = 16
    videos: str = ""
    train: int = 0
    eval: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Clip:
    """Pictures uint8 `[t, size, size, 3]` of one person, `boxes` `[t, 3, 4]` of PARTS, `motion` `[t, 15]` if known."""

    pictures: np.ndarray | None
    boxes: np.ndarray
    motion: np.ndarray | None = None


def read_clip(frames: Iterable[np.ndarray], source: Source, motion: np.ndarray | None = None) -> Clip:
    """The clip of frames uint8 `[h, w, 3]` RGB that show a face. Raises InputError where fewer than 2 do."""
    tracker, held, meshes, seen = FaceTracker(), [], [], []
    for n, frame in enumerate(frames):
        landmarks = tracker.step(frame)
        if landmarks is not None:
            held.append(frame)
            meshes.append(landmarks.mesh)
            seen.append(n)
    if len(held) < 2:
        raise InputError(f"a face in {len(held)} of {tracker.frames} frames, two are needed")
    square = square_of(np.stack([box_of(mesh) for mesh in meshes]), *held[0].shape[:2], source.margin)
    pictures = np.stack([crop(frame, square, source.size) for frame in held])
    boxes = np.stack([boxes_of(mesh, square) for mesh in meshes])
    return Clip(pictures, boxes, None if motion is None else motion[seen])


def _of_video(path: Path, source: Source) -> Clip:
    info = probe(path)
    wanted = set(np.linspace(0, info.frames - 1, min(source.frames, info.frames)).round().astype(int).tolist())
    frames = (frame for n, frame in enumerate(read_frames(info, max_side=4 * source.size)) if n in wanted)
    return read_clip(frames, source)


def _of_person(number: int, source: Source) -> Clip:
    seed = 1_000_000 * source.seed + number
    motion = sample_motion(np.random.default_rng([79, seed]), source.frames)
    return read_clip(moving_person(seed, motion, source.size), source, motion)


def _jobs(source: Source, split: str) -> list[tuple[str, Callable[[], Clip]]]:
    """Name and maker of every clip of a split."""
    if not source.videos:
        first, count = (0, source.train) if split == "train" else (_EVAL, source.eval)
        return [(f"person {first + n}", partial(_of_person, first + n, source)) for n in range(count)]
    folder = Path(source.videos).expanduser().absolute() / split
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not found:
        do = "put videos into the folders train and eval, a person in one of them only"
        raise InputError("no videos", folder, do)
    return [(path.relative_to(folder).as_posix(), partial(_of_video, path, source)) for path in found]


def _made(job: tuple[str, Callable[[], Clip]]) -> Clip | InputError:
    try:
        return job[1]()
    except InputError as error:
        return error


def build(out: str | Path, source: Source, progress: Callable[[int, int], None] = lambda done, total: None) -> dict:
    """Makes the folder `out`, with one process per core. Returns the content of `frames.json`.

    `progress`: called with clips done and to do. Raises InputError if `out` is taken, or a split has no usable clip.
    """
    jobs = {split: _jobs(source, split) for split in SPLITS}
    total, done, left_out, counts = sum(map(len, jobs.values())), 0, {}, {}
    workers = max(1, min(len(os.sched_getaffinity(0)), total))
    # the processes first: one that is still being started complains where its parent ends
    with multiprocessing.get_context("spawn").Pool(workers) as pool, folder_aside(Path(out)) as folder:
        for split in SPLITS:
            (folder / split).mkdir()
            clips = []
            for (name, _), made in zip(jobs[split], pool.imap(_made, jobs[split]), strict=True):
                done += 1
                progress(done, total)
                if isinstance(made, InputError):
                    left_out[f"{split}/{name}"] = str(made)
                    continue
                np.save(folder / split / f"{len(clips):05d}.npy", made.pictures, allow_pickle=False)
                clips.append(replace(made, pictures=None))  # they are on disk
            if not clips:
                reason = next(iter(left_out.values()), "there is none")
                raise InputError(f"no clip of the split {split!r} can be used ({reason})", out)
            arrays = {"length": np.array([len(clip.boxes) for clip in clips])}
            arrays["boxes"] = np.concatenate([clip.boxes for clip in clips])
            if clips[0].motion is not None:
                arrays["motion"] = np.concatenate([clip.motion for clip in clips])
            np.savez(folder / split / "faces.npz", **arrays)
            counts[split] = {"clips": len(clips), "pictures": int(arrays["length"].sum())}
        index = {"version": VERSION, "source": vars(source), "splits": counts, "left_out": left_out}
        (folder / INDEX).write_text(json.dumps(index, indent=1))
    return index


def read_index(folder: str | Path) -> dict:
    """The index that `build` wrote. Raises InputError if it is not there or of another version."""
    path = Path(folder) / INDEX
    try:
        index = json.loads(path.read_text())
        fits = index["version"] == VERSION
    except (OSError, ValueError, TypeError, KeyError):
        raise InputError("no pictures here", path, _AGAIN) from None
    if not fits:
        raise InputError(f"its version is not {VERSION}", path, _AGAIN)
    return index


class Faces(Sequence):
    """Clips of one split. Raises InputError for a folder that `build` did not write."""

    def __init__(self, folder: str | Path, split: str):
        self.size = read_index(folder)["source"]["size"]
        self._folder = Path(folder).absolute() / split
        try:
            with np.load(self._folder / "faces.npz", allow_pickle=False) as stored:
                arrays = dict(stored)
            self._ends = np.cumsum(arrays["length"])
            self._boxes, self._motion = arrays["boxes"], arrays.get("motion")
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"not readable ({error})", self._folder, _AGAIN) from None
        if self._boxes.shape != (self._ends[-1], len(PARTS), 4):
            raise InputError(f"{self._ends[-1]} pictures, boxes {list(self._boxes.shape)}", self._folder, _AGAIN)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> Clip:
        path, end = self._folder / f"{index:05d}.npy", self._ends[index]
        start = end - (self._ends[0] if index == 0 else end - self._ends[index - 1])
        try:
            pictures = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f"not readable ({error})", path, _AGAIN) from None
        if pictures.shape != (end - start, self.size, self.size, 3) or pictures.dtype != np.uint8:
            raise InputError(f"holds {pictures.dtype}{list(pictures.shape)}", path, _AGAIN)
        return Clip(pictures, self._boxes[start:end], None if self._motion is None else self._motion[start:end])


class RandomPair(grain.transforms.RandomMap):
    """Two different pictures of a clip, which is given with its number; mirrored in half of the cases."""

    def random_map(self, element: tuple[int, Clip], rng: np.random.Generator) -> dict[str, np.ndarray]:
        number, clip = element
        chosen = rng.choice(len(clip.pictures), 2, replace=False)
        pictures, boxes = clip.pictures[chosen], clip.boxes[chosen]
        known = {} if clip.motion is None else {"motion": clip.motion[chosen]}
        if rng.random() < 0.5:
            pictures, boxes = mirrored(pictures, boxes)
            known = {name: channels.mirrored(motion) for name, motion in known.items()}
        window = np.array(f"{number:05d}@{chosen[0]},{chosen[1]}")
        return {"pictures": pictures, "boxes": boxes, "window": window, **known}


def mirrored(pictures: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures `[..., h, w, 3]` and boxes `[..., 3, 4]` as in a mirror."""
    swapped = boxes[..., [1, 0, 2], :]
    turned = np.stack([1 - swapped[..., 2], swapped[..., 1], 1 - swapped[..., 0], swapped[..., 3]], -1)
    return np.ascontiguousarray(pictures[..., ::-1, :]), turned


def batches(faces: Faces, batch: int, seed: int, part: tuple[int, int] = (0, 1)) -> Batches:
    """Endless batches of pairs: `pictures` uint8 `[b, 2, size, size, 3]`, `boxes` float32 `[b, 2, 3, 4]`.

    Batches also have `motion` `[b, 2, 15]` where it is known.

    Every epoch visits each clip once, in a fresh order. `get_state` and `set_state` continue it exactly. A pair's name
    is CLIP@FRAME,FRAME. `part` (index, count): only part `index` of `count` equal parts of every batch is read; a place
    counts whole batches.
    """
    named = grain.MapDataset.source(faces).map_with_index(lambda n, clip: (n % len(faces), clip))  # n counts all epochs
    order = named.seed(seed).shuffle().repeat()
    pairs = order.random_map(RandomPair())
    dataset = pairs.batch(batch // part[1], drop_remainder=True)[part[0] :: part[1]]
    iterable = dataset.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=16))
    if part[1] == 1:
        return Batches(iter(iterable))
    whole = pairs.map(lambda pair: pair["window"]).batch(batch, drop_remainder=True)
    return Batches(iter(iterable), iter(whole.to_iter_dataset(grain.ReadOptions(num_threads=0))))
