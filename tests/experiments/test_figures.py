import numpy as np
import pytest

from experiments.report import figures

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def share(picture, colour):
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return (np.abs(picture - rgb).max(axis=-1) <= 2).mean()


def test_a_fuller_mask_has_more_ink(tmp_path):
    causal, full = np.tri(20, dtype=bool), np.ones((20, 20), bool)
    some = share(pixels(figures.masks(tmp_path / "a.png", {"framewise": causal})), figures.USER)
    every = share(pixels(figures.masks(tmp_path / "b.png", {"bidirectional": full})), figures.USER)
    np.testing.assert_allclose(some / every, causal.mean(), atol=0.02)


def test_curves_show_tracks_and_events(tmp_path):
    time = np.linspace(0, 6, 100)[:, None]
    tracks = {"user": np.sin(time), "model": np.cos(time)}
    plain = pixels(figures.motion_curves(tmp_path / "a.png", tracks, ["smile"], ["smile"]))
    assert share(plain, figures.USER) > 1e-3 and share(plain, figures.AVATAR) > 1e-3
    events = [("smile", 1.0, 1.4), ("nod", 2.0, None)]
    marked = pixels(figures.motion_curves(tmp_path / "b.png", tracks, ["smile"], ["smile"], events=events))
    for colour in figures.EVENT_COLOURS[:2]:
        assert share(plain, colour) < share(marked, colour)


def test_map_is_red_where_the_avatar_follows_and_blue_where_it_opposes(tmp_path):
    lag = np.zeros((1, 1), int)
    maps = [
        pixels(figures.response_map(tmp_path / f"{sign}.png", {"model": (np.full((1, 1), sign), lag)}, ["smile"]))
        for sign in (0.7, -0.7)
    ]
    red, blue = ((picture[..., 0] - picture[..., 2]).mean() for picture in maps)
    assert red > 5 and blue < -5


def test_sheet_holds_every_frame(tmp_path):
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]], np.uint8)
    frames = np.broadcast_to(colours[:, None, None], (5, 32, 48, 3))
    sheet = pixels(figures.contact_sheet(tmp_path / "a.png", frames, np.arange(5.0), columns=3))
    for colour in colours:
        assert (np.abs(sheet - colour).max(axis=-1) <= 2).mean() > 0.08


def test_nothing_is_left_when_drawing_fails(tmp_path):
    with pytest.raises(ValueError):
        figures.motion_curves(tmp_path / "a.png", {"user": np.zeros((5, 1))}, ["smile"], ["no such channel"])
    assert not list(tmp_path.iterdir())
