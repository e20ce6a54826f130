"""Frames at 25 per second: the right ones, upright, and nothing but an InputError from bad files."""

import os

import numpy as np
import pytest

from afjax.errors import InputError, InputWarning
from afjax.media.audio import read_audio
from afjax.media.video import probe, read_frames, shown_frames

pytest.importorskip("av")


def levels(path) -> np.ndarray:
    return np.array([frame.mean() for frame in read_frames(probe(path))])


def test_25_per_second_passes_through(tmp_path, write_video):
    grey = np.arange(30) * 8
    read = levels(write_video(tmp_path / "a.mp4", grey))
    np.testing.assert_allclose(read, grey, atol=2)


def test_30_per_second_gives_the_nearest_frames(tmp_path, write_video):
    grey = np.arange(60) * 4
    read = levels(write_video(tmp_path / "a.mp4", grey, rate=30))
    assert len(read) == 50
    np.testing.assert_allclose(read, grey[np.round(np.arange(50) * 30 / 25).astype(int)], atol=2)


def test_variable_rate_holds_and_keeps_time(tmp_path, write_video):
    path = write_video(tmp_path / "a.mp4", [0, 50, 100, 150, 200], times=[0, 0.04, 0.08, 1.0, 1.1])
    read = levels(path)
    expected = [0, 50] + [100] * 23 + [150] * 2 + [200]  # 1.1 s is nearest to frame 27 or 28, never 26
    np.testing.assert_allclose(read[: len(expected) - 1], expected[:-1], atol=2)
    np.testing.assert_allclose(read[28:], 200, atol=2)


@pytest.mark.parametrize("late", ["video", "sound", "both"])
def test_sound_and_picture_share_one_clock(tmp_path, write_video, late):
    """A flash and a click at the same moment stay together, whichever track starts first."""
    video_start = 0.52 if late in ("video", "both") else 0.0
    sound_start = 0.3 if late in ("sound", "both") else 0.0
    moment = 1.2
    times = video_start + np.arange(50) / 25
    grey = np.where(np.isclose(times, moment), 255, 0)
    sound = np.zeros(48_000 * 2, np.float32)
    sound[round((moment - sound_start) * 48_000)] = 1
    path = write_video(tmp_path / "a.mp4", grey, times, sound=sound, sound_start=sound_start)
    info = probe(path)
    flash = np.argmax([frame.mean() for frame in read_frames(info)]) / 25
    click = np.argmax(np.abs(read_audio(path, 16_000, info.start))) / 16_000
    assert abs(flash - click) < 0.5 / 25


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_undone(tmp_path, write_video, rotation):
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32, :48] = 255  # white at the coded picture's top left
    path = write_video(tmp_path / "a.mp4", [picture] * 3, rotation=rotation)
    frame = next(read_frames(probe(path))).mean(axis=2)
    assert frame.shape == ((64, 96) if rotation == 180 else (96, 64))
    upright = np.rot90(picture.mean(axis=2), rotation // 90)  # a display matrix turns counter-clockwise
    assert np.abs(frame - upright).mean() < 10


def test_frames_are_made_as_they_are_asked_for(tmp_path, write_video):
    frames = read_frames(probe(write_video(tmp_path / "a.mp4", [100] * 100)))
    assert next(frames).shape == (64, 96, 3)
    frames.close()  # an unfinished reading ends without an error


def test_large_frames_are_scaled(tmp_path, write_video):
    frame = next(read_frames(probe(write_video(tmp_path / "a.mp4", [100] * 3)), max_side=48))
    assert frame.shape == (32, 48, 3) and frame.dtype == np.uint8


def test_limits_are_read_from_the_header(tmp_path, write_video):
    tiny = write_video(tmp_path / "tiny.mp4", [np.zeros((16, 16, 3), np.uint8)] * 3)
    with pytest.raises(InputError, match="16 x 16"):
        probe(tiny)
    with pytest.raises(InputError, match="over the limit"):
        probe(write_video(tmp_path / "long.mp4", [0] * 50), max_seconds=1.0)


def text(path):
    path.write_text("these are words, not a video\n" * 100)


def playlist(path):
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9.0,\n/etc/hostname\n#EXT-X-ENDLIST\n")


def concat_script(path):
    path.write_text("ffconcat version 1.0\nfile /etc/hostname\n")


def picture(path):
    from PIL import Image

    Image.new("RGB", (64, 64)).save(path, format="PNG")


def sound_only(path):
    import soundfile

    soundfile.write(path, np.zeros(16_000), 16_000, format="WAV")


BAD = {
    "missing": (lambda path: None, "no such file"),
    "empty": (lambda path: path.touch(), "empty"),
    "directory": (lambda path: path.mkdir(), "directory"),
    "pipe": (os.mkfifo, "regular"),
    "text": (text, "not a readable video"),
    "playlist": (playlist, "not a readable video"),
    "concat": (concat_script, "not a readable video"),
    "picture": (picture, "is a picture, not a video"),
    "sound": (sound_only, "no video track"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files(tmp_path, case):
    make, message = BAD[case]
    path = tmp_path / "user.mp4"
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        probe(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.jpg", "a.png", "a.tif"])
def test_a_picture_is_no_video(tmp_path, name):
    Image = pytest.importorskip("PIL.Image")
    pictures = [Image.fromarray(np.full((96, 96, 3), level, np.uint8)) for level in (0, 255)]
    more = {"save_all": True, "append_images": pictures[1:]} if name in ("a.gif", "a.webp") else {}
    pictures[0].save(tmp_path / name, **more)
    with pytest.raises(InputError, match=f"{name}: is a picture, not a video; convert it to MP4"):
        probe(tmp_path / name)


def test_a_path_that_is_no_path():
    for name in ("a\0b.mp4", "x" * 5000 + ".mp4", "/dev/zero", "https://example.org/a.mp4"):
        with pytest.raises(InputError):
            probe(name)


@pytest.mark.parametrize("index_first", [True, False])
def test_truncated(tmp_path, write_video, index_first):
    """The index of an MP4 file stands at its end or, moved for the web, at its start: both are told when cut."""
    from afjax.media.writer import VideoWriter

    whole = tmp_path / "whole.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (75, 64, 96, 3), np.uint8)
    if index_first:
        with VideoWriter(whole, 96, 64) as writer:
            writer.frames(noise)
    else:
        write_video(whole, list(noise))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(InputError):
        list(read_frames(probe(cut)))


def test_damaged_bytes_never_escape_as_other_errors(tmp_path, write_video):
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 255, (20, 64, 96, 3), np.uint8)
    whole = write_video(tmp_path / "whole.mp4", list(noise), sound=rng.normal(0, 0.1, 40_000)).read_bytes()
    survived = 0
    for trial in range(40):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(0, len(data), 1 << rng.integers(0, 8))] ^= 0xFF
        path = tmp_path / f"{trial}.mp4"
        path.write_bytes(data.tobytes())
        try:
            info = probe(path)
            assert len(list(read_frames(info))) == info.frames
            read_audio(path, start=info.start)
            survived += 1
        except InputError:
            pass
    assert survived > 0


@pytest.mark.parametrize(("name", "frames"), [("avatar_forcing/user.mp4", 396), ("liveportrait/d6.mp4", 840)])
def test_real_clips(clips, name, frames):
    info = probe(clips / name)
    assert info.frames == frames
    read = list(read_frames(info, 128))
    assert len(read) == frames and read[0].shape[2] == 3
    assert abs(len(read_audio(clips / name, start=info.start)) / 16_000 - frames / 25) < 0.1


def test_of_joined_videos_the_first_is_read_and_it_is_said(tmp_path, write_video):
    first = write_video(tmp_path / "a.mp4", [50] * 10, sound=np.full(19_200, 0.1, np.float32)).read_bytes()
    (tmp_path / "b.mp4").write_bytes(first + write_video(tmp_path / "c.mp4", [200] * 25).read_bytes())
    with pytest.warns(InputWarning, match="2 videos joined: the first is read"):
        info = probe(tmp_path / "b.mp4")
    assert len(list(read_frames(info))) == 10 and abs(len(read_audio(info.path, start=info.start)) - 6_400) < 1_000


@pytest.mark.parametrize("rate", [25, 30, 12])
def test_every_frame_tells_which_of_the_file_it_shows(tmp_path, write_video, rate):
    """Frames of the file are as bright as twice their number; one is missing in the middle."""
    times = [n / rate for n in range(40) if n != 17]
    info = probe(write_video(tmp_path / "a.mp4", [20 + 5 * n for n in range(39)], times=times))
    found = [round((frame.mean() - 20) / 5) for frame in read_frames(info)]
    assert shown_frames(info).tolist() == found
