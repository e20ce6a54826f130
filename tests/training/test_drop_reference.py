"""The portrait's own motion is dropped in the share of windows that the config says."""

import dataclasses

import jax
import numpy as np
import pytest

from afjax.errors import InputError
from afjax.nn.transformer import ForcingTransformer
from afjax.training.generator.state import token_layout
from afjax.training.generator.step import generator_loss, make_random_inputs
from tests.multidevice.cases import batch_of, settings
from tests.small_model import scrambled


def dropping(share: float, batch: int = 8):
    config = settings()
    objective = dataclasses.replace(config.objective, reference_dropout=share)
    return dataclasses.replace(config, objective=objective, data=dataclasses.replace(config.data, batch=batch))


def test_so_many_references_are_dropped_and_nothing_else_changes():
    kept = np.mean([make_random_inputs(dropping(0.25, 512))(step).reference_mask for step in range(4)])
    assert kept == pytest.approx(0.75, abs=0.04)
    plain, half = (make_random_inputs(dropping(share))(3) for share in (0.0, 0.5))
    assert plain.reference_mask.min() == 1 and half.reference_mask.min() == 0
    for name in ("noise", "noise_level", "history", "condition_mask"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(half, name))
    with pytest.raises(InputError, match="objective.reference_dropout must lie in"):
        dropping(1.5)


def test_a_dropped_reference_has_no_effect():
    config = dropping(0.0)
    params, layout, batch = scrambled(config, 0.2), token_layout(config), batch_of(config, 0)
    model = ForcingTransformer(config.model)
    loss = jax.jit(lambda batch, draw: generator_loss(model, "l2", params, batch, draw, layout)[0])
    moved = batch | {"reference_motion": batch["reference_motion"] + 3}
    draw = make_random_inputs(config)(0)
    dropped = draw._replace(reference_mask=np.zeros_like(draw.reference_mask))
    assert loss(batch, draw) != loss(moved, draw)
    assert loss(batch, dropped) == loss(moved, dropped) == loss(batch, draw), "a reference of 0 is the mean"
