"""Avatar Forcing in JAX: an avatar that talks and listens.

    load            a trained model by its name or folder: an `Avatar`
    Avatar          generate, render, session, engine, export
    InputError      what is wrong with input, in one line

The rooms below: `nn`, `diffusion`, `losses` (the network and its objectives), `audio`, `codec`, `media` (voices, faces,
files), `streaming`, `export` (live), `training`, `metrics`, `weights`, `config`. docs/architecture.md is their map.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from afjax.api import load
    from afjax.avatar.avatar import Avatar
    from afjax.errors import InputError

__version__ = "0.1.0"
__all__ = ["Avatar", "InputError", "load"]

_HOMES = {"Avatar": "afjax.avatar.avatar", "InputError": "afjax.errors", "load": "afjax.api"}


def __getattr__(name: str):
    # on first use, so that a part of the library does not load all of it
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'afjax' has no attribute {name!r}")
