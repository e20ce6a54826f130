"""Processes for the heavy parts of a brain: client and loop of one protocol over pipes.

  both ways, little endian   u32 n, n bytes of JSON, u32 m, m bytes

The JSON of a reply has `error` where something went wrong. A process that dies or does not answer in time is ended; the
next request starts another. A process ends by itself when its input does.
"""

import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from afjax.errors import InputError

__all__ = ["Worker", "serve"]

MAX_JSON, MAX_BYTES = 1 << 20, 1 << 26


class Worker:
    """A process that answers one request at a time; safe for several threads, which wait for each other."""

    def __init__(self, module: str, name: str, patience: float = 30.0, start: float = 120.0, do: str = ""):
        """Starts nothing.

        Args:
          module: what `python -m` runs.
          name: its name in errors; do: what to do about them.
          patience: seconds for an answer; start: seconds for the first, which waits until models are loaded.
        """
        self._module, self._name, self._patience, self._first, self._do = module, name, patience, start, do
        self._process: subprocess.Popen | None = None
        self._lock = threading.Lock()

    def ask(self, query: dict[str, Any], data: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """The reply and its bytes. Raises InputError with the reply's error, or if there is no answer."""
        with self._lock:
            fresh = self._process is None or self._process.poll() is not None
            if fresh:
                self._start()
            until = time.monotonic() + (self._first if fresh else self._patience)
            try:
                packed = json.dumps(query).encode()
                message = struct.pack("<I", len(packed)) + packed + struct.pack("<I", len(data)) + data
                self._write(memoryview(message), until)
                reply, data = json.loads(self._part(MAX_JSON, until)), self._part(MAX_BYTES, until)
            except (OSError, EOFError, ValueError, TimeoutError) as error:
                self._end()
                what = "does not answer" if isinstance(error, TimeoutError) else "ended"
                raise InputError(f"the process {what}", self._name, self._do) from None
        if "error" in reply:
            raise InputError(str(reply["error"]), self._name, self._do)
        return reply, data

    def close(self) -> None:
        """Ends the process."""
        with self._lock:
            self._end()

    def _start(self):
        self._end()
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, bufsize=0, env=_without_keys(os.environ),
        )  # fmt: skip
        os.set_blocking(self._process.stdin.fileno(), False)

    def _end(self):
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()

    def _part(self, most: int, until: float) -> bytes:
        (size,) = struct.unpack("<I", self._read(4, until))
        if size > most:
            raise ValueError("no reply of ours")
        return self._read(size, until)

    def _read(self, size: int, until: float) -> bytes:
        pipe, data = self._process.stdout.fileno(), bytearray()
        while len(data) < size:
            self._wait([pipe], [], until)
            piece = os.read(pipe, size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)

    def _write(self, message: memoryview, until: float):
        pipe = self._process.stdin.fileno()
        while len(message):
            self._wait([], [pipe], until)
            message = message[os.write(pipe, message) :]

    @staticmethod
    def _wait(reads: list[int], writes: list[int], until: float):
        if not any(select.select(reads, writes, [], max(0.0, until - time.monotonic()))):
            raise TimeoutError


def _without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without keys of servers, for other people's code."""
    return {name: value for name, value in environment.items() if not name.endswith(("_KEY", "_SECRET", "_TOKEN"))}


def serve(answer: Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]) -> None:
    """Answers requests until the input ends; a worker's module calls it.

    Output that libraries print is dropped, so that it does not come between replies. A request that fails is answered
    with its error in one line.
    """
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def part() -> bytes | None:
        head = source.read(4)
        return source.read(struct.unpack("<I", head)[0]) if len(head) == 4 else None

    while (packed := part()) is not None and (data := part()) is not None:
        try:
            reply, data = answer(json.loads(packed), data)
        except Exception as error:
            reply, data = {"error": " ".join(str(error).split())[:300] or type(error).__name__}, b""
        packed = json.dumps(reply).encode()
        sink.write(struct.pack("<I", len(packed)) + packed + struct.pack("<I", len(data)) + data)
        sink.flush()
