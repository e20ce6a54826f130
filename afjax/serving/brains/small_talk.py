"""Scripted small talk: it knows none of the user's words, but how long, how lively and how haltingly they spoke.

An answer is a reaction to that and, more often than not, a question. Each is drawn from a bag that is emptied before it
is filled again, so that nothing comes twice in a row. With the same seed and the same turns it says the same.
"""

import random

from afjax.serving.brains.parts import Turn

SHORT, LONG = 1.3, 6.0
"""Seconds of a turn: below SHORT it is a word or two, above LONG a story."""
LIVELY, CALM = -21.0, -34.0
"""Levels in dB, full scale 0, as microphones with automatic gain give them."""
PATIENCE = (9.0, 25.0, 60.0)
"""Seconds of silence after which it speaks up, once each; then it waits."""

GREETINGS = (
    "Hello! It is good to see you.",
    "Hi there. I am glad that you came.",
    "Hello, and welcome. How are you today?",
    "Oh, hello! How is your day so far?",
)
REACTIONS = {
    "short": ("I see.", "All right.", "Fair enough.", "Okay then.", "Good to know.", "Short and clear."),
    "lively": (
        "Oh, you sound excited!", "Wow, that has energy.", "Ha, I like how you tell it.",
        "That clearly means much to you.",
    ),
    "calm": (
        "You say that very calmly.", "I am listening.", "That sounds thoughtful.", "Take all the time you need.",
    ),
    "halting": (
        "It is not easy to put into words, is it?", "You thought about that.", "I could hear you think.",
    ),
    "long": (
        "That is quite a story.", "Thank you for telling me all that.", "There is a lot in what you say.",
        "I could listen to that for much longer.",
    ),
    "plain": (
        "That is interesting.", "Oh, really?", "I had not thought of it that way.", "That makes sense to me.",
        "I hear you.", "How nice.",
    ),
}  # fmt: skip
QUESTIONS = (
    "What happened then?", "What do you like best about it?", "Since when is that so?", "And how did that feel?",
    "Who else was there?", "Would you do it again?", "What will you do tomorrow?", "What made you smile today?",
    "Can you tell me more?", "What would you change, if you could?", "Where are you right now?",
    "Is there some music that you love?",
)  # fmt: skip
SILENCES = (
    "I am still here. Say anything you like.", "Shall I ask you something?", "It is nice to be quiet together, too.",
    "Whenever you are ready.",
)  # fmt: skip
BACKCHANNELS = ("Mhm.", "Yes.", "I see.", "Right.", "Aha.")


class _Bag:
    """Draws every item once before any comes again, and never the same item twice in a row."""

    def __init__(self, items, draw: random.Random):
        self._items, self._draw, self._left, self._last = items, draw, [], None

    def next(self) -> str:
        if not self._left:
            self._left = list(self._items)
            self._draw.shuffle(self._left)
            if self._left[-1] == self._last and len(self._left) > 1:
                self._left.insert(0, self._left.pop())
        self._last = self._left.pop()
        return self._last


class SmallTalk:
    """`reply` of a brain."""

    def __init__(self, seed: int = 0):
        self._draw = random.Random(seed)
        self._reactions = {kind: _Bag(items, self._draw) for kind, items in REACTIONS.items()}
        self._questions = _Bag(QUESTIONS, self._draw)
        self._greetings = _Bag(GREETINGS, self._draw)
        self._silences = _Bag(SILENCES, self._draw)
        self._backchannels = _Bag(BACKCHANNELS, self._draw)
        self._spoke_up = 0
        self._since_question = 0

    def greeting(self) -> str:
        """One of GREETINGS."""
        return self._greetings.next()

    def answer(self, turn: Turn) -> str:
        """A reaction to how the turn was said, with a question at least every third time."""
        self._spoke_up = 0
        kind = kind_of(turn)
        reaction = self._reactions[kind].next()
        asks = self._since_question >= 2 or kind == "short" or self._draw.random() < 0.6
        self._since_question = 0 if asks else self._since_question + 1
        return f"{reaction} {self._questions.next()}" if asks else reaction

    def backchannel(self, turn: Turn) -> str:
        """A backchannel now and then, once the user has talked for more than 2 s."""
        return self._backchannels.next() if turn.voiced > 2.0 and self._draw.random() < 0.4 else ""

    def silence(self, seconds: float) -> str:
        """A line after 9, 25 and 60 s of silence, then none until the user speaks."""
        if self._spoke_up >= len(PATIENCE) or seconds < PATIENCE[self._spoke_up]:
            return ""
        self._spoke_up += 1
        return self._silences.next()


def kind_of(turn: Turn) -> str:
    """Kind of a turn: short, long, lively, calm, halting or plain."""
    if turn.seconds < SHORT:
        return "short"
    if turn.seconds > LONG:
        return "long"
    if turn.level > LIVELY or turn.rise > 4.0:
        return "lively"
    if turn.pauses >= 2:
        return "halting"
    return "calm" if turn.level < CALM else "plain"


class OnlyListens:
    """`reply` of a brain that never speaks by itself: it says only what is typed."""

    def greeting(self) -> str:
        """Nothing."""
        return ""

    def answer(self, turn: Turn) -> str:
        """Nothing."""
        return ""

    def backchannel(self, turn: Turn) -> str:
        """Nothing."""
        return ""

    def silence(self, seconds: float) -> str:
        """Nothing."""
        return ""
