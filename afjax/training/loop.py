"""The training loop: draws, steps, logs, saves, resumes."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax

from afjax.config import Config
from afjax.training.checkpoint import Checkpoints
from afjax.training.logging import MetricWriter
from afjax.training.sharding import make_place
from afjax.training.state import TrainState, init_state, token_layout
from afjax.training.step import make_draw, make_train_step


def train(
    config: Config,
    workdir: Path,
    batches: Iterator,
    meta: dict,
    stop: int | None = None,
    tensorboard: bool = False,
    progress: Callable[[int, dict], None] = lambda step, metrics: None,
    sample: Callable[[int, dict], object] = lambda step, params: None,
    reference=None,
) -> TrainState:
    """Trains to `config.training.num_steps` (or pauses at `stop`), from the latest checkpoint in `workdir` if any.

    Args:
      batches: iterator of batches (see `afjax.training.step.clip_loss`) with `get_state` and `set_state`.
      meta: stored with every checkpoint: config and motion statistics, all that inference needs.
      progress: called every `log_every` steps; sample: called with averaged weights every `sample_every` steps.
      reference: parameters to tune by preferences (`preference_loss`). Then `sample` is also called before the first
        and after the last step, and ends the run by returning anything true; the result is the last saved state.

    Raises:
      FloatingPointError: the loss is not finite.
    """
    settings = config.training
    end = settings.num_steps if stop is None else min(stop, settings.num_steps)
    state, layout = init_state(config, reference), token_layout(config)
    step_fn, draw, place = make_train_step(config, reference), make_draw(config), make_place(config)
    with Checkpoints(workdir, settings.keep) as checkpoints:
        if checkpoints.latest is not None:
            state, place = checkpoints.restore(state)
            batches.set_state(place)
        elif reference is not None:
            sample(0, state.ema_params)
            checkpoints.save(state, batches.get_state(), meta)
        done = int(state.step)
        writer = MetricWriter(workdir, done, tensorboard)
        since, clock = done, time.perf_counter()
        began = clock - writer.last.get("seconds", 0.0)
        while done < end:
            state, metrics = step_fn(state, place(next(batches)), draw(done), layout)
            done += 1
            if done % settings.log_every == 0 or done == end:
                metrics = {name: float(value) for name, value in jax.device_get(metrics).items()}
                if not math.isfinite(metrics["loss"]):
                    raise FloatingPointError(f"loss is {metrics['loss']} at step {done}")
                metrics["steps_per_second"] = (done - since) / (time.perf_counter() - clock)
                metrics["seconds"] = time.perf_counter() - began
                writer.write(done, **metrics)
                progress(done, metrics)
                since, clock = done, time.perf_counter()
            sampled = done % settings.sample_every == 0 and (done < end or reference is not None)
            if sampled and sample(done, state.ema_params):
                state, _ = checkpoints.restore(state)
                break
            if done % settings.save_every == 0 or done == end:
                checkpoints.save(state, batches.get_state(), meta)
        writer.close()
    return state
