"""Times of words in speech, from the phonemes of a synthesiser or from the sound alone."""

import numpy as np

__all__ = ["aligned", "spread"]

_STEP = 0.01
_FLOOR = 0.02


def spread(words: list[str], wave: np.ndarray, rate: int) -> list[tuple[str, float, float]]:
    """(text, start s, end s) of words in float32 `[n]`: each takes a share of the loud parts, by its letters.

    A part of 10 ms is loud from 2 % of the loudest level on. A pause between two words belongs to neither.
    """
    step = max(1, round(_STEP * rate))
    blocks = np.pad(wave, (0, -len(wave) % step)).reshape(-1, step)
    level = np.sqrt(np.mean(blocks**2, axis=1)) if len(blocks) else np.zeros(0)
    loud = np.flatnonzero(level > _FLOOR * level.max(initial=0.0))
    if not words or not len(loud):
        return [(word, 0.0, len(wave) / rate) for word in words]
    weight = np.cumsum([0.0, *(1.0 + sum(letter.isalnum() for letter in word) for word in words)])
    place = weight / weight[-1] * len(loud)
    first = loud[np.minimum(place[:-1].astype(int), len(loud) - 1)]
    last = loud[np.clip(np.ceil(place[1:]).astype(int) - 1, 0, len(loud) - 1)] + 1
    ends = np.maximum(first, np.minimum(last, [*first[1:], len(level)]))
    seconds = step / rate
    return [(word, float(a * seconds), float(b * seconds)) for word, a, b in zip(words, first, ends, strict=True)]


def aligned(
    words: list[str], alone: list[str], phonemes: list[tuple[str, float, float]]
) -> list[tuple[str, float, float]]:
    """(text, start s, end s) of a sentence's words, from the times of its phonemes.

    Args:
      words: as they are written; alone: the phonemes of each when it is spoken alone, one letter per phoneme.
      phonemes: (one letter, start s, end s) of the sentence, without blanks and marks.

    Words change in a sentence (`the apple`) or grow together. The phonemes of all words in a row are therefore aligned
    with those of the sentence by the fewest changes (Levenshtein). A word begins and ends with the sentence's phonemes
    that its own were aligned with. A word without any begins where the next one does, and has no length.
    """
    own = [(n, letter) for n, word in enumerate(alone) for letter in word]
    cost = np.zeros((len(own) + 1, len(phonemes) + 1))
    cost[:, 0], cost[0] = np.arange(len(own) + 1), np.arange(len(phonemes) + 1)
    for i, (_, letter) in enumerate(own, 1):
        for j, (other, _, _) in enumerate(phonemes, 1):
            change = cost[i - 1, j - 1] + (letter != other)
            cost[i, j] = min(change, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    found: dict[int, tuple[float, float]] = {}
    i, j = len(own), len(phonemes)
    while i and j:
        if cost[i, j] == cost[i - 1, j - 1] + (own[i - 1][1] != phonemes[j - 1][0]):
            i, j = i - 1, j - 1
            word, (_, start, end) = own[i][0], phonemes[j]
            found[word] = (start, max(end, found.get(word, (start, end))[1]))
        elif cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    times, following = [], phonemes[-1][2] if phonemes else 0.0
    for n in reversed(range(len(words))):
        start, end = found.get(n, (following, following))
        times.append((words[n], start, min(end, following)))
        following = start
    return times[::-1]
