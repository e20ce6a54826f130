"""Runs of a few steps on forced CPU devices, in processes of their own: JAX fixes their number when it starts.

python -m tests.multidevice.runs FUNCTION '[ARGUMENTS]'        prints what a function of `cases` returns, as JSON
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MESHES = {"8": {"data": 8}, "4 x 2": {"data": 4, "fsdp": 2}, "2 x 2 x 2": {"data": 2, "fsdp": 2, "tensor": 2}}


def begin(function: str, *arguments, devices: int = 8, x64: bool = False) -> subprocess.Popen:
    """Starts a function of `tests.multidevice.cases` in a process with so many devices."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("JAX_NUM_CPU")}
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"  # compiles faster
    env |= {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    env |= {"JAX_ENABLE_X64": str(int(x64)), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.multidevice.runs", function, json.dumps(arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen):
    """What its function returned."""
    out, err = process.communicate()
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.splitlines()[-1])


def run(function: str, *arguments, **settings):
    return end(begin(function, *arguments, **settings))


if __name__ == "__main__":
    from tests.multidevice import cases

    print(json.dumps(getattr(cases, sys.argv[1])(*json.loads(sys.argv[2]))))
