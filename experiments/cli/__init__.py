"""The frame of the programs: configuration flags, the chosen model, progress, tables.

Progress and tables go to stdout, so that stderr holds nothing but the error.
"""

from experiments.cli.avatar import SHIPPED, define_precision, load_avatar
from experiments.cli.processes import define_distributed, join
from experiments.cli.program import define_config, run, said
from experiments.cli.progress import Progress, Watch, print_table, quiet

__all__ = [
    "SHIPPED", "Progress", "Watch", "define_config", "define_distributed", "define_precision", "join",
    "load_avatar", "print_table", "quiet", "run", "said",
]  # fmt: skip
