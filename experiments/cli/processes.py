"""Programs that run in several processes."""

import os
import sys

from absl import flags

__all__ = ["define_distributed", "join"]

flags.disclaim_key_flags()  # --help lists them as the program's


def define_distributed():
    """Defines the flag `--distributed` of a program that can run in several processes."""
    return flags.DEFINE_string("distributed", "", "Several processes: auto, or ADDRESS:PORT,INDEX/COUNT.")


def join(where: str):
    """Joins the processes of a program where its flag says so; only the first then prints. Raises InputError."""
    if not where:
        return
    import jax

    from afjax.training import sharding

    sharding.join(where)
    if jax.process_index() > 0:
        sys.stdout = open(os.devnull, "w")
