"""Conditions on the quality numbers of recorded clips, `data.filter`: "face_size>64,bleed<-20".

Each is NAME, one of < <= > >=, and a number; all must hold. A name of NUMBERS means both people of a clip, or one of
them with `avatar_` or `user_` before it. A condition holds where a clip lacks the number: a listener has no sync.
"""

import difflib
import math
import operator
import re
from dataclasses import dataclass

from afjax.config.checks import require

NUMBERS = {
    "face_size": "pixels of the face's larger side in the recording",
    "face_share": "share of frames with a face",
    "sharpness": "variance of the Laplacian of the face at 128 x 128 pixels, in levels of 0..255",
    "yaw": "degrees that the head is turned aside at most",
    "pitch": "degrees that the head is raised or lowered at most",
    "identity": "cosine of the face's descriptor to the person's median",
    "bleed": "dB of the other voice in this one's sound, against the other's own",
    "sync_lag": "seconds that the lips are late against the loudness of the voice",
    "sync_height": "standard deviations by which the peak of that correlation stands out",
    "speech": "share of frames in which the person speaks",
}
"""Quality numbers of a person in a clip (`data_pipeline.recorded.quality`), and their meaning."""
ROLES = ("avatar", "user")
_OPERATORS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
_TERM = re.compile(r"\s*([A-Za-z_]+)\s*(<=|>=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True)
class Rule:
    """A rule: each of some columns is on one side of a limit."""

    columns: tuple[str, ...]
    sign: str
    limit: float

    def holds(self, values):
        """Whether each value of an array satisfies it, bool; True for nan."""
        return _OPERATORS[self.sign](values, self.limit) | (values != values)


def parse_filter(text: str) -> tuple[Rule, ...]:
    """The rules of a filter; an empty filter has none. Raises InputError for what is no rule."""
    return tuple(map(_parse_rule, text.split(","))) if text.strip() else ()


def _parse_rule(term: str) -> Rule:
    example = 'for example data.filter="face_size>64,bleed<-20"'
    found = _TERM.fullmatch(term)
    require(found is not None, f"data.filter: {term.strip()!r} is no condition", example)
    name, sign, limit = found.groups()
    role, _, rest = name.partition("_")
    plain = rest if role in ROLES else name
    close = difflib.get_close_matches(plain, NUMBERS, n=1)
    do = f"did you mean {close[0]}?" if close else "there are " + ", ".join(NUMBERS)
    require(plain in NUMBERS, f"data.filter: there is no number {name!r}", do)
    try:
        value = float(limit)
    except ValueError:
        value = math.nan
    require(math.isfinite(value), f"data.filter: {limit!r} is no number", example)
    return Rule((name,) if role in ROLES else tuple(f"{each}_{name}" for each in ROLES), sign, value)
