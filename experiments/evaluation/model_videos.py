"""A model's videos, made from held-out conversations of a data set or from recorded videos."""

from pathlib import Path

from afjax import digests, files
from afjax.avatar.avatar import Avatar
from afjax.codec.face.channels import CHANNELS
from afjax.errors import InputError
from data_pipeline.records import read_metadata
from experiments import cli
from experiments.evaluation import eval_set
from experiments.evaluation.protocols import Protocol
from experiments.evaluation.recordings import cut_held_out, render_from_videos
from experiments.evaluation.rendering import Videos, begun, render_held_out

__all__ = ["of_held_out", "of_recorded"]


def of_held_out(
    run: Avatar, data: Path, out: Path, recordings: str = "", talking_only: str = "", size: int = 0
) -> Videos:
    """Videos of a data set's held-out conversations.

    Args:
      run: the model.
      data: folder of the data set.
      out: folder of the results.
      recordings: table from which the data set was built; its own pictures are then shown as `recorded` and `user`. "":
        drawn people.
      talking_only: run folder of a further model, given no user; "": none.
      size: side of the pictures; 0: the codec's own.
    """
    clips = eval_set.held_out(data, run.codec().channels if run.config.data.codec else CHANNELS)
    others = {"talking_only": cli.load_avatar(talking_only)} if talking_only else {}
    for name, other in others.items():
        if other.config.data.codec != run.config.data.codec:
            raise InputError("its codec is another than the model's", talking_only, f"{name} needs the same one")
    made_of = _model("model", run) | {"data": read_metadata(data).normalizer.to_json()["sha256"], "size": size}
    for name, other in others.items():
        made_of |= _model(name, other)
    made_of |= {"clips": len(clips), "recordings": digests.of_file(recordings) if recordings else "none"}
    with files.held(out):
        begun(out, made_of)
        portraits = cut_held_out(data, recordings, clips, out, run.codec(size)) if recordings else None
        return render_held_out(run, clips, out, others, portraits, size)


def of_recorded(run: Avatar, recorded: str, user: str, out: Path, protocol: Protocol, size: int = 0) -> Videos:
    """Videos of a model that is given recorded ones; arguments as for `recordings.render_from_videos`."""
    given = {"recorded": files.absolute(recorded), "user": files.absolute(user) if protocol.user else "none"}
    with files.held(out):
        begun(out, _model("model", run) | given | {"size": size, "voice": protocol.voice})
        return render_from_videos(run, recorded, user, out, protocol, size)


def _model(name: str, run: Avatar) -> dict[str, object]:
    """What tells one model from another, its sampler included."""
    sampler = digests.of_json({key: str(value) for key, value in vars(run.config.sampler).items()})
    return {name: f"{digests.of_params(run.generator.params)[:16]}-{sampler[:8]}"}
