"""Models to give away: those that come with afjax, by name, and folders of the same form."""

from pathlib import Path

from afjax.audio.feature_extractors import MelFeatures
from afjax.avatar import model_folder
from afjax.avatar.avatar import Avatar
from afjax.avatar.codecs import codecs_of
from afjax.streaming.generator import Generator

__all__ = ["load_model", "shipped"]

MODELS = Path(__file__).resolve().parents[1] / "models"
"""One folder per model, with the files of `afjax.avatar.model_folder`."""


def shipped() -> dict[str, Path]:
    """Folders of the models that come with afjax, by name."""
    return {file.parent.name: file.parent for file in sorted(MODELS.glob(f"*/{model_folder.FILES[0]}"))}


def load_model(folder: str | Path) -> Avatar:
    """The avatar of a folder that `Avatar.save` wrote. Raises InputError, one line, if it is damaged."""
    model = model_folder.read(folder)
    generator = Generator(model.config, model.params, model.normalizer)
    return Avatar(model.config, generator, MelFeatures, codecs_of(), model.step, Path(folder).expanduser().absolute())
