"""The training loop: steps, logs, saves, resumes. A `Task` gives it all that depends on the model."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from afjax.config import TrainingConfig
from afjax.training.ahead import Ahead
from afjax.training.checkpoint import Checkpoints
from afjax.training.guard import LossGuard
from afjax.training.logging import Averages, MetricWriter
from afjax.training.preemption import Preemption
from afjax.training.profile import Profile
from afjax.training.throughput import Meter


@dataclass(frozen=True)
class Task:
    """A model's training, as the loop needs it.

    `init()`: the state before the first step, with the fields `step`, `params` and `ema_params`. `abstract`: shapes,
    dtypes and shardings of such a state. `step(state, batch, number)`: the state after step `number`, counted from 0,
    and metrics, `loss` and `grad_norm` among them; it may donate the state. `rates(number)`: learning rates of a step.
    `place(batch)`: the batch as `step` takes it, on the device; a thread calls it while the step before runs.
    """

    init: Callable[[], Any]
    abstract: Any
    step: Callable[[Any, dict, int], tuple[Any, dict]]
    meter: Meter
    rates: Callable[[int], dict[str, float]] = lambda number: {}
    place: Callable[[dict], dict] = jax.device_put


def run(
    task: Task,
    settings: TrainingConfig,
    workdir: Path,
    batches: Iterator,
    meta: dict,
    stop: int | None = None,
    tensorboard: bool = False,
    wandb: str = "",
    begun: Callable[[int], None] = lambda step: None,
    progress: Callable[[int, dict], None] = lambda step, metrics: None,
    sample: Callable[[int, dict], None] = lambda step, params: None,
    validate: Callable[[int, dict], bool] | None = None,
    probe: Callable[[dict], dict[str, float]] | None = None,
    profile: tuple[int, int] | None = None,
) -> Any:
    """Trains to `settings.num_steps` (or pauses at `stop`), from the newest checkpoint in `workdir` if any; -> state.

    SIGTERM, SIGINT and SIGHUP wait until the step under way is done and saved.

    Args:
      batches: iterator of batches with `get_state` and `set_state`, and with `windows`, the names of the last batch's
        windows.
      meta: stored with every checkpoint: all that inference needs.
      tensorboard, wandb: as for `MetricWriter`.
      begun: called once with the step to go on from, 0 at first.
      progress: called every `log_every` steps.
      sample: called with averaged weights every `sample_every` steps but the last.
      validate: called with averaged weights before the first step, every `sample_every` steps and after the last. It
        ends the run by returning true; the result is then the last saved state. Only states that have passed are saved,
        so that a signal takes the run back to the last of them.
      probe: called with averaged weights every `probe_every` steps and after the last, unless `probe_every` is 0; its
        figures stand in the step's record.
      profile: first step and end of the steps that the profiler traces into `workdir/profile`.

    Raises:
      InputError: the loss is not finite or has exploded (the windows are named); `workdir` belongs to a run with
        another config or other data, holds damaged checkpoints only, or can't be written.
    """
    end = settings.num_steps if stop is None else min(stop, settings.num_steps)
    tracing, meter = Profile(Path(workdir) / "profile", profile), task.meter
    averages, kept = Averages(), (settings.keep_checkpoints, settings.keep_every, settings.keep_best)
    with Preemption() as preemption, Checkpoints(workdir, *kept) as checkpoints, tracing:
        if checkpoints.latest is None:
            state = task.init()
            if validate:
                validate(0, state.ema_params)
                checkpoints.save(state, batches.get_state(), meta)
        else:
            state, place = checkpoints.restore(task.abstract, meta)
            averages = Averages(place.pop("averages", None))
            batches.set_state(place)
        first = done = int(state.step)
        begun(done)
        ahead = Ahead(batches, task.place, end - done)
        with ahead as batches, contextlib.closing(MetricWriter(workdir, done, tensorboard, wandb)) as writer:
            guard = LossGuard(settings.max_loss_ratio, writer.last.get("loss"))
            began = time.perf_counter() - writer.last.get("seconds", 0.0)
            while done < end:
                with tracing.step(done, state):
                    state, metrics = task.step(state, meter.next(batches), done)
                done += 1
                averages.note(metrics)
                guard.note(done, metrics, getattr(batches, "windows", ()))
                asked, last = preemption.asked(done), done == end
                probed = bool(probe and settings.probe_every and (last or done % settings.probe_every == 0))
                logged, saved = (last or done % every == 0 for every in (settings.log_every, settings.save_every))
                sampled = (last and validate) or (not last and done % settings.sample_every == 0)
                logged |= probed
                if logged or sampled or saved or asked:
                    guard.check(checkpoints.latest)
                if logged:
                    metrics = averages.take()
                    guard.usual = metrics["loss"]
                    metrics |= task.rates(done - 1) | meter.figures()
                    metrics |= probe(state.ema_params) if probed else {}
                    metrics["seconds"] = time.perf_counter() - began
                    writer.write(done, **metrics)
                    progress(done, metrics)
                if sampled and validate and validate(done, state.ema_params):
                    state, place = checkpoints.restore(task.abstract)
                    batches.set_state(place)
                    break
                if saved or (asked and not validate):
                    place, unlogged = batches.get_state(), averages.state()
                    checkpoints.save(state, place | ({"averages": unlogged} if unlogged else {}), meta)
                if asked:
                    checkpoints.wait()
                    where = f"saved at step {checkpoints.latest}"
                    print(f"{preemption.name}: {where}, the same command goes on from there", flush=True)
                    break
                if sampled and not validate:  # after the state is safe: it takes long, and can fail
                    sample(done, state.ema_params)
                if sampled or saved or probed or done == first + 1:  # the first step compiles
                    jax.block_until_ready(state)
                    meter.restart()
    return state
