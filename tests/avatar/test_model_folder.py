"""A model as a folder to give away: bit for bit what was saved, and one line for whatever is wrong with it."""

import json
import os
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

import afjax
from afjax import digests
from afjax.audio.feature_extractors import MelFeatures
from afjax.avatar import model_folder, shipped
from afjax.avatar.avatar import Avatar
from afjax.avatar.codecs import codecs_of
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config, DataConfig, LayoutConfig, ModelConfig, PreferenceConfig, SamplerConfig
from afjax.errors import InputError
from afjax.normalizer import Normalizer
from afjax.streaming.generator import Generator
from afjax.weights import readers
from tests.small_model import scrambled

MEGABYTES = 15
"""What a model that ships may take."""


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    config = Config(
        name="tiny",
        model=ModelConfig(len(CHANNELS), MelFeatures.dim, 16, 1, 2, mlp_ratio=1, condition_width=16, condition_heads=2),
        layout=LayoutConfig(5, 0, "blockwise", cache=10, condition_window=4, user_delay=5),
        sampler=SamplerConfig(nfe=1),
        data=DataConfig(path="/home/trainer/records"),
        preference=PreferenceConfig(path="/home/trainer/losing", model="/home/trainer/run"),
    )
    rng = np.random.default_rng(0)
    numbers = [rng.uniform(0.1, 1, n).astype(np.float32) for n in (len(CHANNELS), MelFeatures.dim) for _ in range(2)]
    return Avatar(config, Generator(config, scrambled(config), Normalizer(*numbers)), MelFeatures, codecs_of(), step=7)


@pytest.fixture(scope="module")
def saved(avatar, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    avatar.save(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(saved, tmp_path / "tiny")


def motion(avatar: Avatar) -> np.ndarray:
    rng = np.random.default_rng(1)
    user, voice = rng.standard_normal((12, len(CHANNELS))), 0.1 * rng.standard_normal(12 * 640)
    return avatar.generate(12, user.astype(np.float32), voice.astype(np.float32), seed=3)


def test_a_saved_model_moves_to_the_bit_as_before(avatar, saved):
    found = afjax.load(saved)
    np.testing.assert_array_equal(motion(found), motion(avatar))
    np.testing.assert_array_equal(found.engine().config.layout.user_delay, avatar.engine().config.layout.user_delay)
    for ours, theirs in zip(*(jax.tree.leaves(a.generator.params) for a in (found, avatar)), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (found.step, found.folder, found.codec(128).size) == (7, saved, 128)


def test_it_holds_no_folder_of_the_machine_that_trained(avatar, saved):
    assert {file.name for file in saved.iterdir()} == {*model_folder.FILES, model_folder.CARD}
    assert "/home" not in (saved / "model.json").read_text()
    config = afjax.load(saved).config
    assert replace(config, data=avatar.config.data, preference=avatar.config.preference) == avatar.config
    assert set(readers.read(saved / "model.safetensors")) >= {"head.bias", "blocks_0.attention.qkv.kernel"}
    assert "afjax.load" in (saved / "README.md").read_text()


def test_of_the_model_that_it_started_from_the_name_stays(avatar, tmp_path):
    training = replace(avatar.config.training, start_from="/home/trainer/first")
    config = replace(avatar.config, preference=PreferenceConfig(), training=training)
    avatar.with_config(config).save(tmp_path / "second")
    assert afjax.load(tmp_path / "second").config.training.start_from == "first"


def test_saving_again_replaces_the_model_and_keeps_its_card(avatar, folder):
    (folder / "README.md").write_text("mine")
    replace(avatar, step=8).save(folder)
    assert (afjax.load(folder).step, (folder / "README.md").read_text()) == (8, "mine")
    avatar.save(folder, card="another")
    assert (afjax.load(folder).step, (folder / "README.md").read_text()) == (7, "another")
    for name in model_folder.FILES:  # a card that waits for its model
        (folder / name).unlink()
    avatar.save(folder)
    assert (folder / "README.md").read_text() == "another" and len(list(folder.parent.iterdir())) == 1


def test_nothing_else_is_replaced_and_nothing_is_left_behind(avatar, folder):
    (folder / "photos").mkdir()
    before = sorted(os.listdir(folder))
    with pytest.raises(InputError, match="it exists already"):
        avatar.save(folder)
    assert sorted(os.listdir(folder)) == before and os.listdir(folder.parent) == ["tiny"]


def test_what_the_format_does_not_hold_is_refused(avatar, tmp_path):
    ears = {"name": "wav2vec2", "dim": 9, "window": 1, "block": 0, "params": (), "at": lambda self, _: self}
    for odd, message in (
        (replace(avatar, codecs=lambda *_: type("Codec", (), {"channels": ("a", "b")})), "of a latent codec"),
        (replace(avatar, load_features=lambda: type("Ears", (), ears)()), "it hears wav2vec2 features"),
        (avatar_with(avatar, np.nan), "not finite: head.bias"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            odd.save(tmp_path / "none")
    assert not os.listdir(tmp_path)


def avatar_with(avatar: Avatar, value: float) -> Avatar:
    """The avatar with a number in its head."""
    params = {"params": dict(avatar.generator.params["params"])}
    head = params["params"]["head"]
    params["params"]["head"] = head | {"bias": head["bias"].at[0].set(value)}
    return replace(avatar, generator=Generator(avatar.config, params, avatar.normalizer))


def change(folder, **entries):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def setting(folder, group, **values):
    """Other values in a group of the stored config."""
    config = json.loads((folder / "model.json").read_text())["config"]
    change(folder, config=config | {group: config[group] | values})


def tensors(folder, **changes):
    """Other tensors, with the hash that belongs to them; None takes one away."""
    path = folder / "model.safetensors"
    found = {name: np.array(value) for name, value in readers.read(path).items()} | changes
    readers.write_safetensors(path, {name: value for name, value in found.items() if value is not None})
    change(folder, sha256=digests.of_file(path))


def statistics(folder, **values):
    found = json.loads((folder / "model.json").read_text())["statistics"] | values
    change(folder, statistics=found)


BIAS = np.zeros(len(CHANNELS), np.float32)
DAMAGE = {
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors: no such file"),
    "no table": (lambda f: (f / "model.json").unlink(), "model.json: no such file"),
    "a bit of the weights": (lambda f: flip(f / "model.safetensors"), "its SHA-256 is not the one in model.json"),
    "half a table": (lambda f: (f / "model.json").write_text('{"format": '), "is not JSON"),
    "deep": (lambda f: (f / "model.json").write_text("[" * 100_000), "is not JSON"),
    "newer": (lambda f: change(f, format="afjax.model/2"), "its format is 'afjax.model/2', this afjax reads"),
    "no config": (lambda f: change(f, config=None), "must be a group of settings"),
    "unknown setting": (lambda f: setting(f, "model", widht=3), "unknown field 'widht'"),
    "another size": (lambda f: setting(f, "model", width=32), "of another shape"),
    "deeper": (lambda f: setting(f, "model", depth=2), "missing: blocks_1"),
    "endless": (lambda f: setting(f, "model", depth=10**9), "not those of its config.model"),
    "immense": (lambda f: setting(f, "model", width=2**40), "not those of its config.model"),
    "other motion": (lambda f: setting(f, "model", motion_dim=10**12), "motion_mean has shape"),
    "other features": (lambda f: change(f, features={"name": "mel"}), "its features are not those of this afjax"),
    "other channels": (lambda f: change(f, channels=list(CHANNELS[::-1])), "its channels are not those"),
    "a latent codec": (lambda f: setting(f, "data", codec="ae"), "needs weights that are not in the folder"),
    "no step": (lambda f: change(f, step=True), "step is True, no count"),
    "no statistics": (lambda f: change(f, statistics=[]), "statistics: they are missing"),
    "changed statistics": (lambda f: statistics(f, motion_mean=[0.0] * len(CHANNELS)), "do not match their hash"),
    "immense statistics": (lambda f: statistics(f, motion_std=[10**400] * len(CHANNELS)), "no list of numbers"),
    "a tensor less": (lambda f: tensors(f, **{"head.bias": None}), "1 missing: head.bias"),
    "a tensor more": (lambda f: tensors(f, more=BIAS), "1 unexpected: more"),
    "half precision": (lambda f: tensors(f, **{"head.bias": BIAS.astype(np.float16)}), "must be float32"),
    "not finite": (lambda f: tensors(f, **{"head.bias": BIAS + np.inf}), "1 not finite: head.bias"),
    "no tensors": (lambda f: rewrite(f, b"{}"), "not those of its config.model"),
    "no safetensors": (lambda f: rewrite(f, b"text"), "header is not JSON"),
}  # fmt: skip


def flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def rewrite(folder, header: bytes):
    path = folder / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    change(folder, sha256=digests.of_file(path))


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_said_in_one_line(folder, damage):
    do, message = DAMAGE[damage]
    do(folder)
    with pytest.raises(InputError) as error:
        afjax.load(folder)
    assert message in str(error.value) and "\n" not in str(error.value) and str(folder) in str(error.value)


def test_any_value_in_the_table_is_read_or_refused(folder):
    """No value of another kind, anywhere in `model.json`, is a defect."""
    path = folder / "model.json"
    original = path.read_text()

    def places(values, at=()):
        for name, value in values.items():
            yield (*at, name)
            if isinstance(value, dict):
                yield from places(value, (*at, name))

    refused = 0
    for place in places(json.loads(original)):
        for odd in (None, -1, 10**30, 1e308, "", "x", [], [[]], {}, {"a": 1}, True):
            table = json.loads(original)
            inner = table
            for name in place[:-1]:
                inner = inner[name]
            inner[place[-1]] = odd
            path.write_text(json.dumps(table))
            try:
                model_folder.read(folder)
            except InputError as error:
                refused += 1
                assert "\n" not in str(error)
    assert refused > 500


@pytest.fixture
def models(saved, tmp_path, monkeypatch):
    """A folder of shipped models with one, `listener`."""
    monkeypatch.setattr(shipped, "MODELS", tmp_path / "models")
    shutil.copytree(saved, tmp_path / "models" / "listener")
    (tmp_path / "models" / "coming").mkdir()
    (tmp_path / "models" / "coming" / "README.md").touch()  # a card without a model
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "models"


def test_a_shipped_model_has_a_name(avatar, saved, models):
    found = afjax.load("listener")
    assert found.folder == models / "listener"
    np.testing.assert_array_equal(motion(found), motion(avatar))
    replace(avatar, step=9).save("listener")
    assert afjax.load("listener").step == 9, "a folder of that name goes before it"


@pytest.mark.parametrize("name", ["lisener", "coming", "", "models/listener"])
def test_an_unknown_name_lists_those_there_are(name, models):
    with pytest.raises(InputError) as error:
        afjax.load(name or "a folder")
    said = str(error.value)
    assert "(listener), or a run folder" in said and "\n" not in said


def test_without_shipped_models_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "MODELS", tmp_path)
    with pytest.raises(InputError, match="none does here"):
        afjax.load("listener")


@pytest.mark.skipif(not shipped.shipped(), reason="no model ships yet")
@pytest.mark.parametrize("name", shipped.shipped() or ["none"])
def test_what_ships_loads_is_small_and_has_a_card(name):
    folder = shipped.shipped()[name]
    assert sum(file.stat().st_size for file in folder.iterdir()) < MEGABYTES * 1e6
    assert np.isfinite(motion(afjax.load(name))).all()
    card = (folder / "README.md").read_text()
    assert "Apache-2.0" in card and "TO BE MEASURED" not in card
