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
        if not page.run(firefox.SOUNDS):
            pytest.skip("no sound device, without which Firefox plays nothing")
        yield page


@pytest.fixture(params=[(browser, chromium), (firefox, fox)], ids=["chromium", "firefox"])
def window(request):
    """A page in one of the browsers, with a false camera and microphone, with none, or not allowed to use them."""
    program, opened = request.param
    if program.find() is None:
        pytest.skip("this browser is not here")
    return opened
