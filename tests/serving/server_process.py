"""What a server's process takes, as Linux says it."""

import re
import time
from pathlib import Path


class Process:
    """Memory and processor time of the server."""

    def __init__(self, process):
        self._path, self._start = Path("/proc", str(process.pid)), time.monotonic()
        self._first, self._cpu = self._memory(), self._seconds()

    def _memory(self) -> float:
        return int(re.search(r"VmRSS:\s+(\d+)", (self._path / "status").read_text())[1]) / 1024

    def _seconds(self) -> float:
        ticks = (self._path / "stat").read_text().rsplit(")", 1)[1].split()
        return (int(ticks[11]) + int(ticks[12])) / 100

    def figures(self) -> dict:
        cores = (self._seconds() - self._cpu) / (time.monotonic() - self._start)
        return {"server_mb": [round(self._first), round(self._memory())], "server_cores": round(cores, 2)}
