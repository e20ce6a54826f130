"""Released files into one checked folder and back, whole or not at all."""

import time
from pathlib import Path

from afjax import files
from afjax.weights import convert


def to_folder(flow: str, autoencoder: str, wav2vec2: str, out: str, heads: int) -> dict:
    """Converts; -> the summary that is written beside the weights."""
    started = time.monotonic()
    with files.folder_aside(files.writable(out, folder=True)) as folder:
        paths = [Path(path).expanduser().absolute() for path in (flow, autoencoder, wav2vec2)]
        unused = convert.convert(*paths, folder, heads)
        sizes = {name: (folder / name).stat().st_size for name in convert.FILES}
        return _summary(folder, out, started, sizes, unused)


def back(weights: str, out: str) -> dict:
    """Restores the released files; -> the summary that is written beside them."""
    started = time.monotonic()
    with files.folder_aside(files.writable(out, folder=True)) as folder:
        convert.restore(Path(weights), folder)
        sizes = {str(f.relative_to(folder)): f.stat().st_size for f in sorted(folder.rglob("*")) if f.is_file()}
        return _summary(folder, out, started, sizes, {})


def _summary(folder: Path, out: str, started: float, sizes: dict[str, int], unused: dict[str, list[str]]) -> dict:
    seconds = round(time.monotonic() - started, 1)
    summary = {"out": str(files.absolute(out)), "seconds": seconds, "bytes": sizes, "unused": unused}
    files.write_json(folder / "summary.json", summary)
    return summary
