"""From the files of a conversation to its video."""

import json
from pathlib import Path
from typing import Any

import afjax
from afjax import files
from afjax.audio.framing import FPS
from afjax.errors import InputError
from afjax.media.writer import named
from experiments import cli

PASTED = 512
"""Pixels of the side that is rendered for a whole photograph."""


def _spare(out: Path, record: Path, inputs: tuple[str, ...]):
    """Raises InputError if the video would replace an input, or the summary that of another command."""
    for name in filter(None, inputs):
        if files.absolute(name).resolve() == out.resolve():
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
    avatar_text="", voice="Clara", alpha=False, **settings,
) -> dict[str, Any]:  # fmt: skip
    """Reads the files, generates the avatar's motion, writes the video `out` and `summary.json` beside it.

    `avatar_text`: what the avatar says, by `voice`, in place of `avatar_audio`; other arguments are as the flags of
    `experiments.stream`.

    Returns the summary. Raises InputError for a bad file, and before any work for an `out` that can't be written.
    """
    from experiments.talk.spoken import spoken

    out = named(files.writable(out), alpha)
    inputs = (portrait, user_video, user_audio, avatar_audio)
    _spare(out, files.writable(out.with_name("summary.json")), inputs)
    with spoken(avatar_text, voice) as said:
        summary = _stream(workdir, out, *inputs[:3], avatar_audio or said, alpha=alpha, **settings)
    if avatar_text:
        summary["inputs"] |= {"avatar_audio": None, "avatar_text": avatar_text}
    files.write_json(out.with_name("summary.json"), summary)
    return summary


def _stream(
    workdir, out: Path, portrait: str, user_video: str, user_audio: str, avatar_audio: str, *,
    preset="", weights="", seed=0, size=0, face=0, side_by_side=False, paste_back=False, alpha=False, fps=FPS,
    sound="mix",
) -> dict[str, Any]:  # fmt: skip
    from afjax.codec.face.codec import FaceCodec
    from afjax.metrics.mouth import mouth_figures
    from experiments.talk.inputs import identity_of, read_inputs, track_user
    from experiments.talk.video import pasted, write_talk

    watch = cli.Watch()
    with watch("read"):
        inputs = read_inputs(portrait, user_video, user_audio, avatar_audio)
    with watch("load"):
        run = load_model(workdir, preset, weights)
        codec = run.codec(size or (PASTED if paste_back else 0))
        if alpha and not isinstance(codec, FaceCodec):
            raise InputError("the model's codec has no background to leave out", "--alpha", "leave it out")
    warnings = list(inputs.warnings)
    with watch("identity"):
        identity = identity_of(codec, inputs.portrait, face, portrait or "portrait", warnings)
    whole = pasted(codec, identity, inputs.portrait, face) if paste_back else None
    user_motion, tracked = None, {"tracked": 0, "with_face": 0}
    if inputs.video:
        with watch("track"):
            user_motion, tracked = track_user(codec, inputs.video, inputs.frames, warnings)
    voices = inputs.user_wave, inputs.avatar_wave
    with watch("compile"):
        run.warm_up(inputs.frames if any(voice is not None for voice in voices) else 0)
    with watch("generate"):
        motion = run.generate(
            frames=inputs.frames,
            user_motion=user_motion,
            user_wave=inputs.user_wave,
            avatar_wave=inputs.avatar_wave,
            seed=seed,
            reference_motion=codec.reference_motion(identity),
        )
    write_talk(out, inputs, codec, identity, motion, sound, side_by_side, watch, whole, fps, alpha)
    length, spent = inputs.frames / FPS, watch.seconds
    return {
        "workdir": None if preset else workdir or cli.SHIPPED,
        "preset": preset or None,
        "weights": weights or None,
        "out": out,
        "inputs": {
            "portrait": portrait or "scikit-image astronaut",
            "user_video": user_video or None,
            "user_audio": user_audio or (user_video if inputs.user_path else None) or None,
            "avatar_audio": avatar_audio or None,
            "avatar_text": None,
        },
        "seed": seed,
        "size": codec.size,
        "sound": sound,
        "frames": inputs.frames,
        "fps": fps,
        "length_seconds": length,
        "user_frames": tracked,
        "seconds": {**spent, "total": sum(spent.values())},
        "real_time_factor": length / max(spent["generate"] + spent["render"], 1e-9),
        "real_time_factor_all": length / max(sum(spent.values()), 1e-9),
        "mouth": mouth_figures(motion, codec.channels, inputs.avatar_wave),
        "notes": list(inputs.notes),
        "warnings": warnings,
    }


def load_model(workdir, preset: str, weights: str) -> "afjax.Avatar":
    """The avatar of a run folder, by default the one that ships; or the released network's."""
    if not preset:
        return cli.load_avatar(workdir)
    from afjax.avatar.released import load_released

    return load_released(weights, start=0) if preset == "released-empty" else load_released(weights)


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
