"""A drawing of where the time of live blocks goes: collecting, waiting, computing, rendering, shown."""

from pathlib import Path

from afjax.audio.framing import FPS
from experiments.report.figures import ACCENT, AVATAR, RECORDED, USER, canvas

BLOCKS = 12


def plot(path: Path, talk) -> Path:
    """The middle blocks of a `experiments.live.call.Conversation`, one row each, in seconds."""
    middle = len(talk.blocks) // 2
    blocks = talk.blocks[middle : middle + BLOCKS]
    zero = blocks[0]["due"] - talk.block / FPS
    with canvas(path, 9.0, 1.2 + 0.28 * len(blocks)) as figure:
        axis = figure.subplots()
        for row, block in enumerate(blocks):
            due, delivered = block["due"], block["parts"][-1][1]
            spans = (
                ("user collected", USER, due - talk.block / FPS, due),
                ("waits", RECORDED, due, block["taken"]),
                ("features, generator", AVATAR, block["taken"], block["computed"]),
                ("rendering", ACCENT, block["computed"], delivered),
            )
            for name, colour, start, end in spans:
                axis.barh(row, end - start, 0.6, start - zero, color=colour, label=name if row == 0 else None)
            shown = talk.playout.due(block["first"]) - zero
            axis.plot([shown, shown + talk.block / FPS], [row + 0.38] * 2, color="black", lw=1.5)
        axis.plot([], [], color="black", lw=1.5, label="on the screen")
        axis.set_yticks(range(len(blocks)), [str(block["first"]) for block in blocks])
        axis.invert_yaxis()
        axis.set_ylabel("first frame")
        axis.set_xlabel("s")
        figure.legend(loc="outside upper center", ncols=5, fontsize=8)
    return Path(path)
