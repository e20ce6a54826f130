"""An avatar that talks and listens, from real files:

    python -m experiments.stream --workdir out/demo/run --portrait face.jpg --user_video user.mp4 \\
        --avatar_audio avatar.wav --out talk.mp4

Leave out `--avatar_audio` for a listener, `--user_video` for a talker. The video is as long as the longer of the two,
at 25 frames per second, and always has a sound track: by default both voices in both channels (`--sound`). The user's
voice is the video's own unless `--user_audio` names another file. `summary.json` is written beside the video; neither
replaces an input or another command's summary.
"""

import json
from pathlib import Path
from typing import Any

from absl import flags

from afjax.audio.framing import FPS
from afjax.errors import InputError
from experiments import cli


def main():
    inputs = (_PORTRAIT.value, _USER_VIDEO.value, _USER_AUDIO.value, _AVATAR_AUDIO.value)
    if _SIZE.value not in range(0, 1025, 128):
        raise InputError(f"--size={_SIZE.value} is not a multiple of 128", do="choose 128, 256, 384 ... 1024")
    if bool(_PRESET.value) != bool(_WEIGHTS.value):
        raise InputError("--preset and --weights belong together", do="see docs/weights.md")
    if _SIDE_BY_SIDE.value and not _USER_VIDEO.value:
        raise InputError("--side_by_side shows the user", do="it needs --user_video")
    summary = stream(
        cli.absolute(_WORKDIR.value), _OUT.value, *inputs,
        preset=_PRESET.value, weights=_WEIGHTS.value, seed=_SEED.value, size=_SIZE.value,
        side_by_side=_SIDE_BY_SIDE.value, sound=_SOUND.value,
    )  # fmt: skip
    report(summary)


def _spare(out: Path, record: Path, inputs: tuple[str, ...]):
    """InputError if the video would replace an input, or the summary one of another command."""
    for name in filter(None, inputs):
        if cli.absolute(name).resolve() == out.resolve():
            raise InputError("is an input as well", out, "choose another --out")
    if record.exists():
        try:
            ours = {"out", "user_frames"} <= set(json.loads(record.read_bytes()))
        except (OSError, ValueError, TypeError, RecursionError):
            ours = False
        if not ours:
            raise InputError("is not a summary of experiments.stream", record, "choose an --out in another folder")


def stream(
    workdir, out, portrait="", user_video="", user_audio="", avatar_audio="", *,
    preset="", weights="", seed=0, size=0, side_by_side=False, sound="mix",
) -> dict[str, Any]:  # fmt: skip
    """Reads the files, generates the avatar's motion, writes the video `out` and `summary.json` beside it.

    Returns the summary. Raises InputError for a bad file, and before any work for an `out` that can't be written.
    """
    from experiments import talk

    out = cli.writable(out)
    record = cli.writable(out.with_name("summary.json"))
    _spare(out, record, (portrait, user_video, user_audio, avatar_audio))
    if out.suffix.lower() != ".mp4":
        raise InputError("videos are written as MP4", out, "choose a name that ends in .mp4")
    watch = cli.Watch()
    with watch("read"):
        inputs = talk.read_inputs(portrait, user_video, user_audio, avatar_audio)
    with watch("load"):
        run = load_model(workdir, preset, weights)
        codec = run.codec(size)
    warnings = list(inputs.warnings)
    with watch("identity"):
        with talk.named(portrait or "portrait"), cli.quiet():  # the face models greet on stderr when first loaded
            identity = codec.identity(inputs.portrait)
    user_motion, tracked = None, {"tracked": 0, "with_face": 0}
    if inputs.video:
        with watch("track"):
            user_motion, tracked = talk.track_user(codec, inputs.video, inputs.frames, warnings)
    voices = inputs.user_audio, inputs.avatar_audio
    with watch("compile"):
        run.warm_up(inputs.frames if any(voice is not None for voice in voices) else 0)
    with watch("generate"):
        motion = run.generate(
            frames=inputs.frames,
            user_motion=user_motion,
            user_audio=inputs.user_audio,
            avatar_audio=inputs.avatar_audio,
            seed=seed,
            reference=codec.reference(identity),
        )
    talk.write_talk(out, inputs, codec, identity, motion, sound, side_by_side, watch)
    length, spent = inputs.frames / FPS, watch.seconds
    summary = {
        "workdir": None if preset else workdir,
        "preset": preset or None,
        "weights": weights or None,
        "out": out,
        "inputs": {
            "portrait": portrait or "scikit-image astronaut",
            "user_video": user_video or None,
            "user_audio": user_audio or (user_video if inputs.user_sound else None) or None,
            "avatar_audio": avatar_audio or None,
        },
        "seed": seed,
        "size": codec.size,
        "sound": sound,
        "frames": inputs.frames,
        "fps": FPS,
        "length_seconds": length,
        "user_frames": tracked,
        "seconds": {**spent, "total": sum(spent.values())},
        "real_time_factor": length / max(spent["generate"] + spent["render"], 1e-9),
        "real_time_factor_all": length / max(sum(spent.values()), 1e-9),
        "mouth": talk.mouth_figures(motion, codec.channels, inputs.avatar_audio),
        "notes": list(inputs.notes),
        "warnings": warnings,
    }
    cli.write_json(record, summary)
    return summary


def load_model(workdir, preset: str, weights: str):
    """The trained model of a run folder, or the released network."""
    if preset:
        from experiments.released import load_released

        return load_released(weights, variant=preset.partition("-")[2] or "start")
    from experiments.runs import load_run

    return load_run(workdir)


def report(summary: dict[str, Any]):
    """Prints the summary as a short table."""
    for note in summary["notes"]:
        print(f"note: {note}")
    for warning in summary["warnings"]:
        print(f"warning: {warning}")
    tracked = summary["user_frames"]
    rows = [
        ("frames at 25/s", summary["frames"]),
        ("user frames with a face", f"{tracked['with_face']}/{tracked['tracked']}"),
        *((f"{stage}, s", round(seconds, 2)) for stage, seconds in summary["seconds"].items()),
        ("real time factor, generate + render", round(summary["real_time_factor"], 2)),
        *((name, value) for name, value in summary["mouth"].items() if value is not None),
    ]
    cli.print_table(rows)
    print(f"written: {summary['out']}")


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string("workdir", "out/demo/run", "Folder of a trained model.")
    _PORTRAIT = flags.DEFINE_string(
        "portrait", "", "Picture of the avatar's face; without it scikit-image's astronaut."
    )
    _USER_VIDEO = flags.DEFINE_string("user_video", "", "Video of the user.")
    _USER_AUDIO = flags.DEFINE_string(
        "user_audio", "", "Sound file with the user's voice, in place of the video's own."
    )
    _AVATAR_AUDIO = flags.DEFINE_string("avatar_audio", "", "Sound file with the avatar's voice.")
    _OUT = flags.DEFINE_string("out", "talk.mp4", "Video to write.")
    _SEED = flags.DEFINE_integer("seed", 0, "Seed of the motion's noise.", lower_bound=0, upper_bound=2**31 - 1)
    _SIZE = flags.DEFINE_integer(
        "size", 0, "Side of the avatar's picture, a multiple of 128 pixels; 0: 256, or what the weights render."
    )
    _PRESET = flags.DEFINE_enum(
        "preset",
        "",
        ["", "released", "released-empty"],
        "The released network in place of --workdir; released-empty starts from an empty cache, block by block.",
    )
    _WEIGHTS = flags.DEFINE_string("weights", "", "Folder that experiments.convert wrote, for --preset.")
    _SIDE_BY_SIDE = flags.DEFINE_bool("side_by_side", False, "Show the user to the left of the avatar.")
    _SOUND = flags.DEFINE_enum(
        "sound",
        "mix",
        ["mix", "split", "avatar"],
        "mix: both voices in both channels; split: user left, avatar right; avatar: without the user.",
    )
    cli.run(main)
