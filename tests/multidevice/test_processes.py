"""Two processes, connected over loopback, equal one."""

import socket

import pytest

from tests.multidevice.runs import begin, end, run


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize("mesh", [{"data": 0}, {"data": 0, "fsdp": 2}, {"data": 2, "tensor": 2}])
def test_two_processes_equal_one(mesh):
    where = f"localhost:{free_port()}"
    both = [begin("process", f"{where},{index}/2", mesh, devices=2) for index in range(2)]
    first, second = map(end, both)
    alone = run("process", "", {}, devices=1)
    assert first == second and first["devices"] == 4
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-5)
