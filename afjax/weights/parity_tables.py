"""Every array of the files `masks` and `scheduler`, computed by ours from the numbers in the arrays' names."""

import re
from collections.abc import Mapping

import numpy as np

from afjax.diffusion.path import interpolate, velocity
from afjax.diffusion.solver import TABLE, nearest_entry, sigma_table
from afjax.nn import masks

Arrays = Mapping[str, np.ndarray]


def mask_arrays(stored: Arrays) -> dict[str, np.ndarray]:
    """Arrays of `masks`."""
    return {key: _mask(key) for key in stored}


def _mask(key: str) -> np.ndarray:
    number = {letters: int(digits) for letters, digits in re.findall(r"([A-Za-z]+)(\d+)", key)}
    if key == "self_mask_stream_used":
        return masks.framewise_lookahead(50, 2)[38:]
    if key.startswith("self_mask/"):
        return masks.framewise_lookahead(number["T"], number["look"])
    if key.startswith("cross_mask/"):
        return _near(np.arange(number["T"]), np.arange(number.get("S", number["T"])), number["window"])
    start, cache = number.get("start", number["cache"]), number["cache"]
    query, key_frame = start + np.arange(number.get("n") or number["q"]), np.arange(start - cache, start)
    frames = np.concatenate([key_frame, query])
    if key.startswith("self_mask_window/"):
        look, block = number["look"], number["block"]
        return masks.allowed("framewise_lookahead", query[:, None], frames[None, :], block, look)
    return _near(query, frames, number.get("window", 2))


def _near(query: np.ndarray, key: np.ndarray, window: int) -> np.ndarray:
    return np.abs(query[:, None] - key[None, :]) <= window


def schedule_arrays(stored: Arrays) -> dict[str, np.ndarray]:
    """Arrays of `scheduler`: the table of levels, the grids of every nfe, and one step of each kind."""
    table = sigma_table()
    found = _tables(table) | {f"shift3/{key}": value for key, value in _tables(3 * table / (1 + 2 * table)).items()}
    t = stored["in/t"]
    now, then = nearest_entry(t), nearest_entry(stored["in/t_next"])
    level, following = table[now], np.where(stored["in/t_next"] == 0, np.float32(0), table[then])
    sample, noise, v = stored["in/x0"], stored["in/noise"], stored["in/v"]
    found |= {
        "add_noise": np.asarray(interpolate(sample, noise, level[:, None])),
        "training_target": np.asarray(velocity(sample, noise)),
        "training_weight": found["training_weights"][now],
        "step": sample + (np.append(table[1:], np.float32(0))[now] - level)[:, None] * v,
        "step_to_final": sample - level[:, None] * v,
        "solve_closed": sample + (following - level)[:, None] * v,
    }
    for key in stored:
        if key.startswith("steps/nfe"):
            nfe = key.removeprefix("steps/")
            times = np.linspace(1000, 0, int(nfe.removeprefix("nfe")) - 1).astype(np.float32)
            index = nearest_entry(times)
            found[key], found[f"steps_index/{nfe}"] = times, index.astype(np.int32)
            found[f"steps_sigma/{nfe}"] = np.where(times == 0, np.float32(0), table[index])
    return found


def _tables(sigmas: np.ndarray) -> dict[str, np.ndarray]:
    """The levels as times, and the released training's weight of each: a bell around t = 500, 0 at its ends."""
    times = np.float32(1000) * sigmas
    bell = np.exp(-2 * ((times.astype(np.float64) - 500) / 1000) ** 2)
    bell = bell - bell.min()
    return {"sigmas": sigmas, "timesteps": times, "training_weights": (bell * TABLE / bell.sum()).astype(np.float32)}
