"""Steps on a mesh of eight devices equal those on one."""

import jax
import pytest

from afjax import digests
from afjax.training.checkpoint import load_ema
from afjax.training.generator.state import init_params
from tests.multidevice.cases import settings
from tests.multidevice.runs import MESHES, run


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What one process with eight devices finds: steps compared in float64, a checkpoint's way, draws; the folder."""
    folder = tmp_path_factory.mktemp("checkpoints")
    way = [MESHES["2 x 2 x 2"], {}, {"data": 2, "fsdp": 2}]
    calls = [
        ("compare", ["sgd", [MESHES["2 x 2 x 2"]]], True),
        ("restored", [str(folder), way], False),
        ("draws", [list(MESHES.values())], False),
    ]
    return *run("several", calls), folder


def test_in_float64_losses_and_weights_are_equal_on_data_fsdp_and_tensor(found):
    (found,) = found[0]
    assert found["loss"] < 1e-10 and found["params"] < 1e-10 and found["ema"] < 1e-10
    assert found["programs"] == 1  # nothing is compiled again at the second step


@pytest.mark.slow
def test_in_float64_losses_and_weights_are_equal_on_every_mesh():
    for found in run("compare", "sgd", list(MESHES.values()), x64=True):
        assert found["loss"] < 1e-10 and found["params"] < 1e-10 and found["ema"] < 1e-10


@pytest.mark.slow
def test_in_float32_losses_and_weights_are_equal_but_for_rounding():
    for found in run("compare", "sgd", list(MESHES.values())):
        assert found["loss"] < 1e-5 and found["params"] < 1e-5 and found["ema"] < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_weights_and_moments_are_divided_for_every_optimizer(kind):
    data, fsdp, tensor = run("compare", kind, list(MESHES.values()))
    assert max(found["loss"] for found in (data, fsdp, tensor)) < (1e-5 if kind == "adamw" else 1e-4)
    assert data["share"] == data["optimizer"] == 1
    for found, least in ((fsdp, 0.5), (tensor, 0.25)):
        assert least <= found["share"] < least + 0.2  # kernels with motion or audio channels are divided once
        assert found["optimizer"] == pytest.approx(found["share"], abs=0.1)


@pytest.mark.slow
def test_the_frozen_reference_of_preference_tuning_is_divided_and_has_no_moments():
    data, fsdp, tensor = run("compare", "adamw", list(MESHES.values()), True)
    assert max(found["loss"] for found in (data, fsdp, tensor)) < 1e-5
    assert [one["ref_params"] for one in (data, fsdp, tensor)] == [one["share"] for one in (data, fsdp, tensor)]
    assert tensor["moments"] == 2  # of the policy: mean and square


def test_a_checkpoint_goes_from_8_devices_to_1_to_4_and_into_a_process_with_one(found):
    _, found, _, folder = found
    assert len(set(found["states"])) == 1
    shapes = jax.eval_shape(lambda: init_params(settings(), jax.random.key(0)))
    params, _, _ = load_ema(folder / "0", shapes)  # written on eight devices
    assert digests.of_params(params) == found["ema"]


def test_chance_is_the_same_on_every_mesh(found):
    assert found[2] == [True] * 3


def test_clips_are_generated_on_many_devices_as_on_one():
    """Five clips on four and on three devices: the last is filled up."""
    made = run("generated", [4, 3], devices=4)
    assert made["moved"] > 0.1 and max(made["apart"]) < 1e-5 and made["alone"] < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("parts", [{"adversarial": 0.0, "part_adversarial": 0.0, "style": 0.0}, {"r1_every": 2}])
def test_the_latent_codec_learns_on_many_devices_as_on_one(parts):
    """Four pairs on two and on four devices; the second with discriminators, whose penalty comes every other step."""
    for found in run("codec", [{"data": 2}, {"data": 0}], parts, devices=4):
        assert found["loss"] < 1e-4 and found["params"] < 1e-2


PRESETS = (
    *(("quickstart", variant) for variant in ("passes", "frames")),
    *(("paper", "quickstart"), ("talking_only", ""), ("infp", ""), ("dpo", "prototype"), ("dpo", "paper")),
    *(("ablations.objectives", name) for name in ("forcing_block", "forcing_token", "shared_level", "teacher_forcing")),
)


@pytest.mark.slow
@pytest.mark.parametrize("module, variant", PRESETS)
def test_every_preset_and_objective_steps_on_a_mesh(module, variant):
    one, divided = run("preset", module, variant, MESHES["2 x 2 x 2"], module == "dpo")
    assert divided == pytest.approx(one, rel=1e-3)
