"""Calls under a virtual clock: what they show, when they are cut, alone and together."""

import numpy as np
import pytest

from afjax.audio.feature_extractors import MelFeatures
from afjax.avatar.live_session import LiveSession
from afjax.config import Config, LayoutConfig, ModelConfig, SamplerConfig
from afjax.normalizer import Normalizer
from afjax.serving import call as call_module
from afjax.serving.group import Group
from afjax.streaming.engine import Engine
from afjax.streaming.live_step import Inputs, LiveParams
from tests.serving import stubs
from tests.serving.stubs import BLOCK, JAW, SMILE, speech
from tests.small_model import scrambled

HEADROOM = 0.1


LONG = (pytest.mark.slow, pytest.mark.timeout(7200))


class Talk:
    """A call, what it has shown, and a page that sends a voice and pictures on time."""

    def __init__(self, group, now=0.0, seed=0, headroom=HEADROOM, dim=15):
        self.group, self.rng = group, np.random.default_rng(seed)
        self.call = group.begin(group.engine.join(seed), now, headroom)
        self.begun, self.dim, self.sent, self.seen, self.blocks, self.cuts = now, dim, 0, 0, [], []

    def send(self, now):
        """Everything up to now: 20 ms of sound each, and a row a frame, which comes as soon as it is taken."""
        while self.seen * 0.04 + 0.01 <= now - self.begun + 1e-9:
            self.call.see(np.sin(np.arange(self.dim) + 0.1 * self.seen).astype(np.float32), self.seen * 0.04 + 0.01)
            self.seen += 1
        while (self.sent + 1) * 0.02 <= now - self.begun + 1e-9:
            self.call.hear(self.rng.integers(-3000, 3000, 320).astype(np.int16), 16_000, self.sent * 0.02)
            self.sent += 1

    def show(self, block, now):
        self.blocks.append(block)
        self.call.delivered(block, len(block.motion), now)

    def cut(self, now):
        cut = self.call.cut(now)
        self.cuts.append(cut)
        if cut.rest is not None:
            self.show(cut.rest, now)
        return cut

    def motion(self, generation=None):
        """Frames as a page shows them: those of newer generations replace older ones."""
        frames = {}
        for block in self.blocks:
            if generation is None or block.generation <= generation:
                frames |= {block.first + n: row for n, row in enumerate(block.motion)}
        return np.stack([frames[n] for n in range(len(frames))])


def live(group, talks, until, start=0.0, at=None):
    """Lives on in steps of 5 ms; `at`: actions by time."""
    at = dict(at or {})
    for tick in range(round(start / 0.005), round(until / 0.005)):
        now = tick * 0.005
        for talk in talks:
            talk.send(now)
        for time in [time for time in at if time <= now]:
            at.pop(time)(now)
        for call, block in group.step(now):
            next(talk for talk in talks if talk.call is call).show(block, now + 0.02)


def new(sessions=1, **more):
    return Group(stubs.Engine(sessions, **more), stubs.Codec.channels)


@pytest.mark.parametrize(("block", "delay"), [(5, 5), (10, 5), (5, 0)])
def test_frames_come_in_order_and_in_time(block, delay):
    group = new(block=block, delay=delay)
    talk = Talk(group)
    live(group, [talk], 6.0)
    assert [b.first for b in talk.blocks] == list(range(0, block * len(talk.blocks), block))
    assert len(talk.blocks) >= 6 * 25 // block - 2 and talk.call.playout.late_blocks == 0
    assert talk.call.offset == pytest.approx(max(block - delay, 0) / 25 + HEADROOM)
    assert all(block.sound.shape == (640 * len(block.motion),) and block.generation == 0 for block in talk.blocks)


def test_speech_is_captioned_and_told_as_it_is_heard():
    group = new()
    talk, told = Talk(group), []
    say = {1.003: lambda now: talk.call.say(speech(1.0, ["one", "two"], last=False)),
           1.103: lambda now: talk.call.say(speech(0.5, ["three"])),
           4.003: lambda now: talk.call.say(speech(0.4, ["four"]))}  # fmt: skip
    say |= {time / 50: lambda now: told.extend((now, *one) for one in talk.call.heard(now)) for time in range(300)}
    live(group, [talk], 6.0, at=say)
    words = {word: (first, last) for block in talk.blocks for word, first, last in block.words}
    sounding = {block.first for block in talk.blocks if block.sound.any()}
    start = min(sounding)
    assert words["one"] == (start, start + 12) and words["two"] == (start + 12, start + 24)
    assert words["three"][0] == start + 25 and words["four"][0] == min(n for n in sounding if n > start + 50)
    done = [(now, seconds) for now, seconds, done in told if done]
    assert [seconds for _, seconds in done] == pytest.approx([1.5, 0.4])
    assert done[0][0] == pytest.approx(talk.call.offset + start / 25 + 1.5, abs=0.021)
    assert not talk.call.speaking(6.0)


def test_the_clock_goes_back_frame_by_frame_once_blocks_come_early_and_nothing_is_said(monkeypatch):
    monkeypatch.setattr(call_module, "CALM", 4)
    group = new()
    talk = Talk(group)
    live(group, [talk], 2.0)
    block = group.step(2.0) or group.step(2.2)
    talk.show(block[0][1], 2.5)
    late, offsets, frames = talk.call.offset, [], []
    say = {5.003: lambda now: talk.call.say(speech(5.0, ["la"]))}
    say |= {2.55 + n / 25: lambda now: offsets.append((now, talk.call.offset)) for n in range(640)}
    say |= {2.56 + n / 50: lambda now: frames.append(talk.call.frame(now)) for n in range(1280)}
    live(group, [talk], 28.5, start=2.5, at=say)
    while_spoken = {offset for now, offset in offsets if 6.0 < now < 10.0}
    assert len(while_spoken) == 1 and late > HEADROOM + 0.1
    assert talk.call.offset == pytest.approx(HEADROOM + talk.call.counts.skipped / 25), "and no further"
    steps = -np.diff([offset for _, offset in offsets])
    assert steps.max() <= 0.04 + 1e-9 and (steps >= -1e-9)[5:].all()
    assert np.diff(frames).min() > 0 and talk.call.playout.late_blocks <= 2


def test_a_late_block_moves_the_clock_once():
    group = new()
    talk = Talk(group)
    live(group, [talk], 2.0)
    block = group.step(2.0) or group.step(2.2)
    talk.show(block[0][1], 2.5)
    late = talk.call.offset - HEADROOM
    assert late > 0.1 and talk.call.playout.late_blocks == 1
    live(group, [talk], 4.0, start=2.5)
    assert talk.call.playout.late_blocks <= 2 and talk.call.offset - HEADROOM - late < 0.25


def test_gestures_are_shown_and_never_fed_back():
    plain, bent = (new() for _ in range(2))
    one, other = Talk(plain), Talk(bent)
    live(plain, [one], 5.0)
    live(bent, [other], 5.0, at={1.0: lambda now: other.call.gesture("smile")})
    difference = other.motion() - one.motion()
    assert not other.call.gesture("dance")
    assert difference[:, SMILE].max() == pytest.approx(0.11, abs=0.003) and difference[:, SMILE].min() >= -1e-6
    assert not difference[:25].any() and not difference[-20:].any()
    assert np.abs(np.diff(difference[:, SMILE])).max() < 0.025


def cut_at(time=None):
    """A talk with speech from half a second on, cut at a time."""
    group = new()
    talk = Talk(group, headroom=0.5)
    at = {0.5: lambda now: talk.call.say(speech(8.0, ["word"] * 16))}
    live(group, [talk], 2.6, at=at | ({time: talk.cut} if time else {}))
    return talk


@pytest.fixture(scope="module")
def uncut():
    return cut_at().motion()


@pytest.mark.parametrize("time", np.round(1.4 + np.arange(8) * 0.0333, 3))
def test_a_cut_is_exact(time, uncut):
    talk = cut_at(time)
    cut = talk.cuts[0]
    first = talk.blocks[0]
    after = [block for block in talk.blocks if block.generation == 1]
    number = talk.blocks.index(after[0])
    assert all(block.generation == 0 for block in talk.blocks[:number]) and first.first == 0
    assert cut.frame - 1 == np.floor((np.ceil(time / 0.005) * 0.005 - talk.call.offset) * 25 + 1e-6)
    assert after[0].first == cut.frame and not any(block.sound.any() for block in after)
    frames = [block.first + n for block in after for n in range(len(block.motion))]
    assert frames == list(range(cut.frame, cut.frame + len(frames)))  # each once, in order, none older
    shown = talk.motion()
    np.testing.assert_array_equal(shown[: cut.frame], uncut[: cut.frame])
    begin = -(-cut.frame // BLOCK) * BLOCK  # the first block that had not been shown
    others = [n for n in range(15) if n not in talk.call._lips]
    np.testing.assert_array_equal(shown[cut.frame : begin, others], uncut[cut.frame : begin, others])
    assert uncut[cut.frame, JAW] > 0.4 and shown[cut.frame + 4 :, JAW].max() < 0.1  # closed within five frames
    assert np.abs(np.diff(shown[cut.frame - 1 :, JAW])).max() < 0.45 * uncut[cut.frame, JAW]
    assert cut.heard == pytest.approx(time - talk.call.offset - 0.5, abs=0.21)


def test_a_rewound_block_is_what_silence_would_have_made():
    talk = cut_at(1.51)
    cut = talk.cuts[0]
    begin = -(-cut.frame // BLOCK) * BLOCK
    engine, group = stubs.Engine(), new()
    other = Talk(group, headroom=0.5)
    inputs = []
    group.plan = lambda calls, now, plan=group.plan: (p := plan(calls, now), inputs.append(p.inputs))[0]
    live(group, [other], 2.6, at={0.5: lambda now: other.call.say(speech(8.0))})
    engine.join(0)
    made = []
    for n, given in enumerate(inputs):
        if n * BLOCK >= begin:
            given.avatar_wave[:] = 0
        made.append(engine.step(given)[0])
    made, shown = np.concatenate(made), talk.motion()
    others = [n for n in range(15) if n not in talk.call._lips]
    length = min(len(made), len(shown))
    np.testing.assert_array_equal(shown[:length, others], made[:length, others])
    np.testing.assert_array_equal(shown[begin + 10 : length], made[begin + 10 : length])


def test_cuts_before_anything_is_shown_and_twice_in_a_row():
    group = new()
    talk = Talk(group, headroom=0.5)
    talk.call.say(speech(5.0))
    live(group, [talk], 0.3)
    cut = talk.cut(0.3)
    assert (cut.frame, cut.heard, cut.rest) == (0, 0.0, None)
    live(group, [talk], 2.0, start=0.3, at={0.9: lambda now: talk.call.say(speech(5.0))})
    entries = list(talk.call._entries)
    first = talk.cut(2.0)
    plan = group.plan(group.ready(2.0), 2.0)  # one of them is being computed ...
    second = talk.cut(2.01)  # ... when the next cut comes
    assert group.made(plan, group.compute(plan)) == [] and second.generation == first.generation + 1 == 3
    live(group, [talk], 4.0, start=2.01)
    after = [block for block in talk.blocks if block.generation == 3]
    frames = [block.first + n for block in after for n in range(len(block.motion))]
    assert frames == list(range(second.frame, second.frame + len(frames))) and len(entries) > 2
    assert talk.motion()[second.frame + 5 :, JAW].max() < 0.1


D, SIZE = 4, dict(mlp_ratio=1, condition_width=16, condition_heads=2)


@pytest.fixture(scope="module")
def model():
    config = Config(
        model=ModelConfig(D, MelFeatures.dim, 16, 1, 2, **SIZE),
        layout=LayoutConfig(BLOCK, 0, "blockwise", cache=10, condition_window=4, user_delay=2),
        sampler=SamplerConfig(nfe=1, guidance_avatar=-0.5, guidance_joint=1.5),
    )  # fmt: skip
    numbers = [np.full(n, v, np.float32) for n, v in ((D, 0), (D, 2), (MelFeatures.dim, 0.5), (MelFeatures.dim, 0.3))]
    features = MelFeatures()
    return config, LiveParams.of(scrambled(config, 0.3), features.params, Normalizer(*numbers)), features


class Plain(stubs.Codec):
    channels = tuple("abcd")

    def render(self, identity, motion):
        return np.zeros((len(motion), 2, 2, 3), np.uint8)


@pytest.fixture(scope="module")
def pair(model):
    return Engine(*model, sessions=2)


def test_calls_of_one_engine_equal_themselves_alone(pair):
    """Two that begin at odd times, one cut and one with other guidance; each equals itself alone, to the bit."""
    group, starts = Group(pair), [0.0, 0.335]
    talks = [Talk(group, 0.0, 0, dim=D)]
    live(group, talks, starts[1])
    talks.append(Talk(group, starts[1], 1, dim=D))

    def actions(talk, n):
        return {0.5: lambda now: talk.call.say(speech(9.0)),
                **({1.2: talk.cut} if n else {1.3: lambda now: talk.call.guide(2.0)})}  # fmt: skip

    both = [actions(talk, n) for n, talk in enumerate(talks)]
    at = {time + 1e-4 * n: action for n, found in enumerate(both) for time, action in found.items()}
    live(group, talks, 2.2, start=starts[1], at=at)
    ends = [talk.call.next_due() for talk in talks]
    assert ends[0] == pytest.approx(ends[1]) and pair.compilations == 1
    for talk in talks:
        pair.leave(talk.call.slot)
    for n, talk in enumerate(talks):
        alone = Group(pair)
        one = Talk(alone, starts[n], n, dim=D)
        one.call._shift = talk.call._shift
        live(alone, [one], 2.2, start=starts[n], at={t + 1e-4 * n: action for t, action in actions(one, n).items()})
        assert len(one.blocks) == len(talk.blocks) > 7
        for ours, theirs in zip(talk.blocks, one.blocks, strict=True):
            assert (ours.first, ours.generation) == (theirs.first, theirs.generation)
            np.testing.assert_array_equal(ours.motion, theirs.motion)
            np.testing.assert_array_equal(ours.sound, theirs.sound)
        pair.leave(one.call.slot)


def test_a_call_shows_what_a_live_session_does(model):
    engine = Engine(*model)
    group = Group(engine)
    talk = Talk(group, dim=D)
    talk.call.say(speech(2.0))
    live(group, [talk], 1.5)
    engine.leave(talk.call.slot)
    with LiveSession(engine, Plain(), 0.0) as session:
        session.say(speech(2.0).samples, 16_000)
        rng, shown, sound = np.random.default_rng(0), [], []
        for tick in range(300):
            now = tick * 0.005
            if tick % 4 == 0 and tick:
                session.hear(rng.integers(-3000, 3000, 320).astype(np.int16), 16_000, (tick // 4 - 1) * 0.02)
            if tick % 8 == 2:
                row = np.sin(np.arange(D) + 0.1 * (tick // 8)).astype(np.float32)
                session._buffers.user_motion(row, tick // 8 * 0.04 + 0.01)
            while session.due(now):
                block = session.block(now)
                shown.append(block.motion)
                sound.append(block.sound)
    np.testing.assert_array_equal(np.concatenate(shown), talk.motion())
    np.testing.assert_array_equal(np.concatenate(sound), np.concatenate([block.sound for block in talk.blocks]))


def test_guidance_is_per_session(pair):
    engine = pair
    calm, lively = engine.join(1), engine.join(1)
    engine.set_guidance_scale(calm, 0.0)
    engine.set_guidance_scale(lively, 2.0)
    rng = np.random.default_rng(0)
    given = [np.repeat(rng.standard_normal((1, *s)).astype(np.float32), 2, 0) for s in ((3200,), (3200,), (BLOCK, D))]
    first = np.asarray(engine.step(Inputs(*given)))
    again = [rng.standard_normal((1, *s)).astype(np.float32).repeat(2, 0) for s in ((3200,), (3200,), (BLOCK, D))]
    second = np.asarray(engine.step(Inputs(given[0], *again[1:])))
    for slot in (calm, lively):
        engine.leave(slot)
    assert np.abs(first[0] - first[1]).max() > 1e-4 and np.isfinite(second).all()


@pytest.mark.parametrize("ppm", [300, -300])
def test_a_page_whose_clock_drifts_is_followed(ppm):
    """Five minutes, 90 ms: sound is neither late nor missing, and the page is told when to show what."""
    group, rng = new(), np.random.default_rng(0)
    call = Talk(group).call
    voice = rng.integers(-3000, 3000, 640).astype(np.int16)
    for n in range(300 * 25):
        end = (n + 1) / 25  # of the page's clock, which reads t (1 + ppm) at our t
        now = end / (1 + ppm * 1e-6) + 0.003 + 0.015 * rng.random() ** 2
        call.follow(end, now)
        call.hear(voice, 16_000, n / 25)
        call.see(np.zeros(15, np.float32), end - 0.02)
        for _, block in group.step(now):
            call.delivered(block, len(block.motion), now + 0.005)
    drift = 300 * ppm * 1e-6
    assert call.clock.moved == pytest.approx(-drift, abs=0.02)
    assert call.offset == pytest.approx(HEADROOM + drift, abs=0.02)
    assert call.counts.silent < 75 and call.counts.late < 75 and call.counts.corrupt == 0


@pytest.mark.parametrize("hours", [0.05, pytest.param(8.0, marks=LONG)])
def test_a_long_call_stays_as_it_began(hours, request):
    """An avatar that speaks half of the time, a cut a minute: nothing grows, and nothing drifts apart.

    Eight hours with a network (half an hour of a core with JAX_DISABLE_MOST_OPTIMIZATIONS=0, hours where XLA does not
    optimise), a few minutes without.
    """
    group, dim = (new(), 15) if hours < 1 else (Group(request.getfixturevalue("pair")), D)
    talk = Talk(group, dim=dim)
    call, rng, sounded, worst = talk.call, np.random.default_rng(0), 0, 0.0
    begun = call.offset
    voice = rng.integers(-3000, 3000, 640).astype(np.int16)
    for n in range(round(hours * 3600 * 25)):
        if n % 22_500 == 0:
            print(f"{n / 90_000:g} of {hours:g} hours", flush=True)  # under -s
        now = (n + 1) / 25
        call.see(np.zeros(dim, np.float32), n / 25 + 0.01)
        call.hear(voice, 16_000, n / 25)
        call.follow(now, now)
        if n % 250 == 100:
            call.say(speech(5.0))
        for _, block in group.step(now):
            call.delivered(block, len(block.motion), now + 0.01)
            sounded += len(block.sound) // 640
            worst = max(worst, abs(block.first + len(block.motion) - sounded))
        call.heard(now)
        if n % 1500 == 700:
            cut = call.cut(now)
            assert cut.frame <= call.frame(now) + 1
            sounded = cut.frame + (len(cut.rest.motion) if cut.rest else 0)
            if cut.rest:
                call.delivered(cut.rest, len(cut.rest.motion), now)
    assert worst == 0  # sound and pictures have the same frames, so that nothing can drift apart
    assert call.playout.late_blocks == 0 and call.offset == pytest.approx(begun)
    assert abs(call.frame(now) - call._taken) < 3 * BLOCK
    sizes = [len(call._entries), len(call.transcript._segments), len(call.transcript._utterances), len(call._gestures)]
    assert max(sizes) < 10 and len(call.session.speech.queue) < 4 * 16_000 * 6 and len(call.playout.slack) <= 1000
    assert call.counts.corrupt == call.counts.overflow == call.counts.rebased == 0
