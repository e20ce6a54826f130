"""Measures a trained model, or finished videos of any system.

    python -m experiments.evaluate --out out/evaluation
    python -m experiments.evaluate --workdir out/demo/run --talking_only out/talking_only --out out/evaluation
    python -m experiments.evaluate --workdir RUN --recordings pairs.csv --networks N --tracks T --out out/table1
    python -m experiments.evaluate --workdir RUN --protocol hdtf --recorded_video hdtf --networks N --out out/table3
    python -m experiments.evaluate --user_video user.mp4 --generated_video generated.mp4 --out out/evaluation
    python -m experiments.evaluate --user_video users/ --recorded_video recorded/ --generated_video generated/ --out ...

A model, by default the one that ships, is measured on the held-out conversations of `--data`, by default those that it
came with, R-DGG included (a minute or two). A model that came with none is measured on `--clips` conversations that its
training set aside, simulated into `--out`/data first. Videos are files, or folders of files that have the same name.
Faces are tracked, and clips are cut into pieces of `--piece` seconds. Pieces of one video are one group, so that
intervals and shuffled users need two videos or more, of different people. Lips are measured on the sound of the
recorded videos, or else of the generated ones: it should hold the avatar's voice alone (`experiments.stream --sound
avatar`). The table without recorded videos holds only what can be said of the generated motion alone. Motion of a
latent codec is measured in coefficients of its directions, which have no lips, smiles or events. Several processes
share the generation of a model's motion with `--distributed`, the same command in each; one process uses all its
devices. The program writes `eval.npz`, `summary.json` and `table.txt`.

`--networks`, `--tracks` or `--protocol` add the metrics that papers print, FID, FVD, CSIM, LSE and those of SPECTRE's
or EMOCA's tracks (docs/metrics.md): `published.json` and `published.txt`. One process renders a model's videos into
`--out`/videos first. Recorded videos without generated ones are given to the model, as the protocol says. A stopped
evaluation goes on with the same command. Results of networks and trackers are kept by the video's digest: evaluations
that name one folder by `--features` read the recordings that they share once.
"""

from absl import flags

from afjax import files
from afjax.errors import InputError
from afjax.metrics.table import published, report
from experiments import cli
from experiments.evaluation import model_videos, published_table
from experiments.evaluation.protocols import PROTOCOLS
from experiments.evaluation.tables import of_model, of_videos, write
from experiments.runs.data import measured_on

_WORKDIR = flags.DEFINE_string("workdir", "", "Run folder of a trained model; without it the one that ships.")
_DATA = flags.DEFINE_string("data", "", "Folder of conversations; without it the model's own.")
_CLIPS = flags.DEFINE_integer(
    "clips", 0, "Conversations to simulate for a model without any; 0: as many as in training.", lower_bound=0
)
_TALKING_ONLY = flags.DEFINE_string("talking_only", "", "Run folder of a talking-only model, a row of the table.")
_USER = flags.DEFINE_string("user_video", "", "Video of the user, or a folder of them.")
_GENERATED = flags.DEFINE_string("generated_video", "", "Generated video of the avatar, or a folder of them.")
_RECORDED = flags.DEFINE_string("recorded_video", "", "Video of what a real listener did, or a folder of them.")
_PIECE = flags.DEFINE_float("piece", 5.0, "Seconds of the pieces that videos are cut into.", lower_bound=2.0)
_BLOCK = flags.DEFINE_integer("block", 10, "Frames of the generator's blocks.", lower_bound=2)
_NETWORKS = flags.DEFINE_string("networks", "", "Folder of ONNX networks for FID, FVD, CSIM and LSE (docs/metrics.md).")
_TRACKS = flags.DEFINE_string("tracks", "", "Folder of SPECTRE's or EMOCA's tracks, ROW/NAME.npz (docs/metrics.md).")
_PROTOCOL = flags.DEFINE_enum("protocol", "", ["", *PROTOCOLS], "Whose table is made; without it that of dyadic ones.")
_PORTRAITS = flags.DEFINE_string("portraits", "", "Folder of portraits for CSIM, named like finished videos.")
_PEOPLE = flags.DEFINE_string("people", "", "Table of who is in each finished video: name, avatar, user.")
_RECORDINGS = flags.DEFINE_string("recordings", "", "Table that the data set was built from, for real pictures.")
_SIZE = flags.DEFINE_integer("size", 0, "Side of rendered pictures; 0: the codec's own.", lower_bound=0)
_DISTRIBUTED = cli.define_distributed()
_FEATURES = flags.DEFINE_string("features", "", "Folder of what is read of videos; without it OUT/features.")
_OUT = flags.DEFINE_string("out", "", "Folder of the results; out/evaluation without it.")


def _checked():
    """Raises InputError for flags that don't belong together."""
    protocol = PROTOCOLS[_PROTOCOL.value or "dyadic"]
    if (_GENERATED.value or _RECORDED.value) and protocol.user and not _USER.value:
        raise InputError("--user_video is missing", do="name the videos that the avatar listened to")
    if _USER.value and not (_GENERATED.value or _RECORDED.value):
        raise InputError("--generated_video is missing", do="name the videos that are to be measured")
    if _RECORDED.value and not _GENERATED.value and not (_PROTOCOL.value or _NETWORKS.value or _TRACKS.value):
        raise InputError("--generated_video is missing", do="name it, or say by --protocol what a model is given")
    if _USER.value and not protocol.user:
        raise InputError(f"--protocol={_PROTOCOL.value} has nobody to listen to", do="leave out --user_video")
    if not protocol.user and not _RECORDED.value:
        raise InputError("--recorded_video is missing", do=f"name the videos of {_PROTOCOL.value}")
    if _RECORDINGS.value and (_GENERATED.value or _RECORDED.value):
        raise InputError("--recordings is the table of a data set", do="leave it out for finished videos")
    if (_PORTRAITS.value or _PEOPLE.value) and not _GENERATED.value:
        raise InputError("--portraits and --people are for finished videos", do="they need --generated_video")
    if _SIZE.value % 128:
        raise InputError(f"--size={_SIZE.value} is not a multiple of 128", do="choose 128, 256, 384 ... 1024")
    for name in filter(None, (_TRACKS.value, _PORTRAITS.value)):
        if not files.absolute(name).is_dir():
            raise InputError("no such folder", name, "docs/metrics.md describes it")
    return protocol


def _videos(protocol, out):
    """Finished videos, or a model's, and the sources by role; None for what is not wanted."""
    if _GENERATED.value:
        sources = {"user": _USER.value, "recorded": _RECORDED.value, "model": _GENERATED.value}
        return published_table.finished(sources, _PEOPLE.value, _PORTRAITS.value), sources
    run, folders = cli.load_avatar(_WORKDIR.value), out / "videos"
    if _RECORDED.value:
        videos = model_videos.of_recorded(run, _RECORDED.value, _USER.value, out, protocol, _SIZE.value)
        return videos, {"user": _USER.value, "recorded": folders / "recorded", "model": folders / "model"}
    data = measured_on(run, _DATA.value, out, _CLIPS.value)
    videos = model_videos.of_held_out(run, data, out, _RECORDINGS.value, _TALKING_ONLY.value, _SIZE.value)
    sources = {role: folders / role for role in ("user", "recorded", "model")}
    return videos, sources if run.config.data.codec else None  # motion of the face codec needs no videos


def _motion(sources, protocol, out, read):
    """Writes the table of motion in our own codec. Returns, for the notes, what keeps videos from having one."""
    if sources is None:
        arrays, table, notes = of_model(_WORKDIR.value, _DATA.value, _TALKING_ONLY.value, out, _CLIPS.value)
        if not table:  # another process writes it
            return []
    elif not protocol.user:
        return []
    else:
        paths = (str(sources[role]) for role in ("user", "model", "recorded"))
        try:
            arrays, table, notes = of_videos(*paths, _PIECE.value, _BLOCK.value, read)
        except InputError as error:
            if read is None:
                raise
            return [f"motion as our own tracker reads it is not measured: {error}"]
    write(out, arrays, table, notes)
    print(report.text(table))
    for note in notes:
        print(f"note: {note}")
    return []


def main():
    cli.join(_DISTRIBUTED.value)
    out = files.writable(_OUT.value or "out/evaluation", folder=True)
    protocol = _checked()
    if not (_NETWORKS.value or _TRACKS.value or _PROTOCOL.value):
        finished = {"user": _USER.value, "recorded": _RECORDED.value, "model": _GENERATED.value}
        _motion(finished if _GENERATED.value else None, protocol, out, None)
        print(f"written: {out}")
        return
    if _DISTRIBUTED.value:
        raise InputError("videos are rendered by one process", do="leave out --distributed")
    features = files.writable(_FEATURES.value, folder=True) if _FEATURES.value else out / "features"
    reader, networks, said = published_table.reader_of(protocol, _NETWORKS.value, features)
    videos, sources = _videos(protocol, out)
    said += _motion(sources, protocol, out, published_table.tracker(features))
    measured = published_table.measure(videos, protocol, reader, networks, _TRACKS.value)
    measured.notes[:0] = said
    published_table.write(out, measured, protocol, networks)
    print(published.text(measured.table, measured.missing, protocol.metrics))
    for note in measured.notes:
        print(f"note: {note}")
    print(f"written: {out}")


if __name__ == "__main__":
    cli.run(main)
