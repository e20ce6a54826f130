"""Written videos: sound in step, always a sound track, nothing left after an error."""

import os

import numpy as np
import pytest

from afjax.errors import InputError
from afjax.media.audio import read_audio
from afjax.media.video import probe, read_frames
from afjax.media.writer import SOUND_RATE, VideoWriter

av = pytest.importorskip("av")


def grey(level, height=64, width=64):
    return np.broadcast_to(np.asarray(level, np.uint8)[:, None, None, None], (len(level), height, width, 3))


def test_a_click_stays_with_its_flash(tmp_path):
    """Also for players that read no edit list: raw decoding is at most one AAC packet off, less than a frame."""
    path = tmp_path / "a.mp4"
    level = np.where(np.arange(75) == 30, 255, 0)
    sound = np.zeros(75 * 1920, np.float32)
    click = 30 * 1920
    sound[click : click + 200] = np.random.default_rng(0).normal(0, 0.3, 200)
    with VideoWriter(path, 64, 64) as writer:
        for n in range(0, 75, 7):
            writer.frames(grey(level[n : n + 7]))
            writer.sound(sound[n * 1920 : (n + 7) * 1920])
    info = probe(path)
    assert info.frames == 75 and np.argmax([f.mean() for f in read_frames(info)]) == 30
    read = read_audio(path, SOUND_RATE, info.start)
    lag = np.argmax(np.correlate(read, sound[click - 10 : click + 210], "valid")) + 10 - click
    assert abs(lag) <= 2
    with av.open(str(path)) as container:
        raw = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert abs(np.argmax(np.abs(raw)) - np.argmax(np.abs(sound))) < 1200


def test_layout_of_the_file(tmp_path):
    path = tmp_path / "deep" / "a.mp4"
    with VideoWriter(path, 64, 48) as writer:
        writer.frames(grey(np.arange(10), 48))
    with av.open(str(path)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, sound.codec_context.name) == ("h264", "aac")
        assert video.average_rate == 25 and video.codec_context.pix_fmt == "yuv420p" and video.frames == 10
    wave = read_audio(path, SOUND_RATE, 0.0)
    assert abs(len(wave) - 19_200) <= 1024 and np.abs(wave).max() < 1e-4
    assert os.listdir(path.parent) == ["a.mp4"]


def test_left_and_right_stay_apart_and_the_rest_is_cut(tmp_path):
    path = tmp_path / "a.mp4"
    time = np.arange(SOUND_RATE * 3) / SOUND_RATE
    both = 0.4 * np.stack([np.sin(2 * np.pi * 300 * time), np.sin(2 * np.pi * 700 * time)], axis=1)
    with VideoWriter(path, 64, 64) as writer:
        writer.frames(grey(np.zeros(50)))
        writer.sound(both)  # a second longer than the picture
    with av.open(str(path)) as container:
        left, right = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
    assert abs(len(left) / SOUND_RATE - 2) < 0.04
    for wave, hertz in ((left, 300), (right, 700)):
        spectrum = np.abs(np.fft.rfft(wave))
        assert abs(np.argmax(spectrum) * SOUND_RATE / len(wave) - hertz) < 1


def test_odd_sides_grow(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 65, 63) as writer:
        writer.frames(grey([90] * 5, 63, 65))
    info = probe(tmp_path / "a.mp4")
    assert (info.width, info.height) == (66, 64)
    assert abs(next(read_frames(info)).mean() - 90) < 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_nothing(tmp_path, error):
    (tmp_path / "a.mp4").write_bytes(b"the video of yesterday")
    with pytest.raises(error):
        with VideoWriter(tmp_path / "a.mp4", 64, 64) as writer:
            writer.frames(grey([1] * 30))
            raise error
    assert os.listdir(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"the video of yesterday"


def test_no_frames(tmp_path):
    with pytest.raises(InputError, match="no frames"):
        with VideoWriter(tmp_path / "a.mp4", 64, 64):
            pass
    assert not os.listdir(tmp_path)


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        VideoWriter(tmp_path / "file" / "a.mp4", 64, 64)
    with pytest.raises(InputError, match="mp4"):
        VideoWriter(tmp_path / "a.exe", 64, 64)


def test_wrong_frames_are_refused(tmp_path):
    with pytest.raises(ValueError, match="uint8"):
        with VideoWriter(tmp_path / "a.mp4", 64, 64) as writer:
            writer.frames(np.zeros((2, 64, 64, 3), np.float32))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("fps", [30, 60])
def test_other_rates_keep_the_sound_in_step(tmp_path, fps):
    path, sound = tmp_path / "a.mp4", np.zeros(2 * SOUND_RATE, np.float32)
    sound[SOUND_RATE : SOUND_RATE + 200] = np.random.default_rng(0).normal(0, 0.3, 200)
    with VideoWriter(path, 64, 64, fps) as writer:
        writer.frames(grey(np.where(np.arange(2 * fps) == fps, 255, 0)))
        writer.sound(sound)
    info = probe(path)
    assert info.source_rate == pytest.approx(fps) and abs(info.seconds - 2) < 1e-6
    assert abs(np.argmax(np.abs(read_audio(path, SOUND_RATE, info.start))) - SOUND_RATE) < 300
    with av.open(str(path)) as container:
        assert np.argmax([frame.to_ndarray(format="gray").mean() for frame in container.decode(video=0)]) == fps


@pytest.mark.parametrize(("name", "codec"), [("a.mov", "prores"), ("a.webm", "libvpx-vp9")])
def test_opacity_is_kept(tmp_path, name, codec):
    pictures = np.zeros((5, 64, 64, 4), np.uint8)
    pictures[..., 0], pictures[:, :, 32:, 3], pictures[:, 32:, :32, 3] = 200, 255, 128
    with VideoWriter(tmp_path / name, 64, 64, alpha=True) as writer:
        writer.frames(pictures)
        writer.sound(0.1 * np.ones(9600, np.float32))
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        decoder = av.CodecContext.create(codec, "r")  # the native VP9 decoder passes over opacity
        decoder.extradata = stream.codec_context.extradata
        packet = next(container.demux(stream))
        frame = (decoder.decode(packet) or decoder.decode(None))[0] if name == "a.webm" else packet.decode()[0]
        found = frame.to_ndarray(format="rgba")
    for y, x, opacity in ((16, 16, 0), (16, 48, 255), (48, 16, 128)):
        assert abs(int(found[y, x, 3]) - opacity) < 6
    assert abs(int(found[16, 48, 0]) - 200) < 8
    with pytest.raises(InputError, match="with alpha as ProRes or VP9"):
        VideoWriter(tmp_path / "a.mp4", 64, 64, alpha=True)


def test_the_same_pictures_give_the_same_bytes(tmp_path):
    """Also where memory that lies behind the picture differs from one time to the next."""
    rng = np.random.default_rng(0)
    still = np.kron(rng.integers(40, 200, (24, 24, 3)), np.ones((8, 8, 1)))  # twice the picture, which moves over it
    places = (30 + 25 * np.sin(np.arange(150)[:, None] / (9.0, 13.0))).astype(int)
    moving = np.uint8([still[y : y + 96, x : x + 96] + 8 * rng.standard_normal((96, 96, 1)) for y, x in places])
    seen = set()
    for n in range(8):
        with VideoWriter(tmp_path / "a.mp4", 96, 96) as writer:
            for picture in moving:
                writer.frames(picture[None])
                junk = [rng.integers(0, 255, size, np.uint8) for size in (9_000, 50_000 + 500 * n)]
        seen.add((tmp_path / "a.mp4").read_bytes())
        del junk
    assert len(seen) == 1
