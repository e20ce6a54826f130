"""The feature extractor of a model or of a data set."""

from pathlib import Path
from typing import Any

from afjax.audio.feature_extractors import FeatureExtractor, MelFeatures, described
from afjax.audio.wav2vec2.extractor import Wav2Vec2Features
from afjax.audio.wav2vec2.features import WINDOW
from afjax.config import Config
from afjax.errors import InputError
from afjax.weights import convert

__all__ = ["features_of", "load_features", "require_same"]


def load_features(weights: str | Path = "", block: int = 0) -> FeatureExtractor:
    """Mel, or the wav2vec2 of a folder that `experiments.convert` wrote. Raises InputError if that is damaged.

    `block`: wav2vec2 hears recorded sound as a stream does, in blocks of `block` frames; 0: whole clips at once.
    """
    if not weights:
        return MelFeatures()
    part = convert.load(weights).wav2vec2
    return Wav2Vec2Features(part.config, part.params(), max(WINDOW, block), block)


def features_of(config: Config) -> FeatureExtractor:
    """The feature extractor of a model of this config."""
    return load_features(config.data.features, 0 if config.data.whole_clips else config.layout.block)


def require_same(extractor: FeatureExtractor, stored: dict[str, Any], where: object):
    """Raises InputError if features were made otherwise than `extractor` makes them.

    `stored`: what `described` gave when they were made.
    """
    own = described(extractor)
    if own == stored:
        return
    if "window" not in stored:
        do = "make them again: python -m experiments.make_features"
        raise InputError(f"it is not recorded what made its {stored.get('name')} features", where, do)
    if own["name"] != stored.get("name"):
        what = f"its features are {stored.get('name')}, those of data.features are {own['name']}"
    else:
        odd = next(name for name in {**stored, **own} if stored.get(name) != own.get(name))
        what = f"its {own['name']} features were made with another {odd} than those of data.features"
        if odd in ("block", "window"):
            made, asked = (f"blocks of {d['block']}" if d.get("block") else "whole clips" for d in (stored, own))
            do = "data.whole_clips and layout.block say which; experiments.make_features --block makes others"
            raise InputError(f"its {own['name']} features are those of {made}, not of {asked}", where, do)
    raise InputError(what, where, "set data.features to the folder of the weights that made them, empty for mel")
