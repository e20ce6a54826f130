"""No part of a sound is lost without a word: joined files, lengths that lie, channels that cancel, silent tracks."""

import os
import struct

import numpy as np
import pytest

from afjax.errors import InputError
from afjax.media.audio import SoundReader

soundfile = pytest.importorskip("soundfile")
av = pytest.importorskip("av")

RATE = 16_000


def tone(seconds: float = 1.0, hertz: float = 440.0, rate: int = RATE) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def encode(path, codec, rate, waves, layout="mono"):
    """Writes one sound track a wave `[channels, n]`, by FFmpeg."""
    with av.open(
        str(path), "w", format={".m4a": "mp4", ".aac": "adts", ".mka": "matroska"}.get(path.suffix)
    ) as container:
        streams = [container.add_stream(codec, rate=rate, layout=layout) for _ in waves]
        for stream, wave in zip(streams, waves, strict=True):
            resampler = av.AudioResampler(format=stream.codec_context.format.name, layout=layout, rate=rate)
            frame = av.AudioFrame.from_ndarray(np.atleast_2d(wave), format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, 0
            fifo = av.AudioFifo()
            for part in resampler.resample(frame):
                fifo.write(part)
            place = 0
            while fifo.samples:
                part = fifo.read(stream.codec_context.frame_size or 1024, partial=True)
                part.pts, place = place, place + part.samples
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))
    return path


def read(path):
    reader = SoundReader(path)
    return np.concatenate(list(reader.blocks())), " ".join(reader.said)


def hertz(wave):
    return float(np.argmax(np.abs(np.fft.rfft(wave * np.hanning(len(wave))))) * RATE / len(wave))


JOINED = [
    ("wav", "pcm_s16le", 24_000), ("aiff", "pcm_s16be", 24_000), ("m4a", "aac", 24_000), ("mp3", "libmp3lame", 24_000),
    ("flac", "flac", 24_000), ("ogg", "libopus", 48_000), ("aac", "aac", 24_000), ("mka", "aac", 24_000),
    ("webm", "libopus", 48_000),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "codec", "rate"), JOINED)
def test_joined_files_are_read_to_the_end(tmp_path, kind, codec, rate):
    parts = [
        encode(tmp_path / f"{n}.{kind}", codec, rate, [tone(seconds, pitch, rate)]).read_bytes()
        for n, (seconds, pitch) in enumerate([(1.0, 400), (1.5, 800), (0.5, 400)])
    ]
    path = tmp_path / f"joined.{kind}"
    path.write_bytes(b"".join(parts))
    wave, _ = read(path)
    assert abs(len(wave) / RATE - 3.0) < 0.25
    for second, pitch in ((0.4, 400), (1.8, 800), (2.8, 400)):
        middle = wave[round((second - 0.1) * RATE) : round((second + 0.1) * RATE)]
        assert abs(hertz(middle) - pitch) < 10


def test_a_rate_that_changes_inside_is_brought_to_the_first(tmp_path):
    parts = [
        encode(tmp_path / f"{rate}.mp3", "libmp3lame", rate, [tone(1.0, 400, rate)]).read_bytes()
        for rate in (24_000, 44_100, 16_000)
    ]
    path = tmp_path / "joined.mp3"
    path.write_bytes(b"".join(parts))
    wave, said = read(path)
    assert abs(len(wave) / RATE - 3.0) < 0.25 and "changes its rate inside (24000 and 44100 and 16000 Hz)" in said
    for second in (0.5, 1.5, 2.6):
        assert abs(hertz(wave[round((second - 0.2) * RATE) : round((second + 0.2) * RATE)]) - 400) < 5


@pytest.mark.parametrize("declared", [0, 2**32 - 1, 2**31 - 1, 8_000, 31_000, 64_000])
@pytest.mark.parametrize("chunk", [b"", b"LIST\x04\0\0\0abcd"])
def test_a_wav_is_as_long_as_its_samples(tmp_path, declared, chunk):
    """Lengths of none, of the first piece, of too much: a second of 16 bits is 32000 bytes."""
    soundfile.write(tmp_path / "a.wav", tone(), RATE, subtype="PCM_16")
    data = bytearray((tmp_path / "a.wav").read_bytes())
    place = data.index(b"data")
    data[place:place] = chunk
    struct.pack_into("<I", data, place + len(chunk) + 4, declared)
    (tmp_path / "a.wav").write_bytes(data)
    wave, said = read(tmp_path / "a.wav")
    np.testing.assert_allclose(wave, tone(), atol=1e-4)
    assert ("ends early after 1.0 of 2.0 s" if declared == 64_000 else "read to its end") in said


def test_what_follows_the_samples_of_a_wav_is_no_sound(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), RATE, subtype="PCM_16")
    with (tmp_path / "a.wav").open("ab") as file:
        file.write(b"LIST" + struct.pack("<I", 1000) + b"x" * 1000 + b"id3 " + struct.pack("<I", 3) + b"abc\0")
    assert len(read(tmp_path / "a.wav")[0]) == RATE


def stereo(path, *channels):
    soundfile.write(path, np.stack(channels, axis=1), RATE, subtype="FLOAT")
    return path


def test_channels_that_cancel_leave_the_loudest(tmp_path):
    wave, said = read(stereo(tmp_path / "a.wav", 0.9 * tone(), -tone()))
    np.testing.assert_allclose(wave, -tone(), atol=1e-6)
    assert "cancel each other, channel 2 is used" in said
    wave, said = read(stereo(tmp_path / "b.wav", tone(), tone()))
    np.testing.assert_allclose(wave, tone(), atol=1e-6)
    assert not said


def test_a_silent_channel_does_not_halve_the_voice(tmp_path):
    wave, said = read(stereo(tmp_path / "a.wav", 0 * tone(), tone()))
    np.testing.assert_allclose(wave, tone(), atol=1e-6)
    assert "of its 2 channels 2 carries sound" in said


def test_surround_sound_speaks_from_the_middle(tmp_path):
    wave = np.stack([tone(1, hertz, 48_000) for hertz in (300, 500, 700, 50, 900, 1100)])
    found, said = read(encode(tmp_path / "a.m4a", "aac", 48_000, [wave], "5.1"))
    assert abs(hertz(found) - 700) < 2 and "the middle one is used" in said


def test_the_first_track_that_is_not_silent_is_read(tmp_path):
    tracks = [np.zeros(RATE, np.float32), tone(1, 600), tone(1, 900)]
    found, said = read(encode(tmp_path / "a.mka", "aac", RATE, tracks))
    assert abs(hertz(found) - 600) < 2 and "3 sound tracks: track 2 is used, the first that is not silent" in said


@pytest.mark.parametrize("scale", [2.0, 39.0])
def test_samples_beyond_full_scale_are_brought_down(tmp_path, scale):
    soundfile.write(tmp_path / "a.wav", scale * tone(), RATE, subtype="FLOAT")
    wave, said = read(tmp_path / "a.wav")
    if scale * 0.4 > 1.25:
        assert f"up to {0.4 * scale:.1f}" in said and np.abs(wave).max() == pytest.approx(1, abs=0.01)
    else:
        assert not said and np.abs(wave).max() == pytest.approx(0.4 * scale, abs=0.01)
    np.testing.assert_allclose(wave / np.abs(wave).max(), tone() / 0.4, atol=0.01)


def test_all_tracks_silent_is_silence(tmp_path):
    wave, said = read(encode(tmp_path / "a.mka", "aac", RATE, [np.zeros(RATE, np.float32)] * 2))
    assert not wave.any() and "track 1 is used" in said and "silent" not in said


def test_a_part_of_another_kind_is_refused_or_read(tmp_path):
    """A WAV with half a WAV behind it: what is there of both."""
    soundfile.write(tmp_path / "a.wav", tone(), RATE, subtype="PCM_16")
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(data + data[: len(data) // 2])
    assert len(read(tmp_path / "b.wav")[0]) == pytest.approx(1.5 * RATE, abs=50)
    (tmp_path / "c.wav").write_bytes(data + data[:20])
    wave, said = read(tmp_path / "c.wav")
    assert len(wave) == RATE and "2 files joined: 1 can't be read" in said


TAILS = [b"ID3\x04" + bytes(range(200)) * 99, b"TAG" + b"x" * 125, b"APETAGEX" + b"y" * 500, bytes(4096), b"\0",
         b"LIST" + struct.pack("<I", 5000) + b"z" * 100]  # fmt: skip


@pytest.mark.parametrize("tail", TAILS)
def test_tags_behind_a_wav_are_no_sound(tmp_path, tail):
    soundfile.write(tmp_path / "a.wav", tone(), RATE, subtype="PCM_16")
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes() + tail)
    wave, said = read(tmp_path / "a.wav")
    np.testing.assert_allclose(wave, tone(), atol=1e-4)
    assert not said


def test_a_track_that_can_t_be_decoded_leaves_the_other(tmp_path):
    path = encode(tmp_path / "a.mka", "pcm_f32le", RATE, [np.full(RATE, np.nan, np.float32), tone(1, 900)])
    wave, said = read(path)
    assert abs(hertz(wave) - 900) < 2 and "track 2 is used" in said


def test_unrelated_channels_are_mixed(tmp_path):
    rng = np.random.default_rng(0)
    channels = 0.2 * rng.standard_normal((8, RATE)).clip(-3, 3)
    soundfile.write(tmp_path / "a.wav", channels.T, RATE, subtype="FLOAT")
    wave, said = read(tmp_path / "a.wav")
    np.testing.assert_allclose(wave, channels.mean(axis=0), atol=1e-6)
    assert not said


@pytest.mark.parametrize(
    "data", [b"fLaC" * 1_000_000, b"RIFF\0\0\0\0WAVE" + bytes(4_000_000), b"\0\0\0\x08ftyp" * 500_000]
)
def test_nonsense_ends_soon(tmp_path, data):
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(InputError, match="a.wav"):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize("kind", ["wav", "m4a"])
def test_names_that_are_not_utf_8_and_the_home_folder(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("HOME", str(tmp_path))
    name = os.fsdecode(b"J\xfcrgen." + kind.encode())
    encode(tmp_path / f"a.{kind}", {"wav": "pcm_s16le", "m4a": "aac"}[kind], RATE, [tone()])
    (tmp_path / f"a.{kind}").rename(tmp_path / name)
    whole, _ = read(tmp_path / name)
    assert abs(hertz(whole) - 440) < 3
    np.testing.assert_array_equal(read(f"~/{name}")[0], whole)
