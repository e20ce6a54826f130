"""Identity preservation over long streams: cosine to the session's portrait, per minute, and the recorded band.

Each session has a portrait of its own: a drawn person at rest, drawn as in the latent codec's training
(`simulate.portrait.animate`; pictures of another origin read differently, by more than a deviation in some directions).
Some frames of each minute are rendered and embedded. A frame's figure is the cosine with the embedding of its portrait,
as the codec shows it under the portrait's own motion: the codec's resolution would change an embedding as much as
another person does. The band is that of the same people under recorded motion, because a codec that moves a face
changes its embedding too.
"""

from collections.abc import Callable

import numpy as np

from afjax.codec.base import Codec
from afjax.codec.face.channels import CHANNELS
from afjax.errors import InputError
from afjax.metrics import bootstrap
from afjax.metrics.long import drift, identity
from data_pipeline.simulate.portrait.animate import moving_person

__all__ = ["PortraitsUnderTest", "drift_verdict"]

FIRST = 2_000_000_000
"""First seed of the portraits; codecs are trained on people of smaller seeds."""


class PortraitsUnderTest:
    """One portrait per session.

    Attributes:
      sessions: their number.
      references: the portraits' own motion `[sessions, d]`, or 0 where motion is relative to it.
      others: mean cosine of two different portraits; None without `embed`.
    """

    def __init__(self, codec: Codec, sessions: int, embed: Callable | None = None):
        """Draws the people; `embed` gives the embedding `[e]` of a picture, or None where it finds no face."""
        rest = np.zeros((1, len(CHANNELS)), np.float32)
        portraits = [moving_person(FIRST + n, rest, codec.size)[0] for n in range(sessions)]
        self.sessions, self._codec, self._embed = sessions, codec, embed
        self._people = [codec.identity(portrait) for portrait in portraits]
        references = [codec.reference_motion(person) for person in self._people]
        self.references = np.stack(references) if np.ndim(references[0]) else 0.0
        self.others = None
        if embed is not None:
            own = np.broadcast_to(self.references, (sessions, len(codec.channels)))[:, None]
            found = [embed(codec.render(*one)[0]) for one in zip(self._people, own, strict=True)]
            if any(each is None for each in found):
                raise InputError("no face found in a drawn portrait", "identity")
            self._own = np.stack(found)
            pairs = identity.cosines(np.broadcast_to(self._own, (sessions, *self._own.shape)), self._own)
            self.others = float(pairs[~np.eye(sessions, dtype=bool)].mean())

    def cosines_of_relative_motion(self, motion: np.ndarray) -> np.ndarray:
        """Cosines as `cosines` gives them, for motion relative to somebody's rest."""
        rest = np.broadcast_to(self.references, (self.sessions, motion.shape[-1]))
        return self.cosines(motion + rest[:, None])

    def cosines(self, motion: np.ndarray) -> np.ndarray:
        """Cosines `[sessions, n]` of frames under motion `[sessions, n, d]`; 0 where no face is found."""
        found = np.zeros(motion.shape[:2])
        for session, person in enumerate(self._people):
            for n, picture in enumerate(self._codec.render(person, motion[session])):
                embedding = self._embed(picture)
                if embedding is not None:
                    found[session, n] = identity.cosines(embedding[None], self._own[session])[0]
        return found


def drift_verdict(made: np.ndarray, recorded: np.ndarray, draws: int, seed: int = 0) -> dict:
    """Verdict on a stream's cosines, beside those of recorded motion.

    Args:
      made: cosines `[s, m, n]` of n frames of each of m minutes.
      recorded: cosines `[s, n]` of frames under recorded motion; a draw of the band has n of them per session.
      draws: number of draws; seed: their seed.

    Returns:
      `minutes` (means `[m]`), `band` (low, high), `inside` (whether the last minute is not below it), `moved` (the last
      minute less the first) and `moves` (the most by which 95 % of recorded minutes differ), `slope` per minute with an
      interval over sessions, `found` (share of frames in which a face was found).
    """
    track = made.mean(axis=(0, 2))
    chosen = np.random.default_rng(seed).integers(recorded.shape[1], size=(2 * draws, len(made), made.shape[2]))
    drawn = np.take_along_axis(recorded[None], chosen, 2).mean(axis=(1, 2))
    low, high = np.percentile(drawn, [2.5, 97.5])
    moves = np.percentile(np.abs(drawn[:draws] - drawn[draws:]), 95)
    return {
        "minutes": track,
        "band": (float(low), float(high)),
        "inside": bool(track[-1] >= low),
        "moved": float(track[-1] - track[0]),
        "moves": float(moves),
        "slope": bootstrap.interval(made.mean(axis=2), statistic=lambda tracks: drift.slope(tracks, 60.0)),
        "found": float((made != 0).mean()),
    }
