"""Makes a video of an avatar that talks and listens, from real files:

    python -m experiments.stream --portrait face.jpg --user_video user.mp4 --avatar_audio avatar.wav --out talk.mp4

The avatar moves as the model that ships, or as that of `--workdir`, a run folder or a model folder. Leave out
`--avatar_audio` for a listener, `--user_video` for a talker; `--avatar_text "Good morning."` speaks without a file.
The video is as long as the longer of the two, at 25 frames per second, and always has a sound track: by default both
voices in both channels (`--sound`). The user's voice is the video's own unless `--user_audio` names another file.
`--paste_back` shows the whole portrait in place of a square around the face. `summary.json` is written beside the
video, in place of that of an earlier video there; neither replaces an input or another program's summary.
"""

from absl import flags

from afjax.errors import InputError
from experiments import cli
from experiments.talk.spoken import VOICES
from experiments.talk.stream import report, stream

_WORKDIR = flags.DEFINE_string("workdir", "", "Folder of a trained model; without it the one that ships.")
_PORTRAIT = flags.DEFINE_string("portrait", "", "Picture of the avatar's face; without it scikit-image's astronaut.")
_USER_VIDEO = flags.DEFINE_string("user_video", "", "Video of the user.")
_USER_AUDIO = flags.DEFINE_string("user_audio", "", "Sound file with the user's voice, in place of the video's own.")
_AVATAR_AUDIO = flags.DEFINE_string("avatar_audio", "", "Sound file with the avatar's voice.")
_AVATAR_TEXT = flags.DEFINE_string("avatar_text", "", "What the avatar says, in English, spoken by --voice.")
_VOICE = flags.DEFINE_enum("voice", "Clara", sorted(VOICES), "Voice of --avatar_text.")
_OUT = flags.DEFINE_string("out", "talk.mp4", "Video to write.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the motion's noise.", lower_bound=0, upper_bound=2**31 - 1)
_SIZE = flags.DEFINE_integer(
    "size", 0, "Side of the avatar's picture, a multiple of 128 pixels; 0: 256, or what the weights render."
)
_FACE = flags.DEFINE_integer("face", 0, "Which face of the portrait, from the left; 0: the largest.", lower_bound=0)
_PRESET = flags.DEFINE_enum(
    "preset",
    "",
    ["", "released", "released-empty"],
    "The released network in place of --workdir; released-empty starts from an empty cache, block by block.",
)
_WEIGHTS = flags.DEFINE_string("weights", "", "Folder that experiments.convert wrote, for --preset.")
_SIDE_BY_SIDE = flags.DEFINE_bool("side_by_side", False, "Show the user to the left of the avatar.")
_PASTE_BACK = flags.DEFINE_bool(
    "paste_back", False, "The avatar back in its whole portrait, at most 2048 pixels a side."
)
_ALPHA = flags.DEFINE_bool("alpha", False, "The avatar without its background: --out is a .mov or .webm with alpha.")
_FPS = flags.DEFINE_enum("fps", "25", ["25", "30", "50", "60"], "Frames a second of the video; motion is interpolated.")
_SOUND = flags.DEFINE_enum(
    "sound",
    "mix",
    ["mix", "split", "avatar"],
    "mix: both voices in both channels; split: user left, avatar right; avatar: without the user.",
)


def main():
    inputs = (_PORTRAIT.value, _USER_VIDEO.value, _USER_AUDIO.value, _AVATAR_AUDIO.value)
    if _SIZE.value not in range(0, 1025, 128):
        raise InputError(f"--size={_SIZE.value} is not a multiple of 128", do="choose 128, 256, 384 ... 1024")
    if bool(_PRESET.value) != bool(_WEIGHTS.value):
        raise InputError("--preset and --weights belong together", do="see docs/weights.md")
    if _SIDE_BY_SIDE.value and not _USER_VIDEO.value:
        raise InputError("--side_by_side shows the user", do="it needs --user_video")
    if _ALPHA.value and (_PASTE_BACK.value or _SIDE_BY_SIDE.value):
        raise InputError("--alpha shows nothing but the avatar", do="leave out --paste_back and --side_by_side")
    if _AVATAR_TEXT.value and _AVATAR_AUDIO.value:
        raise InputError("--avatar_text and --avatar_audio both say what the avatar says", do="leave one out")
    summary = stream(
        _WORKDIR.value, _OUT.value, *inputs,
        preset=_PRESET.value, weights=_WEIGHTS.value, seed=_SEED.value, size=_SIZE.value, face=_FACE.value,
        side_by_side=_SIDE_BY_SIDE.value, paste_back=_PASTE_BACK.value, alpha=_ALPHA.value, fps=int(_FPS.value),
        sound=_SOUND.value,
        avatar_text=_AVATAR_TEXT.value, voice=_VOICE.value,
    )  # fmt: skip
    report(summary)


if __name__ == "__main__":
    cli.run(main)
