"""The frame of the programs: configuration flags, progress, tables.

Progress and tables go to stdout, so that stderr holds nothing but the error.
"""

from experiments.cli.program import define_config, run
from experiments.cli.progress import Progress, Watch, print_table, quiet

__all__ = ["Progress", "Watch", "define_config", "print_table", "quiet", "run"]
