"""A simulated conversation as a picture: user to the left, avatar to the right, each with their own voice."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from afjax.audio.framing import FPS, RATE
from data_pipeline.schema import EVENT_KINDS, Conversation
from experiments import cli
from experiments.report import figures

# seeds of the drawn faces
USER, AVATAR = 1, 0
SHEET = 24


@lru_cache(maxsize=4)
def painted_face(seed: int, size: int):
    """The face codec's identity of a drawn portrait. All samples of a training show the same two."""
    from afjax.codec.face.codec import FaceCodec
    from data_pipeline.simulate.portrait.draw import paint_portrait

    with cli.quiet():
        return FaceCodec(size=size).identity(paint_portrait(seed))


def write_conversation(path: Path, clip: Conversation, motion: np.ndarray, size: int = 256, portrait=None, sheet=None):
    """Renders a clip with the avatar's `motion` [T, D]; needs a clip that holds sound.

    Args:
      path: MP4 to write; clip: gives the user and both voices; size: side of each face in pixels.
      portrait: picture of the avatar, uint8 [H, W, 3]; drawn if None.
      sheet: PNG of some frames to write as well.
    """
    import soxr

    from afjax.codec.face.codec import FaceCodec
    from afjax.media.writer import SOUND_RATE, VideoWriter

    codec = FaceCodec(size=size)
    with cli.quiet():
        faces = painted_face(USER, size), painted_face(AVATAR, size) if portrait is None else codec.identity(portrait)
    sound = np.stack([clip.user_wave, clip.avatar_wave], axis=1).astype(np.float32) / 32768
    sound = soxr.resample(sound[: len(motion) * RATE // FPS], RATE, SOUND_RATE)
    moments = np.linspace(0, len(motion) - 1, SHEET).astype(int)
    kept = {}
    step = SOUND_RATE // FPS
    with VideoWriter(path, 2 * size, size) as writer, cli.Progress(len(motion), f"render {path.name}") as progress:
        for start in range(0, len(motion), FPS):
            span = slice(start, min(start + FPS, len(motion)))
            tracks = clip.user_motion[span], motion[span]
            sides = [codec.render(face, track) for face, track in zip(faces, tracks, strict=True)]
            pictures = np.concatenate(sides, axis=2)
            writer.frames(pictures)
            writer.sound(sound[span.start * step : span.stop * step])
            kept |= {n: pictures[n - start] for n in moments if span.start <= n < span.stop}
            progress.update(len(pictures))
    if sheet is not None:
        figures.contact_sheet(sheet, np.stack([kept[n] for n in moments]), moments / FPS, title="user, avatar")


def render_tracks(user: np.ndarray, avatars: Mapping[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    """Frames uint8 [n, size, size, 3] of the drawn user's motion [n, D], as "user", and of each avatar's by name."""
    from afjax.codec.face.codec import FaceCodec

    codec, face = FaceCodec(size=size), painted_face(AVATAR, size)
    shown = {name: codec.render(face, motion) for name, motion in avatars.items()}
    return {"user": codec.render(painted_face(USER, size), user), **shown}


def marks(clip: Conversation) -> list[tuple[str, float, float | None]]:
    """True events for `figures.motion_curves`: kind, seconds of the cause, seconds of the recorded reaction or None."""
    reacted = zip(clip.event_kind, clip.event_frame, clip.event_response, strict=True)
    return [(EVENT_KINDS[kind], frame / FPS, None if at < 0 else at / FPS) for kind, frame, at in reacted]
