"""A conversation from files: a user's video and the avatar's voice in, a video of the avatar out.

    python -m docs.examples.stream listener portrait.png user.mp4 avatar.wav talk.mp4

`listener` is the model that ships; a folder of `experiments.train` may stand there, a model folder, or one of released
weights (`docs/weights.md`). `python -m experiments.stream` does the same with every check, a progress bar and a
summary.
"""

import sys

import numpy as np

import afjax
from afjax.media.audio import read_audio
from afjax.media.image import read_portrait
from afjax.media.video import probe, read_frames
from afjax.media.writer import SOUND_RATE, VideoWriter


def main(run: str, portrait: str, user_video: str, avatar_voice: str, out: str):
    avatar = afjax.load(run)
    codec = avatar.codec()
    face = codec.identity(read_portrait(portrait))
    video = probe(user_video)
    user = codec.encode(read_frames(video))
    voice = read_audio(avatar_voice)
    motion = avatar.generate(
        len(user.motion),
        user_motion=user.motion,
        user_wave=read_audio(user_video, start=video.start) if video.has_sound else None,
        avatar_wave=voice,
        reference_motion=codec.reference_motion(face),
    )
    sound = read_audio(avatar_voice, SOUND_RATE)[: len(motion) * SOUND_RATE // 25]
    with VideoWriter(out, width=codec.size, height=codec.size) as writer:
        for first in range(0, len(motion), 10):  # by blocks, as a stream does: long talks need no more memory
            writer.frames(codec.render(face, motion[first : first + 10]))
        writer.sound(np.asarray(sound))
    print(f"{len(motion)} frames, {user.found.sum()} with the user's face: {out}")


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
