"""Protocols of papers: their recordings, the people given to the model, and the printed figures.

| protocol | recordings | the model is given | its table in the paper |
|---|---|---|---|
| `dyadic` | two people in conversation (RealTalk, Seamless Interaction) | both voices, the user's face | 1, 5, 6, 7 |
| `hdtf` | one person who talks (HDTF) | the avatar's voice; no user | 3 |
| `vico` | one who listens and one who talks (ViCo) | the talker's face and voice; the avatar is silent | 4 |
"""

from dataclasses import dataclass

from afjax.metrics.pretrained.networks import KINDS
from afjax.metrics.pretrained.stand_ins import STAND_INS

__all__ = ["PROTOCOLS", "Protocol"]


@dataclass(frozen=True)
class Protocol:
    """One protocol.

    Attributes:
      user: whether there is somebody to listen to.
      voice: whether the avatar talks.
      metrics: names of `afjax.metrics.table.published.PUBLISHED` in the order of the table.
    """

    user: bool
    voice: bool
    metrics: tuple[str, ...]

    @property
    def kinds(self) -> set[str]:
        """Kinds of networks that the protocol's metrics need."""
        return {kind for kind, spec in KINDS.items() if set(spec.metrics) & set(self.metrics)}

    def has(self, name: str) -> bool:
        """Whether a figure belongs to the protocol's table: a metric, another reading of one, or a stand-in."""
        stand_ins = {stand_in for metric in self.metrics for stand_in in STAND_INS.get(metric, ())}
        further = ("sync-lag",) if "LSE-D" in self.metrics else ()
        return name.removesuffix(" (corpus)") in self.metrics or name in stand_ins or name in further


_PICTURES = ("FID", "FVD", "CSIM", "LSE-D", "LSE-C")

PROTOCOLS = {
    "dyadic": Protocol(
        user=True,
        voice=True,
        metrics=(
            "rPCC-Exp", "rPCC-Pose", "SID", "Var", *_PICTURES, "R-DGG",
            "FD-Exp", "FD-Pose", "P-FD-Exp", "P-FD-Pose", "SID-Exp", "SID-Pose", "Var-Exp", "Var-Pose",
        ),
    ),
    "hdtf": Protocol(user=False, voice=True, metrics=_PICTURES),
    "vico": Protocol(
        user=True,
        voice=False,
        metrics=(
            "FD-Exp", "FD-Pose", "rPCC-Exp", "rPCC-Pose", "SID-Exp", "SID-Pose", "Var-Exp", "Var-Pose",
            "P-FD-Exp", "P-FD-Pose", "R-DGG",
        ),
    ),
}  # fmt: skip
