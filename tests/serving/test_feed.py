"""A call whose page is a program: what it is given, when, and what has been heard when it is cut."""

import asyncio
import importlib
import sys

import numpy as np
import pytest

from afjax.errors import InputError
from afjax.serving.feed import Feed, Picture, Sound, SoundClock, open_feed
from afjax.serving.group import Group
from afjax.serving.pictures import camera
from afjax.serving.pieces import Pace, Voice
from afjax.serving.studio import Studio
from tests.serving import stubs
from tests.serving.stubs import SMILE

RATE = 24_000


def tone(seconds, rate=RATE):
    """No two samples of it are zero, so that what has been heard of it can be counted."""
    return (0.4 * np.sin(np.arange(round(seconds * rate)) * 0.21)).astype(np.float32)


class Show:
    """A feed under a virtual clock, and a player that plays what it is given as a sound card would."""

    def __init__(self, lead=0.06, together=False, headroom=0.15, slow=0.02):
        self.now, self.slow, codec = 0.0, slow, stubs.Codec()
        self.group = Group(stubs.Engine(), codec.channels)
        call = self.group.begin(self.group.engine.join(0), 0.0, headroom + lead)
        call.lead, self.codec = lead, codec
        self.feed = Feed(call, 0.0, None, self._wake, 0.0, lambda: self.now, RATE, together, 0.04 if together else 0.01)
        self.told, self.pieces, self.frames, self.end, self._coming = [], [], [], 0.0, []
        self.feed.on_started = lambda: self.told.append((self.now, "started"))
        self.feed.on_finished = lambda seconds, cut: self.told.append((self.now, seconds, cut))

    def _wake(self, feed=None, rest=None):
        if rest is not None:
            self._coming.append((self.now + self.slow, rest))

    def live(self, until):
        """Lives on in steps of 5 ms; a block's pictures come `slow` seconds after it is due."""
        while self.now < until - 1e-9:
            for _, block in self.group.step(self.now):
                self.feed.play(block)
                self._coming.append((self.now + self.slow, block))
            for one in [one for one in self._coming if one[0] <= self.now]:
                self._coming.remove(one)
                self.feed.show(one[1], 0, list(self.codec.render(0, one[1].motion)), self.now)
            self.feed.tick(self.now)
            while (piece := self.feed._pieces._next(self.now)[0]) is not None:
                self.pieces.append((self.now, piece))
                if isinstance(piece, Sound):
                    begin = max(self.now, self.end)
                    self.end = begin + len(piece.samples) / RATE
                    self.frames.append((begin, piece))
            self.now = round(self.now + 0.005, 6)

    def of(self, kind):
        return [piece for _, piece in self.pieces if isinstance(piece, kind)]

    def heard(self):
        """Seconds of speech that have been played."""
        parts = [sound.samples[: max(0, round((self.now - begin) * RATE))] for begin, sound in self.frames]
        return sum(np.count_nonzero(part) for part in parts) / RATE


@pytest.mark.parametrize("together", [False, True])
def test_pictures_and_sound_are_given_in_step_and_the_voice_as_it_came(together):
    show, voice = Show(together=together, lead=0.08), tone(1.0)
    show.live(0.5)
    for first in range(0, len(voice), 6000):  # faster than it is spoken
        assert show.feed.speak(voice[first : first + 6000], RATE)
    show.feed.finish()
    show.live(2.5)
    pictures, sounds = show.of(Picture), show.of(Sound)
    assert [one.frame for one in pictures] == list(range(len(pictures))) and len(pictures) > 40
    assert [one.frame for one in sounds] == list(range(len(sounds))) and len(sounds) > 40
    if together:  # picture, its sound, the next picture
        assert [(one.frame, isinstance(one, Sound)) for _, one in show.pieces] == sorted(
            (one.frame, isinstance(one, Sound)) for _, one in show.pieces
        )
    spoken = [one for one in sounds if one.spoken is not None]
    whole = np.concatenate([one.samples for one in sounds[spoken[0].frame :]])
    np.testing.assert_allclose(whole[: len(voice)], voice, atol=1e-6)  # sample by sample, from its frame on
    assert not whole[len(voice) :].any() and spoken[-1].spoken == pytest.approx(1.0)
    mouths = [one.pixels.mean() for one in pictures]
    assert min(mouths[spoken[1].frame : spoken[-1].frame]) > 40 and max(mouths[: spoken[0].frame]) < 5
    heard = [begin + (len(one.samples) - RATE // 25) / RATE - one.due for begin, one in show.frames]
    assert np.abs(heard).max() <= (0.021 if together else 0.0051)  # half a grain
    seen = [now - one.due for now, one in show.pieces if isinstance(one, Picture)]
    assert -1e-9 <= min(seen) + 0.08 * together and max(seen) + 0.08 * together <= 0.0051
    (started, word), (finished, seconds, cut) = show.told
    assert (word, cut) == ("started", False) and seconds == pytest.approx(1.0)
    assert 0 <= started - spoken[0].due < 0.006 and 0 <= finished - spoken[0].due - 1.0 < 0.006


@pytest.mark.parametrize("time", 1.3 + 0.0135 * np.arange(6))
def test_a_cut_tells_what_has_been_heard_and_gives_nothing_older(time):
    show = Show(lead=0.08)
    assert show.feed.interrupt() is None
    show.feed.speak(tone(3.0), RATE)
    show.feed.finish()
    show.feed.speak(tone(1.0), RATE)  # another one, whose end has not come
    show.live(time)
    given, truth = len(show.pieces), show.heard()
    heard = show.feed.interrupt()
    show.end = show.now  # the player empties its queue
    assert heard == pytest.approx(truth, abs=0.011) and heard > 0.5
    assert [one[1:] for one in show.told] == [("started",), (heard, True), (0.0, True)]
    assert show.feed.interrupt() is None and show.feed.queued == 0
    show.live(time + 1.0)
    shown = [one.frame for _, one in show.pieces[:given] if isinstance(one, Picture)]
    after = [(now, one) for now, one in show.pieces[given:]]
    seen = [one for _, one in after if isinstance(one, Picture)]
    assert [one.frame for one in seen] == list(range(shown[-1] + 1, shown[-1] + 1 + len(seen)))
    assert max(one.pixels.mean() for one in seen[4:]) < 25 < seen[0].pixels.mean()  # the lips close
    assert not any(one.samples.any() for _, one in after if isinstance(one, Sound))
    show.told.clear()
    show.feed.speak(tone(0.4), RATE)
    show.feed.finish()
    show.live(time + 2.5)
    assert [one[1:] for one in show.told] == [("started",), (pytest.approx(0.4), False)]
    assert show.frames[-1][0] - show.frames[-1][1].due == pytest.approx(0.0, abs=0.0051)  # in step again


def test_after_a_standstill_sound_and_pictures_are_in_step_again():
    show = Show()
    show.live(1.0)
    show.now = 2.0
    show.live(3.0)
    begin, last = show.frames[-1]
    assert begin - last.due == pytest.approx(0.0, abs=0.0051)
    seen = [(now, one) for now, one in show.pieces if isinstance(one, Picture)]
    assert 0 <= seen[-1][0] - seen[-1][1].due < 0.006


def test_who_takes_nothing_for_a_while_is_given_what_is_due():
    show = Show()
    give, show.feed._pieces._next = show.feed._pieces._next, lambda now: (None, 1.0)
    show.live(5.0)
    assert len(show.feed._pieces._pictures) == 50 and show.feed.dropped > 40
    show.feed._pieces._next = give
    show.live(6.0)
    begin, last = show.frames[-1]
    assert begin - last.due == pytest.approx(0.0, abs=0.0051)
    late = [now - one.due for now, one in show.pieces if isinstance(one, Picture)]
    assert max(late) <= 0.11 and late[-1] < 0.006


def test_late_pictures_do_not_stop_the_sound():
    show = Show()
    show.live(1.0)
    show.slow = 0.25  # rendering takes too long: the clock gives way once
    show.live(3.0)
    sounds = [one.frame for one in show.of(Sound)]
    assert sounds == list(range(len(sounds))) and show.feed.call.playout.late_blocks > 0
    begin, last = show.frames[-1]
    assert begin - last.due == pytest.approx(0.0, abs=0.0051)


def test_in_a_studio_the_user_is_seen_and_heard_and_slots_are_given_back():
    async def work():
        face = {"grey": np.full((16, 16, 3), 128, np.uint8)}
        studio = Studio(stubs.Engine(), stubs.Codec(), face, headroom=0.2)
        await studio.start()
        feed, inputs, step, pieces = await open_feed(studio), [], studio.engine.step, []
        studio.engine.step = lambda given, only: (inputs.append(given), step(given, only))[1]

        async def watch():
            async for piece in feed:
                pieces.append(piece)

        watching = asyncio.create_task(watch())
        sent = studio.now()
        while len(pieces) < 100:
            await asyncio.sleep(0.02)
            count, sent = round(16_000 * (studio.now() - sent)), studio.now()
            feed.hear(np.full(count, 3000, np.int16), 16_000)
            feed.see(np.full((900, 1280, 3), 60 if len(inputs) < 4 else 204, np.uint8))
        with pytest.raises(InputError, match="slots"):
            await open_feed(studio)
        assert not feed.speak(np.full(10, np.nan), RATE) and not feed._utterances
        await studio.end(feed)
        await watching  # the end of the feed ends the loop
        for wrong, options in (("cut into frames", {"rate": 22_051}), ("no such portrait", {"portrait": "nobody"})):
            with pytest.raises(InputError, match=wrong):
                await open_feed(studio, **options)
        await studio.end(await open_feed(studio))  # none of them has kept the slot
        await studio.close()
        smiles = np.concatenate([one.user_motion[0, :, SMILE] for one in inputs])
        assert smiles.max() == pytest.approx(204 / 2550, abs=1e-3) and np.any(np.abs(smiles - 60 / 2550) < 1e-3)
        sound = np.concatenate([one.user_wave[0] for one in inputs])
        assert np.mean(np.abs(sound) > 0.08) > 0.2 and feed.pictures["seen"] > 5
        assert {type(piece) for piece in pieces} == {Picture, Sound}

    async def limited():
        async with asyncio.timeout(60):
            await work()

    asyncio.run(limited())


def test_voices_keep_their_place():
    voice, wave = Voice(RATE), tone(1.0)
    voice.add(wave[:7000], RATE)
    voice.add(wave[7000:], RATE)
    np.testing.assert_array_equal(np.concatenate([voice.take(n / 5, 0.2, 5) for n in range(5)]), wave)
    voice.add((0.4 * np.sin(np.arange(8000) * 0.3)).astype(np.float32), 16_000)
    part = voice.take(1.0, 0.13, 5)
    assert len(part) == RATE // 5 and voice.queued == 1.5 and not part[round(0.13 * RATE) :].any()
    np.testing.assert_allclose(part[500:2500], 0.4 * np.sin(np.arange(500, 2500) * 0.2), atol=2e-3)


def test_the_pace_fills_pauses_and_shortens_delays():
    pace = Pace(0.01)
    assert pace.gap(1.06, 1.0) == pytest.approx(0.06)
    pace.given(0.1, 1.0)
    assert pace.gap(1.1, 1.04) == 0 and pace.gap(1.114, 1.04) == pytest.approx(0.01)
    assert pace.gap(2.06, 2.0) == pytest.approx(0.06) and pace.gap(1.9, 2.0) == pytest.approx(-0.1)


def test_sound_without_stamps_is_put_where_it_belongs():
    ears, rng = SoundClock(), np.random.default_rng(0)
    stamps = [ears.stamp(0.02, 1.02 + n * 0.02 + 0.03 * rng.random()) for n in range(500)]
    np.testing.assert_allclose(np.diff(stamps), 0.02, atol=1e-9)
    late = [ears.stamp(0.02, 11.5) for _ in range(20)]  # the network stood still, and all of it came at once
    np.testing.assert_allclose(np.diff([stamps[-1], *late]), 0.02, atol=1e-9)
    assert ears.stamp(0.02, 15.0) == pytest.approx(14.98)  # a pause
    slow = [ears.stamp(0.02, 15.3 + n * 0.02) for n in range(60)]  # a short one
    assert slow[0] == pytest.approx(15.0) and slow[-1] == pytest.approx(15.28 + 59 * 0.02)


@pytest.mark.parametrize(
    ("module", "packages"),
    [
        ("pipecat", ("pipecat", "pipecat.frames.frames")),
        *((f"livekit.{part}", ("livekit",)) for part in ("user", "runner", "guest", "session")),
    ],
)
def test_a_package_that_is_missing_is_said_in_a_line(module, packages, monkeypatch):
    for name in packages:
        monkeypatch.setitem(sys.modules, name, None)
    for name in [name for name in sys.modules if name.startswith(("afjax.serving.pipecat", "afjax.serving.livekit"))]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(InputError, match=f"is missing; pip install -r requirements-{module.partition('.')[0]}.txt"):
        importlib.import_module(f"afjax.serving.{module}")


def test_raw_pictures_are_made_smaller():
    picture = np.zeros((720, 1280, 3), np.uint8)
    picture[::2] = 100
    small = camera(picture)
    assert small.shape == (360, 640, 3) and set(np.unique(small)) == {50}
    assert camera(picture[:360, :640]).shape == (360, 640, 3) and camera(picture[:1]).shape[1:] == (640, 3)
    for wrong in (picture[0], picture.astype(np.float32), picture[:0]):
        with pytest.raises(ValueError, match="camera"):
            camera(wrong)
