"""A live session fed by arrays: camera frames and sound in as they come, pictures and the avatar's voice out.

    python -m docs.examples.live listener 10

`listener` is the model that ships; a run folder may stand there. The camera is a photograph that sways, both voices are
buzzes and the clock is virtual: the loop runs as fast as it can and says how many blocks were late had it been a real
one. A product puts its webcam, microphone, synthesiser and screen in their places, and `time.monotonic()` in the
clock's.
"""

import sys
import time

import numpy as np
from skimage.data import astronaut

import afjax

RATE, FPS = 16_000, 25


def buzz(seconds: float, pitch: float) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    return (0.1 * np.sin(2 * np.pi * pitch * t) * (np.sin(2 * np.pi * 1.5 * t) > 0)).astype(np.float32)


def main(run: str, seconds: float):
    avatar, camera = afjax.load(run), astronaut()
    user, speech = buzz(seconds, 120), buzz(seconds, 220)
    shown, late = [], 0
    with avatar.session(camera, size=128) as session:
        session.say(speech, RATE)  # speech may come faster than it is spoken
        for frame in range(int(seconds * FPS)):
            begun, now = time.monotonic(), (frame + 1) / FPS
            session.see(np.roll(camera, int(8 * np.sin(frame / 5)), axis=1), now)
            session.hear(user[frame * RATE // FPS : (frame + 1) * RATE // FPS], RATE)
            if session.due(now):
                block = session.block(now)
                shown.append(block.pictures)
                late += time.monotonic() - begun > len(block.pictures) / FPS
        print(f"{sum(map(len, shown))} frames shown, {late} of {len(shown)} blocks late; {session.counts}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], float(sys.argv[2]))
