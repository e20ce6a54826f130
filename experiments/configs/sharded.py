"""Training on many devices: the quickstart, or the paper's model, divided over all devices.

    python -m experiments.train --config experiments/configs/sharded.py --workdir out/sharded
    JAX_NUM_CPU_DEVICES=8 python -m experiments.train --config experiments/configs/sharded.py:mesh --workdir out/mesh

The second command makes eight devices of one CPU.

Flags divide any config in this way, `--config.compute.data=0 --config.compute.fsdp=4`; `afjax.config.compute` and
docs/training.md say what the numbers mean. Results do not depend on them but for rounding, and a run may go on with
others.

Variants: `data` (default), the batch over all devices, one included; `mesh`, parameters over two devices and layers
over two, the batch over the rest, for a multiple of four devices; `paper`, the paper's model with parameters over eight
devices, in bfloat16 with rematerialised blocks and a batch of 64 clips in two parts. `--config.data.path` must be given
there, as for the config `paper`.
"""

from ml_collections import ConfigDict

from experiments.configs import choose, paper, quickstart


def get_config(variant: str = "data") -> ConfigDict:
    variant = choose(variant, "data", "mesh", "paper")
    config = paper.get_config() if variant == "paper" else quickstart.get_config()
    config.name = f"sharded_{variant}"
    config.compute.data = 0
    if variant == "mesh":
        config.compute.update({"fsdp": 2, "tensor": 2})
    elif variant == "paper":
        config.compute.update({"fsdp": 8, "accumulate": 2, "precision": "bfloat16", "remat": True})
        config.data.batch = 64
    return config
