"""The user's delay: the user's tracks come `layout.user_delay` frames late, in training and in the stream.

A block that starts at frame s then reads no user frame from s + block - user_delay on. With a delay of one block it can
therefore be made when it starts. With d = 2, frame by frame:

    avatar              0  1  2  3  4  5
    user, `delayed`     .  .  0  1  2  3     a clip: silence and rest come first, in whatever numbers they are
    user, `turned`      4  5  0  1  2  3     a clip that is played over and over

`exchanged` swaps the roles of a clip whose user is late. A live session reads late by its clock
(`afjax.streaming.session`), which needs no shift.
"""

from collections.abc import Mapping

import numpy as np

__all__ = ["delayed", "exchanged", "turned"]

Track = np.ndarray


def delayed(track: Track, frames: int, before: Track | float = 0.0) -> Track:
    """`[..., t, c]` with every frame `frames` later, the last `frames` frames gone.

    `before`: the row `[c]` of silence or rest that the frames before the first have, or one per track `[..., c]`. Zero
    is right only for sound, mel features and motion relative to a face's rest.
    """
    if not frames:
        return track
    shifted = np.empty_like(track)
    shifted[...] = np.asarray(before, track.dtype)[..., None, :] if np.ndim(before) else before
    shifted[..., frames:, :] = track[..., :-frames, :]
    return shifted


def turned(tracks: Mapping[str, Track], frames: int) -> dict[str, Track]:
    """Tracks `[t, c]` that are played over and over, those of the user (`user_*`) `frames` later."""
    return {name: np.roll(track, frames * name.startswith("user"), axis=0) for name, track in tracks.items()}


def exchanged(tracks: Mapping[str, Track], frames: int) -> dict[str, Track]:
    """`avatar_*` and `user_*` of a clip `[t, c]` in each other's role, 2 * frames shorter.

    The user comes `frames` late before and after, so the side that was late is moved ahead by 2 * frames.
    """
    length = len(tracks["avatar_motion"]) - 2 * frames
    parts = [name.removeprefix("user_") for name in tracks if name.startswith("user_")]
    ahead = {f"avatar_{part}": tracks[f"user_{part}"][2 * frames :] for part in parts}
    return ahead | {f"user_{part}": tracks[f"avatar_{part}"][:length] for part in parts}
