"""What `tests.multidevice.runs` runs where there are many devices; results are plain numbers."""

import dataclasses
import importlib
from pathlib import Path

import jax
import numpy as np

from afjax import digests
from afjax.codec.latent.config import LatentConfig
from afjax.config import (
    ComputeConfig,
    Config,
    DataConfig,
    ObjectiveConfig,
    OptimizerConfig,
    PreferenceConfig,
    SamplerConfig,
    TrainingConfig,
    from_dict,
)
from afjax.streaming.generator import Generator
from afjax.training import sharding
from afjax.training.checkpoint import Checkpoints
from afjax.training.generator.state import abstract_state, init_params, init_state, token_layout
from afjax.training.generator.step import make_random_inputs, make_train_step
from afjax.training.latent_codec import step as latent_codec
from afjax.training.latent_codec.config import LatentTrainingConfig, LossConfig, PicturesConfig
from tests.small_model import conditions, scrambled, small_config
from tests.streaming.test_generator import Unscaled


def settings(kind: str = "sgd", tuned: bool = False, **compute) -> Config:
    """A small model, a few steps."""
    config = small_config(depth=1)
    return dataclasses.replace(
        config,
        optimizer=OptimizerConfig(kind=kind, learning_rate=0.03 if kind == "sgd" else 3e-3, warmup_steps=1),
        objective=ObjectiveConfig(condition_dropout=0.0 if tuned else 0.1),
        preference=PreferenceConfig(path="losing", model="run", beta=50.0) if tuned else PreferenceConfig(),
        training=TrainingConfig(num_steps=8),
        data=DataConfig(window=config.data.window, batch=8),
        compute=ComputeConfig(**compute),
    )


def on(config: Config, mesh: dict) -> Config:
    return dataclasses.replace(config, compute=ComputeConfig(**mesh))


def batch_of(config: Config, number: int) -> dict:
    """The rows of a batch that this process reads; they depend on its number alone."""
    rng = np.random.default_rng(number)
    c, shape = config.model, (config.data.batch, config.data.window)
    dims = dict.fromkeys(("avatar_motion", "user_motion", "losing_motion"), c.motion_dim)
    dims |= dict.fromkeys(("avatar_features", "user_features"), c.audio_dim)
    batch = {name: rng.standard_normal((*shape, dim)).astype(np.float32) for name, dim in dims.items()}
    batch["reference_motion"] = np.zeros((shape[0], c.motion_dim), np.float32)
    index, count = sharding.rows(config.compute, config.data.batch)
    return {name: np.split(array, count)[index] for name, array in batch.items()}


def trained(config: Config, steps: int = 5, state=None, start=None, ref_params=None):
    """Losses of a few steps, the state after them, and the number of programs that were compiled for them."""
    state = init_state(config, start) if state is None else state
    step, draw, layout = make_train_step(config, ref_params), make_random_inputs(config), token_layout(config)
    place, losses, before = sharding.make_place(config.compute, config.data.batch), [], step.func._cache_size()
    for number in range(int(state.step), int(state.step) + steps):
        state, metrics = step(state, place(batch_of(config, number)), draw(number), layout)
        losses.append(float(metrics["loss"]))
    return losses, state, step.func._cache_size() - before


def apart(losses, others) -> float:
    """Largest relative difference of two lists."""
    return float(np.abs(np.divide(losses, others) - 1).max())


def difference(a, b) -> float:
    """Largest difference of two trees, leaf by leaf in shares of the leaf's largest entry."""
    shares = jax.tree.map(lambda x, y: np.abs(x - y).max() / np.abs(y).max(), *(jax.device_get((a, b))))
    return float(max(jax.tree.leaves(shares)))


def matrices(tree) -> int:
    """Number of matrices in a tree."""
    return sum(leaf.ndim == 2 for leaf in jax.tree.leaves(tree))


def share(tree) -> float:
    """Which part of a tree's matrices a device holds; 1 where there are none."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if leaf.ndim == 2]
    return sum(x.addressable_data(0).size for x in leaves) / sum(x.size for x in leaves) if leaves else 1.0


def compare(kind: str, meshes: list, tuned: bool = False):
    """For each mesh: how far losses and weights of five steps are from one device's, and how they are divided."""
    config = settings(kind, tuned)
    dtype = np.float64 if jax.config.jax_enable_x64 else np.float32
    start = scrambled(config, 0.1, dtype)
    given = {"start": start, "ref_params": start if tuned else None}
    losses, state, _ = trained(config, **given)
    found = []
    for mesh in meshes:
        divided = on(config, mesh)
        theirs, other, programs = trained(divided, **given)
        found.append(
            {
                "loss": apart(theirs, losses),
                "params": difference(other.params, state.params),
                "ema": difference(other.ema_params, state.ema_params),
                "programs": programs,
                "share": share(other.params),
                "optimizer": share(other.opt_state),
                "moments": matrices(other.opt_state) // matrices(other.params),
                "ref_params": share(make_train_step(divided, start).args[0]),
            }
        )
    return found


def draws(meshes: list):
    """Whether what chance decides is the same on every mesh, to the bit."""
    wanted = jax.device_get(make_random_inputs(settings())(3))
    found = [jax.device_get(make_random_inputs(on(settings(), mesh))(3)) for mesh in meshes]
    return [all(np.array_equal(a, b) for a, b in zip(wanted, one, strict=True)) for one in found]


def preset(module: str, variant: str, mesh: dict, tuned: bool = False):
    """Losses of two steps of a preset made tiny, on one device and on a mesh."""
    config = importlib.import_module(f"experiments.configs.{module}").get_config(variant)
    config.model.update(motion_dim=3, audio_dim=4, width=16, depth=1, heads=2, mlp_ratio=2)
    config.model.update(condition_width=16, condition_heads=2)
    config.data.batch = 8
    config.optimizer.warmup_steps = 1
    config.training.num_steps = 8
    if tuned:
        config.preference.update(path="losing", model="run")
    config = on(from_dict(config.to_dict()), {})
    ref_params = init_params(config, jax.random.key(0)) if tuned else None
    start = {"start": ref_params, "ref_params": ref_params}
    return [trained(one, steps=2, **start)[0] for one in (config, on(config, mesh))]


def restored(workdir: str, meshes: list):
    """A state that is made on the first mesh goes from checkpoint to checkpoint over the others; hashes of each."""
    state = init_state(on(settings("adamw"), meshes[0]))
    hashes = [digests.of_params(state)]
    for number, mesh in enumerate(meshes[1:]):
        wanted = abstract_state(on(settings("adamw"), mesh))
        with Checkpoints(Path(workdir) / str(number)) as checkpoints:
            checkpoints.save(state, {}, {})
            state, _ = checkpoints.restore(wanted)
        for found, asked in zip(*map(jax.tree.leaves, (state, wanted)), strict=True):
            assert found.sharding == asked.sharding
        hashes.append(digests.of_params(state))
    return {"states": hashes, "ema": digests.of_params(state.ema_params)}


def several(calls: list):
    """What functions of this file return, `calls` their names, arguments and whether in float64: one start for all."""
    found = []
    for name, arguments, x64 in calls:
        jax.config.update("jax_enable_x64", x64)
        found.append(globals()[name](*arguments))
    return found


def generated(devices: list[int]):
    """Of five clips: how much they move on one device, how far off they are on others, and the third one alone."""
    config = dataclasses.replace(small_config(depth=1, convolutions=1, relative_frames=7), sampler=SamplerConfig(nfe=1))
    given, rest = conditions(config, 5, 12), np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    one = Generator(config, scrambled(config, 0.2), Unscaled)
    tracks = [np.asarray(track) for track in (given.avatar_features, given.user_features, given.user_motion)]
    wanted = one.clips(*tracks, 7, reference_motion=rest)
    alone = one.clips(*(track[2:3] for track in tracks), 7, reference_motion=rest[2:3], numbers=[2])
    found = {"moved": float(wanted.std()), "alone": float(np.abs(alone - wanted[2:3]).max()), "apart": []}
    for count in devices:
        made = one.on_devices(jax.local_devices()[:count])
        found["apart"].append(float(np.abs(made.clips(*tracks, 7, reference_motion=rest) - wanted).max()))
    return found


def codec(meshes: list, parts: dict, steps: int = 2):
    """Of the latent codec's training: the largest relative difference of losses and weights from one device's."""
    config = LatentTrainingConfig(
        codec=LatentConfig(size=64, dim=8, directions=4, channels=(8, 8, 8, 8, 4)),
        loss=LossConfig(part_size=16, **parts),
        pictures=PicturesConfig(batch=4),
        training=TrainingConfig(num_steps=9),
    )
    rng, found = np.random.default_rng(0), []
    batches = [
        {
            "pictures": rng.integers(0, 255, (4, 2, 64, 64, 3)).astype(np.uint8),
            "boxes": np.tile(np.array([0.3, 0.3, 0.6, 0.6], np.float32), (4, 2, 3, 1)),
        }
        for _ in range(steps)
    ]
    for mesh in [{}, *meshes]:
        compute = ComputeConfig(**mesh)
        one, losses = dataclasses.replace(config, compute=compute), []
        state = jax.jit(lambda: latent_codec.init_state(config))()
        state, step = sharding.put(compute, state), latent_codec.make_step(one)
        place = sharding.make_place(compute, 4)
        for batch in batches:
            state, metrics = step(state, place(batch))
            losses.append(float(metrics["loss"]))
        found.append((losses, jax.device_get(state.params)))
    (losses, params), *others = found
    return [{"loss": apart(theirs, losses), "params": difference(other, params)} for theirs, other in others]


def process(where: str, mesh: dict):
    """One of several processes: losses and the hash of the weights after five steps."""
    if where:
        sharding.join(where)
    losses, state, _ = trained(settings(**mesh))
    return {"losses": losses, "sha256": digests.of_params(state.params), "devices": jax.device_count()}
