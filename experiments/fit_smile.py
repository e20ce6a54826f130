"""Fits the weights `SMILE` of `afjax.codec.face.track.coefficients` (`evaluation.smile_fit` says how):

    python -m experiments.fit_smile --clips CLIPS --labels tests/codec/labels.json --portraits PORTRAITS

CLIPS holds the labelled clips, PORTRAITS pictures whose rendered faces join the fit. Every clip and every portrait is
also judged with the weights that leave it out.
"""

import json
import warnings

from absl import flags

from afjax import files
from afjax.errors import InputError, InputWarning
from afjax.media.image import read_portrait
from data_pipeline.simulate.portrait.draw import paint_portrait
from experiments import cli
from experiments.evaluation import smile_fit
from experiments.evaluation.faces import PICTURES

_CLIPS = flags.DEFINE_string("clips", None, "folder of the labelled clips")
_LABELS = flags.DEFINE_string("labels", "tests/codec/labels.json", "what was seen in them by eye")
_PORTRAITS = flags.DEFINE_string("portraits", None, "folder of portraits that are rendered")

DRAWN_PEOPLE = 3


def main() -> None:
    if not _CLIPS.value or not _PORTRAITS.value:
        raise InputError("--clips and --portraits are needed", do="--help lists the flags")
    warnings.simplefilter("ignore", InputWarning)
    folder, labels = files.absolute(_CLIPS.value), json.loads(files.absolute(_LABELS.value).read_text())
    clips = {name: smile_fit.clip(folder / name, labels[name]) for name in labels}
    pictures = {f"drawn {n}": paint_portrait(n, 512) for n in range(DRAWN_PEOPLE)}
    for path in sorted(files.absolute(_PORTRAITS.value).glob("*")):
        if path.suffix.lower() in PICTURES:
            pictures[path.name] = read_portrait(path)
    portraits = {name: smile_fit.portrait(picture, n) for n, (name, picture) in enumerate(pictures.items())}

    weights = smile_fit.fit([*clips.values()], [*portraits.values()])
    rows = []
    for group in (clips, portraits):
        for name, one in group.items():
            others = smile_fit.fit(
                *([each for key, each in part.items() if key != name] for part in (clips, portraits))
            )
            rows.append([name, *smile_fit.judge(one, weights), *smile_fit.judge(one, others)])
    cli.print_table(rows, header=("", "r, smile", "r, width in talk", "left out: smile", "left out: width"))
    weights = weights * smile_fit.calibration_factor([*clips.values()], weights)
    print("SMILE = " + ", ".join(f"{name}={w:.1f}" for name, w in zip(smile_fit.NAMES, weights, strict=True)))


if __name__ == "__main__":
    cli.run(main)
