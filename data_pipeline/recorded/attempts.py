"""Attempts at a conversation: at most three, by any process; the first finished one is published.

    OUT/attempts/NAME/SOURCE/2/    the second attempt at a conversation of these files and settings
    OUT/clips/NAME/                the result of the first attempt that came to its end (`prepare`)

Making an attempt's folder, which succeeds for one process only, counts it before work starts. An attempt that ends by
an exception, or with the whole build, has a file `stopped` and is not counted. Those remain whose process died, from a
decoder's crash or for want of memory. After ATTEMPTS of them the conversation is set aside. Finished clips of earlier
attempts are taken over. The finished folder is renamed; if one of the same source is there already, that one stays. The
build removes `attempts` when all are done.
"""

import contextlib
import errno
import os
import shutil
import uuid
from pathlib import Path

from afjax import files
from afjax.codec.base import Codec
from data_pipeline.recorded.options import Options
from data_pipeline.recorded.pairs import Pair
from data_pipeline.recorded.prepare import PLAIN, prepare, read_json, source_of, write_result

WORK, TRIALS = "clips", "attempts"
ATTEMPTS = 3
_STOPPED = "stopped"


def attempt(
    pair: Pair, out: Path, length: int, codec: Codec, codec_name: str = "face", say=print, options: Options = PLAIN
) -> dict:
    """The result of `prepare` for a conversation, published in `out`, with the number of `attempts` that it took."""
    source, done = source_of(pair, length, codec_name, options), out / WORK / pair.name
    if (result := _published(done, source)) is not None:
        return result
    tries = out / TRIALS / pair.name / source[:16]
    number, died, folder = _begin(tries)
    tried = number - (died >= ATTEMPTS)
    if died >= ATTEMPTS:
        reason = f"the process that reads it died in {died} attempts"
        result = {"source": source, "reason": reason, "frames": 0, "clips": 0, "sync": {}, "warnings": [], "lines": []}
    else:
        try:
            _take_over(tries, number, folder)
            result = prepare(pair, folder, length, codec, codec_name, say, options)
        except BaseException:
            (folder / _STOPPED).touch()
            raise
    result["attempts"] = tried
    write_result(folder, result)
    return _publish(folder, done, source)


def forgive(out: Path):
    """Forgives, before a build, each conversation's last attempt, which may have died because the build did.

    A living build begins a conversation anew when its process dies, so that only the last attempt can have died with
    the build. A conversation that has been begun often is not forgiven: it may be what takes whole machines down.
    """
    for tries in (out / TRIALS).glob("*/*"):
        numbers = [int(path.name) for path in tries.iterdir() if path.name.isdigit()] if tries.is_dir() else []
        if numbers and max(numbers) < 2 * ATTEMPTS:
            (tries / str(max(numbers)) / _STOPPED).touch()


def _published(done: Path, source: str) -> dict | None:
    result = read_json(done / "result.json")
    return result if result is not None and result.get("source") == source else None


def _begin(tries: Path) -> tuple[int, int, Path]:
    """(number of this attempt, number of earlier ones that died, its folder)."""
    tries.mkdir(parents=True, exist_ok=True)
    while True:
        before = [path for path in tries.iterdir() if path.name.isdigit()]
        number = 1 + max((int(path.name) for path in before), default=0)
        with contextlib.suppress(FileExistsError):
            (tries / str(number)).mkdir()
            return number, sum(not (path / _STOPPED).exists() for path in before), tries / str(number)


def _take_over(tries: Path, number: int, folder: Path):
    """Links the finished work of earlier attempts: the survey, and every clip that has its line."""
    for before in range(1, number):
        old = tries / str(before)
        if not (old / "survey.json").is_file():
            continue
        for part in (*old.glob("voice-*.wav"), old / "survey.json"):
            _link(part, folder)
        for line in sorted(old.glob("[0-9]*.json")):
            for part in (*(p for p in sorted(old.glob(f"{line.stem}.*")) if p != line), line):
                _link(part, folder)


def _link(path: Path, folder: Path):
    try:
        os.link(path, folder / path.name)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        with files.aside(folder / path.name) as partial:
            shutil.copyfile(path, partial)


def _publish(folder: Path, done: Path, source: str) -> dict:
    """Renames an attempt's folder, unless a result of this source is there. Returns the published result."""
    done.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            os.rename(folder, done)
        except OSError as error:
            if (result := _published(done, source)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                return result
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            old = folder.with_name(f"old-{uuid.uuid4().hex}")  # of other files or settings
            with contextlib.suppress(FileNotFoundError):
                os.rename(done, old)
            shutil.rmtree(old, ignore_errors=True)
        else:
            return read_json(done / "result.json")
