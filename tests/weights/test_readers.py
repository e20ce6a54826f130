"""Files of tensors: what is written is read, and whatever is wrong with a file is said in one line."""

import json
import pickle
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from afjax.errors import InputError
from afjax.weights import readers

TENSORS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.float64(3.5).reshape(()),
    "half": np.ones(3, np.float16),
    "brain": np.full((2, 2), 1.5, jnp.bfloat16),
    "mask": np.array([True, False, True]),
    "count": np.array([[-1]], np.int64),
    "none": np.zeros((0, 4), np.float32),
}


def assemble(header: dict | bytes, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(start, end, shape=None, dtype="F32"):
    return {"dtype": dtype, "shape": [(end - start) // 4] if shape is None else shape, "data_offsets": [start, end]}


def test_round_trip_keeps_bits_and_order_does_not_matter(tmp_path):
    readers.write_safetensors(tmp_path / "a.safetensors", TENSORS)
    readers.write_safetensors(tmp_path / "b.safetensors", dict(reversed(TENSORS.items())))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    found = readers.read(tmp_path / "a.safetensors")
    assert set(found) == set(TENSORS)
    for name, value in TENSORS.items():
        assert found[name].dtype == value.dtype and found[name].shape == value.shape
        assert found[name].tobytes() == value.tobytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]


def test_known_bytes(tmp_path):
    data = np.array([1.0, -2.0], "<f4").tobytes()
    content = assemble({"__metadata__": {"format": "pt"}, "w": entry(0, 8)}, data)
    (tmp_path / "w.safetensors").write_bytes(content)
    np.testing.assert_array_equal(readers.read(tmp_path / "w.safetensors")["w"], [1, -2])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "damaged or truncated"),
        (b"\x08\0\0", "damaged or truncated"),
        (assemble({"w": entry(0, 4)}, b"1234", length=1 << 40), "damaged or truncated"),
        (assemble(b"{nonsense"), "not JSON"),
        (assemble(b"[1, 2]"), "not a table"),
        (assemble(b"[" * 5000), "not JSON"),
        (assemble({"w": entry(0, 8)}, b"1234"), "truncated: w ends at byte 8 of 4"),
        (assemble({"w": entry(0, 4)}, b"12345678"), "4 bytes belong to no tensor"),
        (assemble({"v": entry(0, 8), "w": entry(4, 12)}, b"1" * 12), "v and w overlap"),
        (assemble({"v": entry(0, 4), "w": entry(8, 12)}, b"1" * 12), "v and w leave bytes"),
        (assemble(b'{"w":1,"w":2}'), "'w' is there twice"),
        (assemble({"w": entry(0, 4, dtype="F8_E5M2")}, b"1234"), "type 'F8_E5M2'"),
        (assemble({"w": entry(0, 4, shape=[2])}, b"1234"), "shape [2] has 4 bytes"),
        (assemble({"w": entry(0, 4, shape=[-1])}, b"1234"), "shape or place of w"),
        (assemble({"w": entry(0, 4, shape=[True])}, b"1234"), "shape or place of w"),
        (assemble({"w": entry(0, 4, shape=[1 << 62, 1 << 62])}, b"1234"), "has 4 bytes"),
        (assemble({"w": entry(0, 0, shape=[0, 1 << 63])}), "shape [0, 9223372036854775808]"),
        (assemble({"w": entry(0, 0, shape=[0, 1 << 62, 4])}), "shape [0, 4611686018427387904, 4]"),
        (assemble({"w": 3}, b"1234"), "type None"),
        (assemble({"w": {"dtype": "F32", "shape": [1]}}, b"1234"), "shape or place of w"),
    ],
)
def test_damaged_safetensors(tmp_path, content, said):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        readers.read(path)
    assert said in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


def test_failed_write_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(readers.np, "ascontiguousarray", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        readers.write_safetensors(tmp_path / "w.safetensors", TENSORS)
    assert not any(tmp_path.iterdir())


def test_not_files_of_tensors(tmp_path):
    for path, said in [
        (tmp_path / "none.pth", "no such file"),
        (tmp_path, "not a regular file"),
    ]:
        with pytest.raises(InputError, match=said):
            readers.read(path)
    (tmp_path / "w.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=".npz is not known"):
        readers.read(tmp_path / "w.npz")


def test_pth_without_torch_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "w.pth").write_bytes(b"PK")
    with pytest.raises(InputError, match="pip install torch"):
        readers.read(tmp_path / "w.pth")


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pth_is_read_and_code_in_it_is_not_run(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch reads .pth files (requirements-torch.txt)")
    weight = torch.arange(6, dtype=torch.float32).reshape(2, 3).T
    torch.save({"w": weight, "h": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "w.pth")
    found = readers.read(tmp_path / "w.pth")
    np.testing.assert_array_equal(found["w"], weight.numpy())
    assert found["h"].dtype == jnp.bfloat16 and found["h"][0] == 1

    trap = tmp_path / "trap"
    torch.save({"w": weight, "f": Hostile(trap)}, tmp_path / "bad.pth")
    with pytest.raises(InputError, match=r"more than tensors \(\w+\.open\)") as error:
        readers.read(tmp_path / "bad.pth")
    assert not trap.exists() and "\n" not in str(error.value)

    torch.save({"w": weight, "inner": {"v": weight}}, tmp_path / "nested.pth")
    with pytest.raises(InputError, match="a dict under 'inner'"):
        readers.read(tmp_path / "nested.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "w.pth").read_bytes()[:200])
    (tmp_path / "text.pth").write_text("weights_only")
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps({"w": 1}, protocol=5))
    for name in ("cut.pth", "text.pth", "pickle.pth"):
        with pytest.raises(InputError, match="damaged or not a PyTorch file|not tensors by name") as error:
            readers.read(tmp_path / name)
        assert "refused" not in str(error.value) and "\n" not in str(error.value)


def test_pth_tensors_are_what_they_say(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch reads .pth files (requirements-torch.txt)")
    for tensor, said in [
        (torch.ones(1).expand(1 << 40), "w of shape [1099511627776] has 4 bytes"),
        (torch.ones(2, dtype=torch.float8_e5m2), "w has type torch.float8_e5m2, which is not known"),
        (torch.ones(2, dtype=torch.complex64), "w has type torch.complex64, which is not known"),
    ]:
        torch.save({"w": tensor}, tmp_path / "w.pth")
        with pytest.raises(InputError) as error:
            readers.read(tmp_path / "w.pth")
        assert said in str(error.value)
