"""The released network's programs, lowered for a GPU and counted (`experiments.benchmark --preset released --lower`).

Nothing is computed and no GPU is needed. Attention is XLA's, as it is in the product. Random numbers are lowered in
their general form without JAX's plugin for a GPU. The table has one row per program (`released_programs`). A block of
ten frames is the sum of `see`, `step` and `show`, which run one after the other.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from experiments import cli
from experiments.live.lowered import counts, lower, operations
from experiments.live.released_programs import Program, Sizes, bytes_of, live_config, programs
from experiments.live.roofline import H100, roofline

__all__ = ["WHOLE", "counted", "measure", "report"]

WHOLE = ("see", "step", "show")
"""Programs that make up a block."""


def measure(
    sizes: Sizes, block: int, precisions: Sequence[str], platform: str = "cuda", write: Callable = lambda summary: None
) -> dict[str, Any]:
    """The summary; `write` gets it, as far as it is, after each precision."""
    summary = {
        "preset": "released", "platform": platform, "jax": jax.__version__, "block": block,
        "size": sizes.codec.size, "device_of_the_roofline": H100._asdict(), "precisions": {},
    }  # fmt: skip
    for precision in dict.fromkeys(precisions):
        found = programs(live_config(sizes, block, precision), sizes)
        with cli.Progress(len(found), f"lower, {precision}", "programs") as progress:
            stages = {}
            for name, program in found.items():
                stages[name] = counted(program, platform)
                progress.update(note=name)
        rooflines = [stages[name]["roofline"] for name in WHOLE]
        names = ("floor_ms", "expected_ms", "between_ms", "kernels")
        whole = {name: sum(each[name] for each in rooflines) for name in names}
        summary["precisions"][precision] = {"stages": stages, "block": whole}
        write(summary)
    return summary


def counted(program: Program, platform: str = "cuda") -> dict[str, Any]:
    """`counts` of a program, `bytes` of its weights, inputs and results, and its `roofline`."""
    found = list(operations(lower(program.call, *program.arguments, platform=platform)))
    weights, *inputs = program.arguments
    made = jax.eval_shape(program.call, *program.arguments)
    moved = {"weights": bytes_of(weights), "again": program.again, "in": bytes_of(inputs), "out": bytes_of(made)}
    return counts(found) | {"bytes": moved, "roofline": roofline(found, sum(moved.values()))}


def report(summary: dict[str, Any]):
    """Prints the tables."""
    for precision, found in summary["precisions"].items():
        rows = []
        for name, stage in found["stages"].items():
            products, line = stage["products"], stage["roofline"]
            gflop = [round(products.get(kind, {}).get("gflop", 0.0), 2) for kind in ("bfloat16", "tf32", "float32")]
            moved = sum(stage["bytes"].values()) / 1e9
            rows.append([name, *gflop, moved, line["floor_ms"], line["expected_ms"], line["between_ms"],
                         line["bound"], line["kernels"],
                         stage["transposes"]["ops"], len(stage["loops"]), stage["callbacks"]])  # fmt: skip
        whole = found["block"]
        times = [whole[name] for name in ("floor_ms", "expected_ms", "between_ms")]
        rows.append(["block", "", "", "", "", *times, "", whole["kernels"]])
        print(f"{precision}, {H100.name}")
        head = ("", "GFLOP bf16", "tf32", "float32", "GB", "floor ms", "expected ms", "between",
                "bound by", "kernels", "transposes", "loops", "callbacks")  # fmt: skip
        cli.print_table(rows, head)
