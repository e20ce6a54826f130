"""Sound of any usual format as 16 kHz mono."""

import numpy as np
import pytest

from afjax.errors import InputError
from afjax.media.audio import SoundReader, read_audio

soundfile = pytest.importorskip("soundfile")


def tone(rate: int, seconds: float = 1.0, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


def pitch(wave: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(wave * np.hanning(len(wave))))) * 16_000 / len(wave))


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_any_rate(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(rate), rate)
    wave = read_audio(tmp_path / "a.wav")
    assert wave.dtype == np.float32 and abs(len(wave) - 16_000) <= 1
    assert abs(pitch(wave) - 440) < 1.5
    middle = wave[4000:12_000]
    np.testing.assert_allclose(np.sqrt(np.mean(middle**2)), 0.5 / np.sqrt(2), rtol=0.01)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_U8"),
        ("a.wav", "PCM_24"),
        ("a.wav", "FLOAT"),
        ("a.flac", "PCM_16"),
        ("a.ogg", None),
        ("a.mp3", None),
    ],
)
def test_any_format(tmp_path, name, subtype):
    soundfile.write(tmp_path / name, tone(44_100), 44_100, subtype=subtype)
    wave = read_audio(tmp_path / name)
    assert abs(len(wave) - 16_000) < 1200 and abs(pitch(wave) - 440) < 1.5


@pytest.mark.parametrize("name", ["a.wav", "a.m4a"])
def test_one_channel_of_two(tmp_path, name):
    av = pytest.importorskip("av")
    wave = np.stack([tone(16_000, hertz=440), tone(16_000, hertz=880)]).astype(np.float32)
    if name == "a.wav":
        soundfile.write(tmp_path / name, wave.T, 16_000)
    else:
        with av.open(str(tmp_path / name), "w", format="mp4") as container:
            stream = container.add_stream("aac", rate=16_000, layout="stereo")
            frame = av.AudioFrame.from_ndarray(wave[:, :15_360], format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = 16_000, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    for channel, hertz in ((1, 440), (2, 880)):
        assert abs(pitch(read_audio(tmp_path / name, channel=channel)) - hertz) < 1.5
    with pytest.raises(InputError, match="channel 3 is asked for, the sound has 2"):
        read_audio(tmp_path / name, channel=3)


@pytest.mark.parametrize(("rate", "layout"), [(16_000, "mono"), (44_100, "stereo")])
def test_aac_sits_at_its_time_stamps(tmp_path, rate, layout):
    """The encoder's priming is not heard: a click is found where it was put."""
    av = pytest.importorskip("av")
    wave = np.zeros((1 if layout == "mono" else 2, rate * 2), np.float32)
    wave[:, rate] = 1
    with av.open(str(tmp_path / "a.m4a"), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=rate, layout=layout)
        for first in range(0, wave.shape[1], 1024):
            piece = np.ascontiguousarray(wave[:, first : first + 1024])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate = rate
            frame.pts = first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert abs(np.argmax(np.abs(read_audio(tmp_path / "a.m4a"))) - 16_000) <= 2


def test_channels_are_averaged(tmp_path):
    stereo = np.stack([tone(16_000), 0.5 * tone(16_000)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), 0.75 * tone(16_000), atol=1e-6)


def test_take_gives_the_same_samples_and_then_zeros(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(44_100, 3.3), 44_100)
    whole = read_audio(tmp_path / "a.wav")
    reader = SoundReader(tmp_path / "a.wav")
    pieces = np.concatenate([reader.take(n) for n in [1, 640, 10_000, 30_000, 20_000, 640]])
    np.testing.assert_array_equal(pieces[: len(whole)], whole)
    assert len(pieces) == 61_281 and not pieces[len(whole) :].any()


def bad_sample(value):
    def make(path):
        wave = tone(16_000)
        wave[5000] = value
        soundfile.write(path, wave, 16_000, subtype="FLOAT")

    return make


BAD = {
    "missing": (lambda path: None, "no such file"),
    "empty": (lambda path: path.touch(), "empty"),
    "directory": (lambda path: path.mkdir(), "directory"),
    "text": (lambda path: path.write_text("words " * 1000), "not a readable sound"),
    "no samples": (lambda path: soundfile.write(path, np.zeros(0), 16_000), "no samples"),
    "NaN": (bad_sample(np.nan), "NaN"),
    "infinity": (bad_sample(np.inf), "NaN"),
    "far outside": (bad_sample(1000.0), "-1..1"),
    "4 kHz": (lambda path: soundfile.write(path, np.zeros(4000), 4_000), "8-96 kHz"),
    "20 channels": (lambda path: soundfile.write(path, np.zeros((100, 20)), 16_000), "channels"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files(tmp_path, case):
    make, message = BAD[case]
    path = tmp_path / "voice.wav"
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        read_audio(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_too_long_is_told_from_the_header(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(32_000), 16_000)
    with pytest.raises(InputError, match="longer than 1 s"):
        SoundReader(tmp_path / "a.wav", max_seconds=1.0)


def test_video_without_sound(tmp_path, write_video):
    path = write_video(tmp_path / "a.mp4", [0] * 5)
    with pytest.raises(InputError, match="no sound track"):
        read_audio(path)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("avatar_forcing/avatar.wav", 15.813),
        ("infinite_talk/1-man.WAV", 8.522),
        ("moonshine/endgame_nagg_nell.wav", 28.277),
        ("moonshine/two_cities.wav", 44.374),
        ("sadtalker/RD_Radio31_000.wav", 8.0),
    ],
)
def test_real_voices(clips, name, seconds):
    wave = read_audio(clips / name)
    assert abs(len(wave) / 16_000 - seconds) < 0.001
    assert 0.01 < np.abs(wave).max() <= 1.5
