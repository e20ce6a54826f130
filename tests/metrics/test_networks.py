import sys
from types import SimpleNamespace

import numpy as np
import pytest

from afjax.errors import InputError
from afjax.metrics.pretrained import networks, pictures
from experiments.evaluation.tiny_networks import write_linear, write_tiny


class Session:
    """What onnxruntime's session offers; gives the mean of each picture in every feature."""

    def __init__(self, takes, gives):
        self.takes, self.gives = takes, gives

    def get_inputs(self):
        return [SimpleNamespace(name=f"in{i}", shape=shape) for i, shape in enumerate(self.takes)]

    def get_outputs(self):
        return [SimpleNamespace(name=f"out{i}", shape=shape) for i, shape in enumerate(self.gives)]

    def run(self, names, feeds):
        (batch,) = feeds.values()
        length = self.gives[int(names[0][3:])][1]
        return [np.broadcast_to(batch.mean(axis=tuple(range(1, batch.ndim)))[:, None], (len(batch), length))]


@pytest.mark.parametrize(
    "kind, takes, gives",
    [
        ("arcface", ["batch", 3, 112, 112], ["batch", 512]),
        ("arcface", [1, 3, None, None], [1, 512]),
        ("inception", ["N", 3, 299, 299], ["N", 2048, 1, 1]),
        ("i3d", ["N", 3, 16, 224, 224], ["N", 400]),
        ("syncnet_lips", ["N", 3, 5, 224, 224], ["N", 1024]),
        ("syncnet_sound", ["N", 1, 13, 20], ["N", 1024]),
    ],
)
def test_networks_that_fit(kind, takes, gives):
    network = networks.Network(kind, Session([takes], [["N", 3], gives]))
    spec = networks.KINDS[kind]
    batch = np.ones((2, *(16 if length is None else length for length in spec.shape)))
    batch[1] = 3.0
    features = network(batch)
    assert features.shape == (2, spec.features) and features.dtype == np.float32
    np.testing.assert_allclose(features[:, 0], [1.0, 3.0])
    assert network(batch[:0]).shape == (0, spec.features)


@pytest.mark.parametrize(
    "takes, gives, word",
    [
        ([["N", 3, 160, 160]], [["N", 512]], r"takes \[N, 3, 160, 160\], not \[N, 3, 112, 112\]"),
        ([["N", 112, 112, 3]], [["N", 512]], "not"),
        ([["N", 3, 112, 112], ["N", 1]], [["N", 512]], "and"),
        ([["N", 3, 112, 112]], [["N", 128]], r"gives \[N, 128\], not \[N, 512\]"),
        ([["N", 3, 112, 112]], [["N", 512, 7, 7]], "gives"),
        ([], [], "takes nothing"),
    ],
)
def test_networks_that_do_not_fit_are_named_in_one_line(takes, gives, word):
    with pytest.raises(InputError, match=word) as caught:
        networks.Network("arcface", Session(takes, gives), "face.onnx")
    assert "face.onnx" in str(caught.value) and "\n" not in str(caught.value)


def test_a_batch_of_another_shape_and_a_network_that_fails():
    network = networks.Network("arcface", Session([["N", 3, 112, 112]], [["N", 512]]))
    with pytest.raises(ValueError, match="arcface takes"):
        network(np.zeros((1, 3, 64, 64)))
    network._session.run = lambda names, feeds: 1 / 0
    with pytest.raises(InputError, match="does not run"):
        network(np.zeros((1, 3, 112, 112)))


def test_a_network_of_one_batch_size_takes_any_number():
    """Of a file exported for batches of 2, three inputs give what each alone gives."""
    network = networks.Network("arcface", Session([[2, 3, 112, 112]], [[2, 512]]))
    batch = np.arange(3.0)[:, None, None, None] * np.ones((1, 3, 112, 112))
    assert network(batch)[:, 5].tolist() == [0.0, 1.0, 2.0] and network(batch[2:]).shape == (1, 512)


def test_features_that_are_no_numbers_are_refused():
    network = networks.Network("arcface", Session([["N", 3, 112, 112]], [["N", 512]]), "face.onnx")
    with pytest.raises(InputError, match="face.onnx: .*not finite"):
        network(np.full((1, 3, 112, 112), np.inf))


def test_a_folder_of_networks(tmp_path):
    """Every kind by its file's name, with weights that give means of cells: the figures are known."""
    pytest.importorskip("onnxruntime")
    found = networks.load_folder(write_tiny(tmp_path / "all"))
    assert set(found) == set(networks.KINDS)
    weights = np.zeros((192, 512))
    weights[0, 7], weights[64, 8] = 2.0, 1.0
    write_linear(tmp_path / "one" / "arcface.onnx", "arcface", (14, 14), weights)
    (network,) = networks.load_folder(tmp_path / "one").values()
    batch = np.zeros((2, 3, 112, 112))
    batch[1, 0, :14, :14], batch[1, 1] = 3.0, 5.0
    features = network(batch)
    assert features[1, 7:9].tolist() == [6.0, 5.0] and np.abs(features).sum() == 11.0
    i3d = found["i3d"](np.random.default_rng(0).normal(size=(3, 3, 16, 224, 224)))
    assert i3d.shape == (3, 400) and np.ptp(i3d) > 0


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "no such folder; docs/metrics.md"),
        ((), "no network in it; any of arcface.onnx"),
        (("arcfaces.onnx",), "arcfaces.onnx: .*not known; did you mean arcface.onnx"),
        (("clip.onnx",), "names are arcface.onnx, inception.onnx"),
        (("syncnet_lips.onnx",), "one half of SyncNet"),
    ],
)
def test_folders_that_are_refused(tmp_path, files, message):
    folder = tmp_path / "networks"
    for name in files or ():
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    if files == ():
        folder.mkdir()
    with pytest.raises(InputError, match=message):
        networks.load_folder(folder)


def test_load_names_what_is_wrong(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no such file"):
        networks.load("arcface", tmp_path / "none.onnx")
    with pytest.raises(InputError, match="no network of the kind vgg"):
        networks.load("vgg", tmp_path / "none.onnx")
    file = tmp_path / "broken.onnx"
    file.write_bytes(b"not a network")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="onnxruntime is missing; pip install -r requirements-metrics.txt"):
        networks.load("arcface", file)


def test_a_broken_file(tmp_path):
    pytest.importorskip("onnxruntime")
    file = tmp_path / "broken.onnx"
    file.write_bytes(b"not a network")
    with pytest.raises(InputError, match="not a readable ONNX file"):
        networks.load("arcface", file)


def test_only_the_famous_network_gives_the_famous_name():
    assert networks.metric_name("FID", "inception") == "FID"
    assert networks.metric_name("FVD", "i3d") == "FVD"
    assert networks.metric_name("CSIM", "arcface") == "CSIM"
    assert networks.metric_name("FID", "i3d") == "FD-i3d"
    assert networks.metric_name("FID", "coefficients") == "FD-coefficients"
    assert networks.metric_name("CSIM", "dlib") == "CSIM-dlib"
    assert networks.metric_name("LSE-D", "mel") == "sync-distance-mel"


def test_align_undoes_a_turn():
    """A picture drawn turned, scaled and moved comes back as it was, away from what the move lost."""
    face = np.random.default_rng(0).integers(0, 256, (112, 112, 3)).astype(np.uint8)
    assert (pictures.align(face, pictures.ARCFACE_POINTS) == face).all()
    points = pictures.ARCFACE_POINTS
    turned = np.rot90(face)  # (x, y) goes to (y, 111 - x)
    moved = np.stack([points[:, 1], 111 - points[:, 0]], axis=-1)
    assert (pictures.align(turned, moved)[1:-1, 1:-1] == face[1:-1, 1:-1]).all()
    large = np.repeat(np.repeat(face, 2, axis=0), 2, axis=1)
    back = pictures.align(large, 2 * points + 0.5)
    assert np.abs(back[1:-1, 1:-1].astype(int) - face[1:-1, 1:-1]).max() <= 1
    with pytest.raises(InputError, match="one spot"):
        pictures.align(face, np.ones((5, 2)))


def test_resize_is_linear_between_pixel_centres():
    ramp = np.broadcast_to(np.arange(4.0)[:, None, None], (4, 5, 3))
    np.testing.assert_allclose(pictures.resize(ramp, 8)[:, 0, 0], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    np.testing.assert_allclose(pictures.resize(ramp, 2)[:, 1, 2], [0.5, 2.5])
    same = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3)).astype(np.uint8)
    assert (pictures.resize(same, 6) == same).all()


def test_inputs_have_the_networks_shapes_and_ranges():
    white = np.full((2, 112, 112, 3), 255, np.uint8)
    made = {
        "arcface": pictures.arcface_input(white),
        "inception": pictures.inception_input(white),
        "i3d": pictures.i3d_input(np.stack([white, 0 * white])),
    }
    for kind, batch in made.items():
        assert networks._fits(batch.shape, (None, *networks.KINDS[kind].shape))
        np.testing.assert_allclose(batch.max(), 1.0, rtol=1e-6)
    assert made["i3d"].shape == (2, 3, 2, 224, 224) and (made["i3d"][1] == -1.0).all()
