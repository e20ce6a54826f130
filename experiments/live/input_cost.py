"""Cost of reading training data: memory, bytes per window, and the time that a step waits for its batch."""

import os
import time
from multiprocessing import get_context
from pathlib import Path

import jax
import numpy as np

from afjax.audio.framing import FPS
from afjax.config import Config, DataConfig, ModelConfig, OptimizerConfig, TrainingConfig
from afjax.errors import InputError
from afjax.normalizer import Normalizer
from afjax.training.ahead import Ahead
from afjax.training.generator.train import train
from data_pipeline import records, schema
from data_pipeline.dataset import batches
from data_pipeline.shards import open_split

SECONDS = 20
WIDTHS = (512, 9216)
"""Numbers per frame of the paper's motion and features: 512 latents, twelve layers of wav2vec2-base."""


def linked_set(folder: Path, hours: float, widths: tuple[int, int] = WIDTHS, conversations: int = 13) -> Path:
    """A data set of `hours` hours of noise, whose files are links to one file of `conversations` conversations."""
    motion, features = widths
    rng, frames = np.random.default_rng(0), SECONDS * FPS
    folder.mkdir(parents=True)
    none = {f"event_{name}": np.zeros(0, np.int32) for name in ("kind", "frame", "response")}
    none |= {f"{side}_speaking": np.zeros(frames, bool) for side in ("avatar", "user")}

    def made(number: int) -> bytes:
        arrays = {f"{s}_motion": rng.standard_normal((frames, motion), np.float32) for s in ("avatar", "user")}
        for side in ("avatar", "user"):
            arrays[f"{side}_features"] = rng.standard_normal((frames, features), np.float32).astype(np.float16)
        said = {"event_responded": np.zeros(0, bool), "avatar_voice": "a", "user_voice": "b", "seed": number}
        return schema.encode(schema.Conversation(**arrays, **none, **said))

    records.write_split(folder, "train", map(made, range(conversations)))
    (one, *more), files = sorted(folder.glob("train-*")), max(1, round(hours * 3600 / SECONDS / conversations))
    if more:
        raise InputError(f"{conversations} conversations do not fit a file", folder)
    first = one.rename(folder / "one")
    for number in range(files):
        os.link(first, folder / f"train-{number:05d}-of-{files:05d}.safetensors")
    plain = Normalizer(*(np.full(width, value, np.float32) for width in widths for value in (0, 1)))
    splits = {"train": {"count": files * conversations, "frames": frames, "seed": 0}}
    described = {"name": "noise", "dim": features}
    records.write_metadata(folder, records.Metadata(tuple(map(str, range(motion))), described, FPS, splits, plain))
    return folder


def resident() -> float:
    """MB of this process's memory that are not pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}
    return (found["RssAnon"] + found["RssShmem"]) * 1024 / 1e6


def read_so_far() -> int:
    """Bytes that this process has read from files."""
    return int(Path("/proc/self/io").read_text().splitlines()[0].split()[1])


def bytes_of_window(folder: Path, frames: int, windows: int = 50) -> float:
    """Bytes that are read from files per window of `frames` frames."""
    split, rng = open_split(folder, "train"), np.random.default_rng(0)
    before = read_so_far()
    for number in rng.integers(len(split), size=windows):
        start = int(rng.integers(split.frames[number] - frames + 1))
        split.piece(int(number), start, start + frames)
    return (read_so_far() - before) / windows


def waited(folder: Path, batch: int, frames: int, milliseconds: float, steps: int, first: int = 5) -> dict[str, float]:
    """Waiting of `steps` emulated steps, which are pauses, after the `first`.

    Returns the share of the time that they wait for their batches, and the processor's time per batch, which tells what
    to expect where other processes share the processor.
    """
    iterator, asking = batches(folder, batch=batch, frames=frames, stored=True), 0.0
    with Ahead(iterator, jax.device_put, first + steps) as ahead:
        for number in range(first + steps):
            if number == first:
                begun, worked, asking = time.perf_counter(), time.process_time(), 0.0
            asked = time.perf_counter()
            ready = next(ahead)
            asking += time.perf_counter() - asked
            time.sleep(milliseconds / 1000)
            del ready  # giving memory back is the step's, not the wait for the next one
        share, work = asking / (time.perf_counter() - begun), time.process_time() - worked
    return {"input_wait": share, "processor_ms_per_batch": 1000 * work / steps}


def trained(folder: Path, workdir: Path, batch: int, frames: int, steps: int, widths=WIDTHS) -> float:
    """Most resident MB while a small network is trained for some steps on data of these widths.

    The step is compiled here, whatever a cache holds: compiling takes memory that is not given back.
    """
    jax.config.update("jax_enable_compilation_cache", False)
    small = ModelConfig(*widths, 16, 1, 2, condition_width=16, condition_heads=2)
    settings = TrainingConfig(num_steps=steps, log_every=1, save_every=steps, sample_every=steps)
    data, optimizer = DataConfig(window=frames, batch=batch), OptimizerConfig(kind="adamw")
    config = Config(model=small, data=data, training=settings, optimizer=optimizer)
    seen, normalizer = [], records.read_metadata(folder).normalizer
    iterator = batches(folder, batch=batch, frames=frames, stored=True)
    train(config, workdir, iterator, {}, normalizer=normalizer, progress=lambda *_: seen.append(resident()))
    return max(seen)


def measure(
    folder: Path, hours: float, batch: int, frames: int, milliseconds: float, steps: int, widths=WIDTHS
) -> dict[str, float]:
    """Figures of `hours` hours of data, written into `folder`; each is measured in a process of its own."""
    made = apart(linked_set, folder / f"{hours:g} h", hours, widths)
    return {
        "hours": hours,
        "resident_mb": apart(trained, made, folder / f"{hours:g} h, run", batch, frames, steps, widths),
        **apart(waited, made, batch, frames, milliseconds, steps),
        "bytes_per_window": apart(bytes_of_window, made, frames),
    }


def apart(function, *arguments):
    """The result of a function in a process of its own, so that no other memory is counted."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)
