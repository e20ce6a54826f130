"""The training loop: draws, steps, logs, saves, resumes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax

from afjax.config import Config
from afjax.training.checkpoint import Checkpoints
from afjax.training.guard import LossGuard
from afjax.training.logging import MetricWriter
from afjax.training.preemption import Preemption
from afjax.training.profile import Profile
from afjax.training.sharding import make_place
from afjax.training.state import TrainState, init_state, token_layout
from afjax.training.step import make_draw, make_train_step
from afjax.training.throughput import Meter


def train(
    config: Config,
    workdir: Path,
    batches: Iterator,
    meta: dict,
    stop: int | None = None,
    tensorboard: bool = False,
    begun: Callable[[int], None] = lambda step: None,
    progress: Callable[[int, dict], None] = lambda step, metrics: None,
    sample: Callable[[int, dict], object] = lambda step, params: None,
    reference=None,
    profile: tuple[int, int] | None = None,
) -> TrainState:
    """Trains to `config.training.num_steps` (or pauses at `stop`), from the newest checkpoint in `workdir` if any.

    SIGTERM, SIGINT and SIGHUP wait until the step under way is done and saved.

    Args:
      batches: iterator of batches (see `afjax.training.step.clip_loss`) with `get_state` and `set_state`, and with
        `windows`, the names of what the last batch holds.
      meta: stored with every checkpoint: config and motion statistics, all that inference needs.
      begun: called once with the step to go on from, 0 at first.
      progress: called every `log_every` steps; sample: called with averaged weights every `sample_every` steps.
      reference: parameters to tune by preferences (`preference_loss`). Then `sample` is also called before the first
        and after the last step, and ends the run by returning anything true; the result is the last saved state.
      profile: first step and end of the steps that the profiler traces into `workdir/profile`.

    Raises:
      InputError: the loss is not finite or has exploded (the windows are named); `workdir` belongs to a run with
        another config or other data, holds damaged checkpoints only, or can't be written.
    """
    settings = config.training
    end = settings.num_steps if stop is None else min(stop, settings.num_steps)
    state, layout = init_state(config, reference), token_layout(config)
    step_fn, draw, on_devices = make_train_step(config, reference), make_draw(config), make_place(config)
    meter, kept = Meter(config, tuned=reference is not None), (settings.keep, settings.keep_every, settings.keep_best)
    tracing = Profile(Path(workdir) / "profile", profile)
    with Preemption() as preemption, Checkpoints(workdir, *kept) as checkpoints, tracing:
        if checkpoints.latest is not None:
            state, place = checkpoints.restore(state, meta)
            batches.set_state(place)
        elif reference is not None:
            sample(0, state.ema_params)
            checkpoints.save(state, batches.get_state(), meta)
        done = int(state.step)
        begun(done)
        writer = MetricWriter(workdir, done, tensorboard)
        guard, first = LossGuard(settings.explosion, writer.last.get("loss")), done
        began = time.perf_counter() - writer.last.get("seconds", 0.0)
        while done < end:
            with tracing.step(done, state):
                state, metrics = step_fn(state, on_devices(meter.next(batches)), draw(done), layout)
            done += 1
            guard.note(done, metrics, getattr(batches, "windows", ()))
            asked = preemption.asked(done)
            logged, saved = (done % every == 0 or done == end for every in (settings.log_every, settings.save_every))
            sampled = done % settings.sample_every == 0 and (done < end or reference is not None)
            if logged or sampled or saved or asked:
                guard.check(checkpoints.latest)
            if logged:
                metrics = {name: float(value) for name, value in jax.device_get(metrics).items()}
                guard.usual = metrics["loss"]
                metrics |= meter.figures() | {"seconds": time.perf_counter() - began}
                writer.write(done, **metrics)
                progress(done, metrics)
            if sampled and sample(done, state.ema_params):
                state, place = checkpoints.restore(state)
                batches.set_state(place)
                break
            if saved or asked:
                checkpoints.save(state, batches.get_state(), meta)
            if asked:
                checkpoints.wait()
                print(f"{preemption.name}: saved at step {done}, the same command goes on from there", flush=True)
                break
            if sampled or saved or done == first + 1:  # the first step compiles
                jax.block_until_ready(state)
                meter.restart()
        writer.close()
    return state
