"""Processor time of a build of recorded conversations, stage by stage.

    python -m data_pipeline.cost --data records

Figures are core minutes per hour of conversation, for both people: time of the build's processes and of the programs
that they have run, on any processor, without GPUs. Stages that went over work of an earlier, interrupted attempt are
left out.
"""

from absl import flags

from afjax import files
from afjax.errors import InputError
from data_pipeline import command
from data_pipeline.recorded.costs import summed

_DATA = flags.DEFINE_string("data", "", "Folder of a build with --pairs.")


def table(found: dict) -> str:
    """Lines of the result of `costs.summed`."""
    whole = sum(found["minutes"].values())
    lines = [f"{'stage':26}{'core minutes':>13}{'share':>8}   an hour of conversation"]
    for name, minutes in [*found["minutes"].items(), ("all", whole)]:
        lines.append(f"{name:26}{minutes:>13.2f}{minutes / whole:>8.1%}")
    out = f", without {found['left_out']} jobs that took more than one attempt" if found["left_out"] else ""
    return "\n".join([*lines, f"measured on {60 * found['hours']:.1f} minutes{out}"])


def main():
    if not _DATA.value:
        raise InputError("--data is missing", do="name the folder of a build: --data DIR")
    print(table(summed(files.absolute(_DATA.value))))


if __name__ == "__main__":
    command.run(main)
