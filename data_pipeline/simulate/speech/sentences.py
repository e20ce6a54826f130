"""Short spoken phrases made by a small grammar, written as SSML.

    statement   SUBJECT VERB OBJECT | OPENER, SUBJECT VERB OBJECT | IT is ADJECTIVE
    question    statement + TAG (", right?")    ends with a rise of more than half an octave
    surprise    EXCLAMATION "!"                 high and loud
    emphatic    two clauses, one word of the first slower, higher and louder

The words of the two splits are disjoint but for the function words, so that an evaluation voice never says a phrase of
the training split. In training any word can be exclaimed, asked or said alone, and many can interrupt: what they are is
told by melody and time, and a model that learns it from few words hears those words alone.
"""

from dataclasses import dataclass

import numpy as np

SPLITS = ("train", "eval")

_SUBJECTS = {
    "train": "I,we,they,my brother,our teacher,the neighbour,my father,the children,her friends,the doctor,"
    "your mother,the boss",
    "eval": "you,he,she,my sister,our captain,the farmer,my cousin,the students,his parents,the baker,"
    "your uncle,the judge",
}
_VERBS = {
    "train": "love,saw,found,bought,left,wanted,moved,finished,opened,painted,missed,heard about,paid for,"
    "forgot,brought back",
    "eval": "liked,took,lost,sold,kept,needed,fixed,started,closed,cleaned,chose,talked about,waited for,"
    "borrowed,threw away",
}
_ADJECTIVES = {
    "train": "old,green,beautiful,huge,cheap,lovely,broken,quiet,favourite,warm,boring,purple,funny,massive,bright",
    "eval": "small,yellow,famous,heavy,simple,wonderful,empty,noisy,best,cold,amazing,orange,strange,perfect,dark",
}
_NOUNS = {
    "train": "garden,mountain,book,bottle,village,jumper,movie,picture,machine,boat,window,puppy,birthday,coffee,"
    "bus,job,house,fire,river,phone",
    "eval": "kitchen,island,map,basket,station,jacket,concert,letter,engine,bridge,mirror,pony,wedding,supper,"
    "tram,shop,bathroom,cloud,valley,piano",
}
_OPENERS = {
    "train": "well,you know,honestly,and then,last summer,but maybe,in the morning,for example",
    "eval": "so,I mean,actually,after that,last weekend,perhaps,in the evening,of course",
}
_ALONE = f"{_ADJECTIVES['train']},{_NOUNS['train']}"
_INTERRUPTIONS = {
    "train": "wait,sorry but,no no,hold on,yes but,excuse me,let me just,one moment,listen,look here,well no,"
    f"just a second,that's not it,can I say,no but,okay but,right but,{_OPENERS['train']}",
    "eval": "hang on,pardon me,stop stop,hey,oh but",
}
_TAGS = {"train": "right,okay,you know,isn't it,huh,correct,remember,don't you think", "eval": "yeah,no,you see"}
_RISING_WORDS = {
    "train": f"really,you did,is it,oh yeah,are you certain,for real,they did,today,again,which one,{_ALONE}",
    "eval": "seriously,you do,was it,oh no",
}
_FALLING_WORDS = {
    "train": f"yeah,I see,right,okay,I know,exactly,fine,good,that's it,I think so,{_ALONE}",
    "eval": "yes,of course,true,sure",
}
_SURPRISES = {
    "train": "wow,oh my,no way,what,gosh,good heavens,unbelievable,oh wow,you're joking,incredible,holy cow,good grief,"
    f"blimey,you're kidding,oh dear,never,heavens,jeepers,{_ALONE}",
    "eval": "whoa,oh boy,my goodness,how",
}


@dataclass(frozen=True)
class Phrase:
    """SSML of one phrase; `emphasis` is the index of the emphasised word or -1; `tone` falling, rising or surprise."""

    ssml: str
    tone: str = "falling"
    emphasis: int = -1


def _pick(rng: np.random.Generator, table: dict[str, str], split: str) -> str:
    words = table[split].split(",")
    return words[rng.integers(len(words))]


def _words(rng: np.random.Generator, split: str, opener: float) -> list[str]:
    subject = _pick(rng, _SUBJECTS, split)
    kind = rng.random()
    if kind < 0.6:
        words = f"{subject} {_pick(rng, _VERBS, split)} the {_pick(rng, _NOUNS, split)}"
    elif kind < 0.8:
        thing = f"{_pick(rng, _ADJECTIVES, split)} {_pick(rng, _NOUNS, split)}"
        words = f"{subject} {_pick(rng, _VERBS, split)} the {thing}"
    else:
        words = f"the {_pick(rng, _NOUNS, split)} was {_pick(rng, _ADJECTIVES, split)}"
    if rng.random() < opener:
        words = f"{_pick(rng, _OPENERS, split)} {words}"
    return words.split()


def statement(rng: np.random.Generator, split: str, opener: float = 0.25) -> Phrase:
    """A falling phrase of about a second and a half."""
    return Phrase(" ".join(_words(rng, split, opener)) + ".")


def emphatic(rng: np.random.Generator, split: str) -> Phrase:
    """Two clauses; one word of the first stands out, at least a second before the end."""
    words = _words(rng, split, 0.0)
    index = int(rng.integers(1, 3))
    words[index] = f'<prosody pitch="+45%" volume="+8dB" rate="75%">{words[index]}</prosody>'
    link = ("and", "because", "but")[rng.integers(3)]
    return Phrase(f"{' '.join(words)} {link} {' '.join(_words(rng, split, 0.0))}.", emphasis=index)


def question(rng: np.random.Generator, split: str) -> Phrase:
    """A statement that ends in a tag with a steep rise."""
    words = _words(rng, split, 0.0)
    return Phrase(f"{' '.join(words)}, {_rise(_pick(rng, _TAGS, split))}", tone="rising")


def rising_word(rng: np.random.Generator, split: str) -> Phrase:
    """One or two words as a question: "really?"."""
    return Phrase(_rise(_pick(rng, _RISING_WORDS, split)), tone="rising")


def falling_word(rng: np.random.Generator, split: str) -> Phrase:
    """One or two words that ask nothing: "I see."."""
    return Phrase(_pick(rng, _FALLING_WORDS, split) + ".")


def interruption(rng: np.random.Generator, split: str) -> Phrase:
    """A loud word that takes the turn, then a statement."""
    start = f'<prosody pitch="+25%" volume="+5dB">{_pick(rng, _INTERRUPTIONS, split)}</prosody>'
    return Phrase(f"{start} {' '.join(_words(rng, split, 0.0))}.")


def surprise(rng: np.random.Generator, split: str) -> Phrase:
    """An exclamation."""
    word = _pick(rng, _SURPRISES, split)
    return Phrase(f'<prosody pitch="+60%" range="150%" volume="+6dB" rate="85%">{word}!</prosody>', tone="surprise")


def _rise(word: str) -> str:
    return f'<prosody pitch="+15%" range="150%" rate="65%">{word}?</prosody>'
