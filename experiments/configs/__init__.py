"""One file per experiment; `get_config(variant)` returns a ConfigDict."""

from ml_collections import ConfigDict


def in_windows(config: ConfigDict, frames: int, context: int):
    """Makes a model that generates window after window, each with the last `context` frames of the one before.

    A window is a block of the stream that sees all of itself and of its context, and nothing older. The stream and its
    offline twin are thus the windowed sampler, which waits for `frames` / 25 s. A training clip is two windows, the
    first without a context and the second with one. Each window has one noise level.
    """
    config.layout.mask = "bidirectional"
    config.layout.tokens = "passes"
    config.layout.block = frames
    config.layout.look_ahead = context
    config.layout.cache = 0
    config.objective.noise_level_per = "block"
    config.objective.clean_prefix = 0.0
    config.data.window = 2 * frames


def choose(variant: str, default: str, *others: str) -> str:
    """The variant asked for, `default` if empty; ValueError if there is none of that name."""
    variant = variant or default
    if variant not in (default, *others):
        raise ValueError(f"no variant {variant!r}: choose {' or '.join((default, *others))}")
    return variant
