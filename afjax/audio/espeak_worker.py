"""Speech synthesis in a process of its own: `python -m afjax.audio.espeak_worker`.

espeak-ng is GPL-3 code; it is loaded here, behind pipes, and nowhere else. The protocol, both ways little-endian:

  request   u32 n, n bytes of JSON   {"text": SSML, "voice": "en-us+f3", "rate": 175, "pitch": 50, "range": 50}
  reply     u32 n, n bytes of JSON   {"samples": s, "sample_rate": 22050, "phonemes": [[name, sample], ...],
                                      "words": [[text position, sample], ...]} or {"error": message}
            s int16 samples          (none after an error)

espeak-ng carries state from one utterance to the next (phases, flutter, noise), so the same words sound different
after other words. Each request is therefore answered by a fork of the freshly started worker: a reply depends on its
request alone, and a crash takes one utterance with it. The worker ends when its input does.
"""

import ctypes
import json
import os
import struct
import sys

MAX_REQUEST = 1 << 16
MAX_SAMPLES = 22050 * 60
SYNCHRONOUS, PHONEME_EVENTS, DONT_EXIT = 2, 0x0001, 0x8000
RATE, PITCH, RANGE = 1, 3, 4
UTF8, SSML = 1, 0x10
END_OF_LIST, WORD, PHONEME = 0, 1, 7


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Synthesiser:
    """The loaded library and what its callback collects of one utterance."""

    def __init__(self):
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.sample_rate = self._library.espeak_Initialize(SYNCHRONOUS, 0, data, PHONEME_EVENTS | DONT_EXIT)
        if self.sample_rate <= 0:
            raise RuntimeError("espeak-ng did not start")
        # Breathy voices would draw their noise from a clock otherwise.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self._callback = _CALLBACK(self._collect)  # kept: the library only holds the address
        self._library.espeak_SetSynthCallback(self._callback)
        self._voice = None
        self._clear()

    def _clear(self):
        self._pcm, self._phonemes, self._words = bytearray(), [], []

    def _collect(self, wave, count, events):
        if wave and count > 0:
            self._pcm += ctypes.string_at(wave, 2 * count)
        index = 0
        while events[index].type != END_OF_LIST:
            event = events[index]
            if event.type == PHONEME:
                self._phonemes.append([event.id.string.decode("utf-8", "replace"), event.sample])
            elif event.type == WORD:
                self._words.append([event.text_position, event.sample])
            index += 1
        return 1 if len(self._pcm) > 2 * MAX_SAMPLES else 0

    def speak(self, text: str, voice: str, rate: int, pitch: int, spread: int):
        """-> (reply dict, int16 bytes). Raises ValueError for a voice that does not exist."""
        if voice != self._voice:
            if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise ValueError(f"no voice {voice!r}")
            self._voice = voice
        for parameter, value in ((RATE, rate), (PITCH, pitch), (RANGE, spread)):
            self._library.espeak_SetParameter(parameter, int(value), 0)
        self._clear()
        encoded = text.encode() + b"\0"
        self._library.espeak_Synth(encoded, len(encoded), 0, 1, 0, UTF8 | SSML, None, None)
        if len(self._pcm) > 2 * MAX_SAMPLES:
            raise ValueError("utterance longer than a minute")
        reply = {
            "samples": len(self._pcm) // 2,
            "sample_rate": self.sample_rate,
            "phonemes": self._phonemes,
            "words": self._words,
        }
        return reply, bytes(self._pcm)


def _answer(synthesiser, request: bytes):
    try:
        query = json.loads(request)
        return synthesiser.speak(query["text"], query["voice"], query["rate"], query["pitch"], query["range"])
    except (ValueError, KeyError, TypeError) as error:
        return {"error": str(error)}, b""


def _send(sink, reply: dict, pcm: bytes = b""):
    encoded = json.dumps(reply).encode()
    sink.write(struct.pack("<I", len(encoded)) + encoded + pcm)
    sink.flush()


def main():
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    synthesiser = Synthesiser()
    while len(header := source.read(4)) == 4:
        (size,) = struct.unpack("<I", header)
        if size > MAX_REQUEST:
            sys.exit("request too long")
        request = source.read(size)
        if len(request) != size:
            return
        child = os.fork()
        if child == 0:
            _send(sink, *_answer(synthesiser, request))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            _send(sink, {"error": "espeak-ng crashed"})


if __name__ == "__main__":
    main()
