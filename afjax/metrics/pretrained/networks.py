"""Feature networks of the famous metrics, loaded by path from ONNX files and run by onnxruntime.

| kind | metric | input, float32 | output |
|---|---|---|---|
| `arcface` | CSIM | `[n, 3, 112, 112]`, aligned faces, RGB in -1 .. 1: `pictures.arcface_input` | 512 |
| `inception` | FID | `[n, 3, 299, 299]`, RGB in -1 .. 1: `pictures.inception_input` | 2048, pytorch-fid's last pool |
| `i3d` | FVD | `[n, 3, t, 224, 224]`, RGB in -1 .. 1, t usually 16: `pictures.i3d_input` | 400 logits of Kinetics |
| `syncnet_lips` | LSE | `[n, 3, 5, 224, 224]`, five face crops, BGR in 0 .. 255: `pictures.syncnet_lips_input` | 1024 |
| `syncnet_sound` | LSE | `[n, 1, 13, 20]`, MFCCs of 0.2 s: `mfcc.syncnet_sound_input` | 1024 |

No weights come with afjax. A shape can't tell whose weights a file holds: the figures are what the file makes them.
Without the file a metric is not printed under its famous name; `metric_name` gives the honest one. `load_folder` opens
the files of a folder, each named by its kind, `arcface.onnx` and so on; docs/metrics.md says where they come from and
how they are exported.
"""

import difflib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from afjax import files
from afjax.errors import InputError
from afjax.media.container import check_file

_INSTALL = "pip install -r requirements-metrics.txt"


@dataclass(frozen=True)
class Kind:
    """Metrics of a network, shape of its input without the batch axis (None: any length), number of its features."""

    metrics: tuple[str, ...]
    shape: tuple[int | None, ...]
    features: int


KINDS = {
    "arcface": Kind(("CSIM",), (3, 112, 112), 512),
    "inception": Kind(("FID",), (3, 299, 299), 2048),
    "i3d": Kind(("FVD",), (3, None, 224, 224), 400),
    "syncnet_lips": Kind(("LSE-D", "LSE-C"), (3, 5, 224, 224), 1024),
    "syncnet_sound": Kind(("LSE-D", "LSE-C"), (1, 13, 20), 1024),
}
SUFFIX = ".onnx"
_STEMS = {"FID": "FD", "FVD": "FD", "LSE-D": "sync-distance", "LSE-C": "sync-confidence"}
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


def metric_name(metric: str, network: str) -> str:
    """The name under which `metric` may be printed when its features come from `network`.

    >>> metric_name("FID", "inception"), metric_name("FID", "coefficients"), metric_name("CSIM", "dlib")
    ('FID', 'FD-coefficients', 'CSIM-dlib')
    """
    if network in KINDS and metric in KINDS[network].metrics:
        return metric
    return f"{_STEMS.get(metric, metric)}-{network}"


class Network:
    """A loaded network: call it with a batch `[n, *shape]` for its features `[n, features]`, float32.

    Args:
      kind: of KINDS.
      session: what `onnxruntime.InferenceSession` offers: get_inputs, get_outputs, run.
      where: for messages, the file.

    Raises:
      InputError: the session's input or output does not fit the kind.
    """

    def __init__(self, kind: str, session, where: object = None):
        if kind not in KINDS:
            raise InputError(f"no network of the kind {kind}", where, "there are: " + ", ".join(KINDS))
        self.kind, self._spec, self._session, self._where = kind, KINDS[kind], session, where
        inputs, outputs = session.get_inputs(), session.get_outputs()
        wanted = (None, *self._spec.shape)
        if len(inputs) != 1 or not _fits(inputs[0].shape, wanted):
            found = " and ".join(_text(entry.shape) for entry in inputs) or "nothing"
            raise self._wrong(f"takes {found}, not {_text(wanted)}")
        self._input, first = inputs[0].name, inputs[0].shape[0]
        self._fixed = first if isinstance(first, int) else 0  # exported for a batch of one size
        fitting = [entry.name for entry in outputs if _gives(entry.shape, self._spec.features)]
        if not fitting:
            found = " and ".join(_text(entry.shape) for entry in outputs) or "nothing"
            raise self._wrong(f"gives {found}, not [N, {self._spec.features}]")
        self._output = fitting[0]

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        batch = np.ascontiguousarray(batch, np.float32)
        wanted = (None, *self._spec.shape)
        if not _fits(batch.shape, wanted):
            raise ValueError(f"{self.kind} takes {_text(wanted)}, got {list(batch.shape)}")
        size = self._fixed or max(len(batch), 1)
        parts = [self._run(batch[at : at + size], size) for at in range(0, len(batch), size)]
        return np.concatenate(parts) if parts else np.zeros((0, self._spec.features), np.float32)

    def _run(self, batch: np.ndarray, size: int) -> np.ndarray:
        """Features of up to `size` inputs; a network of one batch size gets the last input again until it is full."""
        count = len(batch)
        if count < size:
            batch = np.concatenate([batch, np.repeat(batch[-1:], size - count, axis=0)])
        try:
            features = np.asarray(self._session.run([self._output], {self._input: batch})[0], np.float32)
        except Exception as error:  # onnxruntime raises classes of its own, one for each status
            raise self._wrong(f"does not run: {error}") from None
        if features.size != len(batch) * self._spec.features:
            raise self._wrong(f"gives {list(features.shape)} for {len(batch)} inputs")
        if not np.isfinite(features).all():
            raise self._wrong("gives values that are not finite numbers")
        return features.reshape(len(batch), self._spec.features)[:count]

    def _wrong(self, what: str) -> InputError:
        return InputError(f"the network {what}", self._where, f"export {self.kind} as docs/metrics.md describes it")


def load(kind: str, path: str | Path) -> Network:
    """Opens an ONNX file, on an accelerator where onnxruntime has one.

    Raises:
      InputError: onnxruntime is missing, the file can't be read, is no ONNX file, or does not fit the kind.
    """
    if kind not in KINDS:
        raise InputError(f"no network of the kind {kind}", path, "there are: " + ", ".join(KINDS))
    path = check_file(path)
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError("the package onnxruntime is missing", do=_INSTALL) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    providers = [name for name in _PROVIDERS if name in onnxruntime.get_available_providers()]
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime raises classes of its own, one for each status
        raise InputError(f"not a readable ONNX file ({error})", path) from None
    return Network(kind, session, path)


def load_folder(folder: str | Path) -> dict[str, Network]:
    """The networks of a folder by kind, from the files `KIND.onnx` that are there.

    Raises:
      InputError: there is no such folder, none of the files, an ONNX file of another name, one half of SyncNet, or a
        file that `load` refuses.
    """
    folder = files.absolute(folder)
    if not folder.is_dir():
        raise InputError("no such folder", folder, "docs/metrics.md says what belongs into it")
    found = {path.stem: path for path in sorted(folder.glob(f"[!.]*{SUFFIX}"))}
    names = ", ".join(f"{kind}{SUFFIX}" for kind in KINDS)
    if not found:
        raise InputError("no network in it", folder, f"any of {names}; docs/metrics.md says where they come from")
    for stem, path in found.items():
        if stem not in KINDS:
            close = difflib.get_close_matches(stem, KINDS, n=1)
            do = f"did you mean {close[0]}{SUFFIX}?" if close else f"names are {names}"
            raise InputError("a network of this name is not known", path, do)
    halves = [kind for kind in ("syncnet_lips", "syncnet_sound") if kind in found]
    if len(halves) == 1:
        raise InputError(f"{halves[0]}{SUFFIX} is one half of SyncNet, the other is missing", folder)
    return {kind: load(kind, path) for kind, path in found.items()}


def _fits(shape, wanted: tuple[int | None, ...]) -> bool:
    """Whether a shape, with names or None for open axes, allows every length of `wanted`; the first axis is free."""
    if len(shape) != len(wanted):
        return False
    pairs = zip(list(shape)[1:], wanted[1:], strict=True)
    return all(not isinstance(length, int) or need in (None, length) for length, need in pairs)


def _gives(shape, features: int) -> bool:
    lengths = list(shape)[1:]
    if not lengths or lengths[0] != features and isinstance(lengths[0], int):
        return False
    return all(not isinstance(length, int) or length == 1 for length in lengths[1:])


def _text(shape) -> str:
    first, *rest = shape
    return "[" + ", ".join(["N", *("?" if not isinstance(length, int) else str(length) for length in rest)]) + "]"
