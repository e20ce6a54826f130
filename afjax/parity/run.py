"""Parity report: computes every array of a folder of fixtures and its distance from the released network's.

A fixture file holds inputs under `in/...` and the arrays that the released network computed in float32, and for some of
them under `f64/...` those in float64. Its weights are synthetic (`afjax.weights.synthetic`); their seed is in
`manifests/digests.json`. Limits stand on the noise floor in `noise_floor.json`, the difference between the released
network's own float32 and float64 runs:

    float32   max <= 10 floor and rms <= 5 floor, no less than 4e-6 of the largest and 1e-6 of the rms value
    float64   4e-7 and 2e-7 of the same
    exact     where there is no floor
"""

import fnmatch
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.errors import InputError
from afjax.parity import flow, latent, tables, wav2vec2
from afjax.parity.arrays import Stored
from afjax.weights import readers, synthetic, tensor_shapes

__all__ = ["Fixtures", "Row"]


@dataclass(frozen=True)
class Row:
    """One array: errors and limits. Errors are NaN where ours has no such array or another shape."""

    file: str
    key: str
    error: float
    rms: float
    limit: float
    limit_rms: float

    @property
    def share(self) -> float:
        """Share of its limit that an error takes, the larger of both; above 1 the array failed."""
        pairs = ((self.error, self.limit), (self.rms, self.limit_rms))
        return max(error / limit if limit else np.inf if error else 0.0 for error, limit in pairs)

    @property
    def ok(self) -> bool:
        return bool(self.share <= 1)


def _limits(floor, x64: bool, where: str) -> tuple[float, float]:
    """Limits of the largest and of the rms error."""
    try:
        own, rms, ref_max, ref_rms = (float(floor[name]) for name in ("max_abs", "rms", "ref_max", "ref_rms"))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"is no noise floor ({error!r})", where) from None
    if x64:
        return 4e-7 * ref_max, 2e-7 * ref_rms
    return max(10 * own, 4e-6 * ref_max), max(5 * rms, 1e-6 * ref_rms)


class Fixtures:
    """A folder of fixtures. Raises InputError if it is not one, or its weights can't be made again."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder).expanduser().absolute()
        if not self.folder.is_dir():
            raise InputError("no such folder", self.folder, "name a folder of parity fixtures")
        self.files = sorted(path.stem for path in self.folder.glob("*.npz"))
        if not self.files:
            raise InputError("holds no .npz files", self.folder, "name a folder of parity fixtures")
        self._floors = self._json("noise_floor.json")
        self._digests = self._json("manifests/digests.json")

    def _json(self, name: str) -> dict:
        if not (self.folder / name).is_file():
            raise InputError("is missing", self.folder / name, "name a folder of parity fixtures")
        return readers.read_json(self.folder / name)

    @functools.cache  # noqa: B019 - lives as long as the report
    def stored(self, file: str) -> Stored:
        """All arrays of a file."""
        path = self.folder / f"{file}.npz"
        try:
            with np.load(path, allow_pickle=False) as found:
                arrays = {key: np.asarray(found[key]) for key in found.files}
        except Exception as error:  # a damaged archive can raise anything
            raise InputError(f"can't be read ({type(error).__name__}: {error})", path) from None
        strange = [key for key, array in arrays.items() if array.dtype.kind not in "biufUS"]
        if strange:
            raise InputError(f"{strange[0]} holds {arrays[strange[0]].dtype}, not numbers", path)
        return Stored(path, arrays)

    @functools.lru_cache(maxsize=2)  # noqa: B019
    def weights(self, manifest: str) -> dict[str, np.ndarray]:
        """Synthetic weights by released name, for example of "flow_small"."""
        try:
            shapes = synthetic.manifest_shapes(self._json(f"manifests/{manifest}.json"))
            tensors = synthetic.state_dict(shapes, self._seed(manifest))
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"is not a manifest ({error!r})", self._manifest(manifest)) from None
        if synthetic.digest(tensors) != self._digests[f"{manifest}.json"].get("sha256"):
            raise InputError("the weights made again have another digest", self._manifest(manifest))
        return tensors

    def _seed(self, manifest: str) -> int:
        entry = self._digests.get(f"{manifest}.json")
        seed = entry.get("seed") if isinstance(entry, dict) else None
        if type(seed) is not int or seed < 0:
            raise InputError(f"has no seed of {manifest}.json", self.folder / "manifests/digests.json")
        return seed

    def _manifest(self, name: str) -> Path:
        return self.folder / "manifests" / f"{name}.json"

    def _heads(self, manifest: str, default: int | None = None) -> int:
        about = self._json(f"manifests/{manifest}.json").get("about", "")
        found = re.search(r"heads[ =](\d+)", str(about))
        if not found and default is None:
            raise InputError("does not say how many heads", self._manifest(manifest))
        return int(found.group(1)) if found else default

    def keys(self, file: str, x64: bool = False, only: str = "*") -> list[str]:
        """Keys of the arrays of a file that have to agree; in float64 those with a float64 reference.

        `only`: a pattern of `file:key`.
        """
        stored = self.stored(file)
        return [
            key
            for key, array in stored.items()
            if not key.startswith(("in/", "f64/")) and array.dtype.kind not in "US"
            if not x64 or f"f64/{key}" in stored
            if fnmatch.fnmatch(f"{file}:{key}", only)
        ]

    def rows(self, file: str, only: str = "*", x64: bool = False) -> Iterator[Row]:
        """A row for each of `keys(file, x64, only)`."""
        keys = self.keys(file, x64, only)
        made = self._run(file, keys, np.float64 if x64 else np.float32) if keys else {}
        for key in keys:
            yield self._row(file, key, made.get(key), x64)

    def _row(self, file: str, key: str, got, x64: bool) -> Row:
        floors = self._floors.get(file)
        floor = floors.get(key) if isinstance(floors, dict) else None
        limits = _limits(floor, x64, f"{self.folder / 'noise_floor.json'}: {file}:{key}") if floor else (0.0, 0.0)
        expected = self.stored(file)[f"f64/{key}" if x64 else key]
        if got is None or np.shape(got) != expected.shape:
            return Row(file, key, np.nan, np.nan, *limits)
        error = np.abs(np.asarray(got, np.float64) - expected.astype(np.float64))
        if not error.size:
            return Row(file, key, 0.0, 0.0, *limits)
        return Row(file, key, float(error.max()), float(np.sqrt((error**2).mean())), *limits)

    def _run(self, file: str, keys: list[str], dtype) -> dict[str, np.ndarray]:
        """Our arrays of these keys, as far as they are known, and perhaps others."""
        stored, size = self.stored(file), file.rpartition("_")[2]
        if file == "masks":
            return tables.mask_arrays(keys)
        if file == "scheduler":
            return tables.schedule_arrays(stored)
        if file.startswith("wav2vec2_"):
            tensors = self.weights(file)
            heads = self._heads(file, Wav2Vec2Config().heads)
            config = tensor_shapes.wav2vec2_config(tensors, heads, self._manifest(file))
            projection = synthetic.state_dict(wav2vec2.projection_shapes(config), self._seed(file))
            return wav2vec2.arrays(config, stored, tensors | projection, dtype)
        if file.startswith("ae_"):
            tensors = {} if file == "ae_pieces" else self.weights(file)
            return latent.arrays(file, stored, tensors, dtype, keys)
        if file.startswith("e2e_"):
            return self._end_to_end(stored, size, dtype, keys)
        if file.startswith(("flow_modules_", "sampler_")):
            run = flow.modules if file.startswith("flow") else flow.sampler
            shared = self.stored(file.removesuffix(size) + "small")  # the other sizes use its inputs
            inputs = {key: x for key, x in shared.items() if key.startswith("in/")}
            wanted = {key: x for key, x in stored.items() if key.startswith("in/") or key in keys}
            tensors, heads = self.weights(f"flow_{size}"), self._heads(f"flow_{size}")
            return run(Stored(stored.where, inputs | wanted), tensors, heads, dtype)
        return {}

    def _end_to_end(self, stored: Stored, size: str, dtype, keys: list[str]) -> dict[str, np.ndarray]:
        """Pictures from pictures: the codec, the sampler over its latents, the codec."""
        codec, network = self.weights(f"ae_{size}"), self.weights(f"flow_{size}")
        found = latent.motion_of_frames(stored, codec, dtype)
        frames = stored["in/avatar_audio"].shape[1]
        user = found["user_motion"][:, :frames]
        padding = [(0, 0), (0, frames - user.shape[1]), (0, 0)]
        inputs = {key: x for key, x in stored.items() if key.startswith("in/")}
        inputs |= {"in/r_s": found["r_s"], "in/user_motion": np.pad(user, padding, mode="edge")}
        latents = f"T{frames}/latents"
        given = Stored(stored.where, inputs | {latents: stored["latents"]})
        made = flow.sampler(given, network, self._heads(f"flow_{size}"), dtype)[latents]
        found |= {"latents": made, "frame_index": stored["frame_index"]}
        if not found.keys() >= set(keys):
            found |= latent.frames_of(made, stored, codec, dtype, stored["frame_index"])
        return found
