"""Pages in every browser that is here."""

import contextlib

import pytest

from tests import browser, firefox

FLAGS = {"none": (), "fake": browser.FAKE_MEDIA, "denied": ("--deny-permission-prompts",)}


@contextlib.contextmanager
def chromium(folder, media="fake"):
    # small: without a graphics card every pixel is paid for
    with browser.Browser(folder, 640, 480, FLAGS[media]) as page:
        yield page


@contextlib.contextmanager
def fox(folder, media="fake"):
    with firefox.Firefox(folder, 640, 480, media) as page:
        yield page


@pytest.fixture(scope="session")
def plays(tmp_path_factory) -> bool:
    """Whether Firefox has a sound device, without which it plays nothing and a call has no clock."""
    with firefox.Firefox(tmp_path_factory.mktemp("plays")) as page:
        return page.run(firefox.SOUNDS)


@pytest.fixture(params=[(browser, chromium), (firefox, fox)], ids=["chromium", "firefox"])
def window(request):
    """A page in one of the browsers, with a false camera and microphone, with none, or not allowed to use them."""
    program, opened = request.param
    if program.find() is None:
        pytest.skip("this browser is not here")
    if program is firefox and not request.getfixturevalue("plays"):
        pytest.skip("no sound device for Firefox: pactl load-module module-null-sink makes one")
    return opened
