"""How long the offline brain takes to answer: spoken questions, at their pace, into a call; one line of JSON.

    python -m tests.serving.brain_rehearsal 5

So many questions of espeak-ng's voice are heard, 20 ms at a time; the call has the model of the smoke preset, and no
pictures. Medians in seconds from the end of a question's sound on: `decided` (the turn is over), `words`, `sentence`
(the first one is complete), `speech` (its sound is there) and `heard` (the call plays it), of which `longest` is the
most. `cpu`: seconds of the three processes for a question and its answer; `cpu_first`: until its first sentence is
sound. `waited`: the longest that the call waited for its brain. `behind`: the most that the clock of the rehearsal was
late by, which is in none of them.
"""

import json
import os
import sys

import numpy as np

from afjax.serving.brain import Speech, State, Trouble, UserTranscript
from afjax.serving.brains.endpoints import Chat
from afjax.serving.brains.offline.parts import PiperVoice, SmallModel, Whisper
from afjax.serving.brains.parts import Turn
from afjax.serving.brains.vad import TurnDetector
from afjax.serving.brains.voice import EspeakVoice
from afjax.serving.brains.words import WordsBrain
from tests.serving.brain_page import STEP, Page, Stopwatch, at_16k, smoke_engine

QUESTIONS = (
    "What is the capital of France?", "How do I make a good cup of tea?", "What should I read this evening?",
    "Why is the sky blue?", "Can you tell me something about the sea?",
)  # fmt: skip


def used(parts) -> float:
    """CPU seconds that the parts' processes have used."""
    total = 0
    for part in parts:
        with open(f"/proc/{part._worker._process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def ask(page: Page, question: np.ndarray, said: list, parts) -> dict[str, float]:
    """One question; -> seconds from its end on."""
    count, before = len(page.events), used(parts)
    page.live(question)
    ended = page.now

    def first(kind, also=lambda event: True):
        while True:
            for at, event in page.events[count:]:
                if isinstance(event, Trouble):
                    raise SystemExit(event.text)
                if isinstance(event, kind) and also(event):
                    return at - ended
            page.quiet(STEP)

    found = {"decided": first(State, lambda event: event.state == "thinking"), "words": first(UserTranscript)}
    found["speech"] = first(Speech)
    found["cpu_first"] = used(parts) - before
    name, seconds, end = said[0]
    found["sentence"] = end - seconds - page.started - ended
    first(State, lambda event: event.state == "speaking")
    found["heard"] = page.first_sound(ended) - ended
    first(State, lambda event: event.state == "listening")
    found["cpu"] = used(parts) - before
    return found


def main(count: int) -> None:
    parts = whisper, model, voice = Whisper(), SmallModel(), PiperVoice()
    chat = Chat(model.endpoint, "", greeting="", settings={**SmallModel.SETTINGS, "temperature": 0.0})
    whisper.words(np.zeros(16_000, np.float32))
    voice.say("Hello.")
    next(iter(chat.answer(Turn(1.0, 1.0, 0, -20.0, words=("Hi.",)))), "")
    chat.messages[1:] = []
    engine, espeak, said, calls, found = smoke_engine(), EspeakVoice("Martin"), [], [], []
    questions = [at_16k(made.samples[: -int(0.12 * made.rate)], made.rate) for made in map(espeak.say, QUESTIONS)]
    Page(engine, WordsBrain(TurnDetector(), whisper, chat, voice, threads=False)).quiet(1.0)  # compiles
    engine.leave(0)
    brain = WordsBrain(TurnDetector(), whisper, chat, Stopwatch(voice, said))
    page = Page(engine, Stopwatch(brain, calls), live=True)
    page.quiet(1.0)
    for n in range(count):
        said.clear()
        found.append(ask(page, questions[n % len(questions)], said, parts))
        page.quiet(1.0)
    brain.close()
    figures = {name: round(float(np.median([one[name] for one in found])), 2) for name in found[0]}
    longest = round(max(one["heard"] for one in found), 2)
    waited = round(max(seconds for _, seconds, _ in calls), 4)
    more = {"longest": longest, "waited": waited, "behind": round(page.late, 2)}
    print(json.dumps(figures | more))
    for part in parts:
        part.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
