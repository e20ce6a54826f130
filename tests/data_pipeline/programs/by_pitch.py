"""A stand-in for a program that separates voices: the person on the left has the low one.

    python by_pitch.py HOW SOUND BOXES OUT VIDEO

HOW is `well`, or what it does wrong.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

if "--version" in sys.argv:
    print("by pitch 1.2\nfor tests")
    sys.exit()
how, sound, boxes, out, _ = sys.argv[1:]
people = json.loads(Path(boxes).read_text())["people"]
mixed, rate = soundfile.read(sound)
spectrum = np.fft.rfft(mixed)
low = np.arange(len(spectrum)) * rate / len(mixed) < 1000
voices = np.fft.irfft(spectrum * low, len(mixed)), np.fft.irfft(spectrum * ~low, len(mixed))
middles = {name: np.median([box[0] + box[2] for box in rows if box]) for name, rows in people.items()}
for number, name in enumerate(sorted(people, key=middles.get)):
    voice = voices[number]
    if how == "fails":
        print("no GPU", file=sys.stderr)
        sys.exit(3)
    if how == "forever":
        time.sleep(60)
    if how == "short":
        voice = voice[: rate // 2]
    if how == "one":
        voice = voices[0]
    if how == "loud":
        voice = 2.5 * voice
    if how == "late":
        voice = np.r_[np.zeros(rate // 5), voice][: len(voice)]
    if how == "half" and number:
        continue
    soundfile.write(f"{out}/{name}.wav", voice, rate, subtype="FLOAT")
