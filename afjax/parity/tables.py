"""Every array of the files `masks` and `scheduler`, computed by ours from the numbers in the arrays' names."""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from afjax.config.released import LAYOUT
from afjax.diffusion.path import interpolate, velocity
from afjax.diffusion.solver import TABLE, nearest_entry, sigma_table
from afjax.nn import masks

Arrays = Mapping[str, np.ndarray]


def mask_arrays(keys: Iterable[str]) -> dict[str, np.ndarray]:
    """Arrays of `masks`: those of `keys` that are known."""
    found = {key: _mask(key) for key in keys}
    return {key: mask for key, mask in found.items() if mask is not None}


def _mask(key: str) -> np.ndarray | None:
    kind, _, name = key.partition("/")
    number = {letters: int(digits) for letters, digits in re.findall(r"([A-Za-z]+)(\d+)", name)}
    match kind, number:
        case "self_mask_stream_used", {}:
            return masks.stream_mask(LAYOUT.mask, LAYOUT.block, LAYOUT.look_ahead, LAYOUT.cache)
        case "self_mask", {"T": frames, "look": ahead}:
            return masks.framewise_lookahead(frames, ahead)
        case "self_mask_window", {"start": start, "cache": cache, "n": tokens, "look": ahead}:
            return masks.framewise_lookahead(start + tokens, ahead)[start:, start - cache :]
        case "cross_mask", {"T": frames, "window": window}:
            keys = number.get("S", frames)
            return masks.alignment(max(frames, keys), window)[:frames, :keys]
        case "cross_mask_window", {"start": start, "cache": cache, "n": tokens, "window": window}:
            return masks.alignment(start + tokens, window)[start:, start - cache :]
        case "cross_mask_local", {"q": tokens, "cache": cache}:
            return masks.alignment(cache + tokens, number.get("window", LAYOUT.alignment))[cache:]
    return None


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
    named = (re.fullmatch(r"steps(?:_index|_sigma)?/nfe(\d+)", key) for key in stored)
    for nfe in {int(match[1]) for match in named if match} - {0, 1}:
        times = np.linspace(1000, 0, nfe - 1).astype(np.float32)
        index = nearest_entry(times)
        found |= {f"steps/nfe{nfe}": times, f"steps_index/nfe{nfe}": index.astype(np.int32)}
        found[f"steps_sigma/nfe{nfe}"] = np.where(times == 0, np.float32(0), table[index])
    return found


def _tables(sigmas: np.ndarray) -> dict[str, np.ndarray]:
    """The levels as times, and the released training's weight of each: a bell around t = 500, 0 at its ends."""
    times = np.float32(1000) * sigmas
    bell = np.exp(-2 * ((times.astype(np.float64) - 500) / 1000) ** 2)
    bell = bell - bell.min()
    return {"sigmas": sigmas, "timesteps": times, "training_weights": (bell * TABLE / bell.sum()).astype(np.float32)}
