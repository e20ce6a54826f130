"""Imbalance: whether speech-heavy data make a stiff listener, and whether preference tuning mends it.

    python -m experiments.ablate --suite imbalance --seeds 5 --out out/imbalance

Recordings of conversations mostly show a person who talks. Models are trained on conversations in which the avatar
listens for a tenth, a fifth and three fifths of the time, with the quickstart's recipe and length. All are measured on
the same held-out conversations in which it only listens: all figures are of listening frames. Each model is then tuned
by preferences, with two controls: as many plain steps, and losing samples that were made with the user, which lack only
what any sample lacks. It takes about 40 minutes per share and seed on two cores.
"""

from experiments.configs.ablations.suite import Cell, Suite

SHARES = (0.6, 0.2, 0.1)


def _cells(share: float) -> tuple[Cell, ...]:
    base = f"listens {share:g}"
    tuned = {"tunes": base, "losing": base, "listening": share, "against": f"{base}, more steps"}
    return (
        Cell(base, config="quickstart:listening", listening=share),
        Cell(f"{base}, more steps", **{**tuned, "config": "dpo:control", "against": base}),
        Cell(f"{base}, dpo", config="dpo", **tuned),
        Cell(f"{base}, dpo with the user", config="dpo", user="kept", **tuned),
    )


SUITE = Suite(
    about="The quickstart with listening steps, on data in which the avatar listens more or less.",
    cells=tuple(cell for share in SHARES for cell in _cells(share)),
)
