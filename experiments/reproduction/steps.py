"""Steps of a long experiment: each is a command that runs once, after the steps that it needs.

A finished step leaves `steps/NAME.json` in the folder, with its command and its seconds, and its output in
`steps/NAME.log`. It is run again only if its command differs or a step that it needs is run. A stopped step is run
again, and goes on where its program does.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from afjax import files
from afjax.errors import InputError

__all__ = ["Step", "done", "run"]

ROOT = Path(__file__).resolve().parents[2]
POLL = 0.05
FOLLOW = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""A step ends with its killed parent (prctl's PR_SET_PDEATHSIG, which another program in the same process keeps). It
would otherwise write beside the step that takes its place."""


@dataclass(frozen=True)
class Step:
    """A step: the program `module` with its `arguments`.

    `needs`: names of steps; `hours`: on one H100, None for minutes; `environment`: variables beside ours.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()
    hours: float | None = None
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def command(self) -> str:
        return shlex.join(["python", "-m", self.module, *self.arguments])


def done(step: Step, folder: Path) -> dict | None:
    """The record of a step that has ended with this command, else None."""
    try:
        record = json.loads(_record(step, folder).read_text())
    except (OSError, ValueError):
        return None
    return record if record.get("command") == step.command else None


def run(steps: Sequence[Step], folder: Path, jobs: int = 1, say: Callable[[str], None] = print) -> None:
    """Runs unfinished steps, `jobs` at a time. Raises InputError with the last line of the first that fails."""
    (folder / "steps").mkdir(parents=True, exist_ok=True)
    _check(steps)
    waiting, running = list(steps), {}
    ended = set()
    try:
        while waiting or running:
            for step in [step for step in waiting if ended >= set(step.needs)][: jobs - len(running)]:
                waiting.remove(step)
                if done(step, folder) is not None:
                    ended.add(step.name)
                else:
                    say(f"{step.name}: {step.command}")
                    _forget(step, steps, folder)
                    running[step.name] = step, _start(step, folder), time.monotonic()
            for name in [name for name, (_, child, _) in running.items() if child.poll() is not None]:
                step, child, started = running.pop(name)
                _end(step, folder, child.returncode, time.monotonic() - started)
                ended.add(name)
            time.sleep(POLL if running else 0)
    finally:
        for _, child, _ in running.values():
            child.terminate()
        for _, child, _ in running.values():
            child.wait()


def _check(steps: Sequence[Step]):
    seen: set[str] = set()
    for step in steps:
        if step.name in seen or not seen >= set(step.needs):
            raise ValueError(f"step {step.name} stands twice, or before what it needs")
        seen.add(step.name)


def _forget(step: Step, steps: Sequence[Step], folder: Path):
    """Marks a step, and all that need it, as unfinished."""
    forgotten = {step.name}
    for other in steps:  # the steps that need it come after it
        if other.name in forgotten or forgotten & set(other.needs):
            forgotten.add(other.name)
            _record(other, folder).unlink(missing_ok=True)


def _start(step: Step, folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", FOLLOW, "-m", step.module, *step.arguments]
    with _log(step, folder).open("wb") as log:
        return subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **dict(step.environment)}, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip


def _end(step: Step, folder: Path, code: int, seconds: float):
    if code:
        lines = _log(step, folder).read_text(errors="replace").strip().splitlines()
        what = lines[-1] if lines else f"ended with {code}"
        raise InputError(f"step {step.name}: {what}", do=f"{_log(step, folder)} says more; start again to go on")
    files.write_json(_record(step, folder), {"command": step.command, "seconds": round(seconds, 1)})


def _record(step: Step, folder: Path) -> Path:
    return folder / "steps" / f"{step.name}.json"


def _log(step: Step, folder: Path) -> Path:
    return folder / "steps" / f"{step.name}.log"
