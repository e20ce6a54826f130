"""Whole conversations: random streams, written rules, difficulty."""

import json

import numpy as np
import pytest

from afjax.audio import mel
from afjax.codec.face.channels import CHANNELS, HIGH, LOW, channel
from afjax.errors import InputError
from afjax.metrics import events as metric
from data_pipeline.records import read_metadata, read_split
from data_pipeline.schema import EVENT_KINDS
from data_pipeline.simulate import build
from data_pipeline.simulate.behaviour import footage, idle_motion, listener, tracking, user
from data_pipeline.simulate.behaviour.person import sample_person
from data_pipeline.simulate.behaviour.user import Event, Smile
from data_pipeline.simulate.conversation import answer_to_smile, simulate
from experiments.evaluation import linear_baseline


def person():
    return sample_person(np.random.default_rng(0))


def test_a_seed_is_a_conversation(speaker):
    first, again = (simulate(5, "train", speaker, 8.0, sound=kept) for kept in (False, True))
    assert first.frames == 200
    for motion in (first.avatar_motion, first.user_motion):
        assert (motion >= LOW).all() and (motion <= HIGH).all()
    for name in ("avatar_motion", "user_motion", "avatar_features", "event_frame"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert first.user_wave is None and first.avatar_wave is None
    for side in ("user", "avatar"):  # the sound that is kept is the one that the features were made of
        rows = mel.features(getattr(again, f"{side}_wave") / np.float32(32768))
        np.testing.assert_array_equal(rows.astype(np.float16), getattr(again, f"{side}_features"))
    other = simulate(6, "train", speaker, 8.0)
    assert not np.array_equal(first.user_motion, other.user_motion)


def test_only_the_avatars_face_depends_on_the_private_stream(speaker):
    first = simulate(5, "eval", speaker, 12.0, private=0, oracle=1)
    other = simulate(5, "eval", speaker, 12.0, private=1)
    for name in ("user_motion", "user_features", "avatar_features", "avatar_speaking", "event_kind", "event_frame"):
        np.testing.assert_array_equal(getattr(first, name), getattr(other, name))
    assert not np.array_equal(first.avatar_motion, other.avatar_motion)
    np.testing.assert_array_equal(first.avatar_oracle, other.avatar_motion)
    speaks = first.avatar_speaking
    jaws = (clip.avatar_motion[speaks, channel("jaw_open")] for clip in (first, other))
    assert np.corrcoef(*jaws)[0, 1] > 0.9


def test_an_answer_to_a_smile_is_that_of_the_clips_own_person(speaker):
    clip = simulate(5, "eval", speaker, 12.0)
    smiles = (clip.event_kind == EVENT_KINDS.index("smile")) & clip.event_responded
    (lag,) = set((clip.event_response - clip.event_frame)[smiles].tolist())  # a person mirrors all smiles equally late
    answers = [answer_to_smile(clip, frame, 0.1)[:, channel("smile")] for frame in range(50, 250)]
    answered = [(frame, track) for frame, track in zip(range(50, 250), answers, strict=True) if track.any()]
    assert 0.6 < len(answered) / len(answers) < 0.95
    for frame, track in answered:
        assert not track[:frame].any()
        half = np.flatnonzero(track > track[frame + lag + 6] / 2)[0] - frame
        assert abs(half - lag) <= 1


@pytest.mark.parametrize("kind", listener.RULES)
def test_rules_hold_probability_lag_and_size(kind):
    rng, rule = np.random.default_rng(0), listener.RULES[kind]
    reacted, seen, onsets = 0, 0, set()
    for _ in range(300):
        motion, done = listener.react(rng, [Event(kind, 40, 20.0)], [], np.zeros(120, bool), person())
        hit = metric.reacts(motion, kind)[40]
        assert hit == (done[0].onset >= 0), "the detector sees the rule's reaction and nothing else"
        reacted += hit
        if hit:
            onsets.add(done[0].onset - 40)
            assert not motion[: done[0].onset].any()
        seen += 1
    assert onsets == {rule.lag - 1, rule.lag, rule.lag + 1}
    assert reacted / seen == pytest.approx(rule.probability, abs=0.08)


def test_smiles_come_back_later():
    smile = Smile(30, 0.08 * idle_motion.bump(150, 30, 8, 20, 12))
    for seed in range(20):
        motion, done = listener.react(np.random.default_rng(seed), [], [smile], np.zeros(150, bool), person())
        track = motion[:, channel("smile")]
        if done[0].onset >= 0:
            shifts = [np.corrcoef(smile.envelope[: 150 - k], track[k:])[0, 1] for k in range(25)]
            assert 5 <= np.argmax(shifts) <= 15 and max(shifts) > 0.99
        else:
            assert not track.any()


def test_noise_is_stationary_and_gestures_have_their_shape():
    rng = np.random.default_rng(0)
    noise = np.stack([idle_motion.smooth_noise(rng, 300, 14.0) for _ in range(400)])
    np.testing.assert_allclose(noise.std(axis=0), 1.0, atol=0.2)
    bump = idle_motion.bump(100, 10, 5, 20, 10)
    assert bump[10] == 0.0 and bump[15] == bump[35] == 1.0 and bump[45:].max() < 1e-12
    nod = idle_motion.nod(100, 20, 2.0)
    assert not nod[:21].any() and not nod[43:].any()
    assert np.argmax(nod) in (22, 23) and nod[28] < 0


@pytest.mark.parametrize("kind", user.GESTURES)
def test_gestures_are_as_large_as_the_person_is_lively(kind):
    small, large = (user.gesture(np.random.default_rng(1), kind, 150, 60.0, size)[0] for size in (0.6, 1.8))
    name = {"look_back": "yaw", "head_shake": "yaw", "user_nod": "pitch", "lean": "scale", "broad_laugh": "smile"}
    column = channel(name.get(kind, "brow_raise" if kind == "raised_brows" else "brow_furrow"))
    assert np.abs(large[:, column]).max() == pytest.approx(3 * np.abs(small[:, column]).max())
    if kind != "look_back":
        assert not large[:60].any()


def test_restless_motion_has_the_spectrum_of_footage():
    rng = np.random.default_rng(0)
    found = [footage.band_deviations(footage.restless(rng, 500, np.ones(len(CHANNELS)))) ** 2 for _ in range(200)]
    wanted = np.array([footage.BANDS[name] for name in CHANNELS]).T
    np.testing.assert_allclose(np.sqrt(np.mean(found, axis=0)) / wanted, 1.0, atol=0.3)


def test_a_tracker_leaks_learns_the_rest_and_loses_faces():
    motion = idle_motion.zeros(2000)
    motion[:, channel("mouth_width")] = 0.05 * idle_motion.smooth_noise(np.random.default_rng(0), 2000, 8.0)
    read = [tracking.tracked(np.random.default_rng(seed), motion) for seed in range(20)]
    slopes = [np.polyfit(m[:, channel("mouth_width")], m[:, channel("smile")], 1)[0] for m in read]
    assert 0.1 < np.mean(slopes) < 0.4 and np.std(slopes) > 0.05
    errors = [np.abs(m - motion)[:, channel("mouth_width")] for m in read]
    assert np.mean([error[:50] for error in errors]) > 2 * np.mean([error[1500:] for error in errors])
    held = [(np.abs(m).max(axis=1) == 0).mean() for m in read]  # at rest while nobody is seen
    assert 0 < np.mean(held) < 0.1


@pytest.fixture(scope="module")
def built(tmp_path_factory, speaker):
    folder = tmp_path_factory.mktemp("built") / "set"
    return folder, build.build(folder, {"train": 16, "eval": 8}, 16.0, 0)


def test_build_writes_a_set_that_reads_back(built):
    folder, summary = built
    metadata = read_metadata(folder)
    clips = list(read_split(folder, "train"))
    assert len(clips) == metadata.splits["train"]["count"] == 16
    motion = np.concatenate([clip.avatar_motion for clip in clips])
    np.testing.assert_allclose(motion.mean(axis=0), metadata.normalizer.motion_mean, atol=1e-4)
    np.testing.assert_allclose(motion.std(axis=0), metadata.normalizer.motion_std, rtol=1e-3)
    assert clips[0].avatar_wave is None and next(read_split(folder, "eval")).avatar_wave is not None
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert summary["splits"]["eval"]["listening"] > 0.45
    with pytest.raises(InputError, match="exists"):
        build.build(folder, {"train": 1}, 8.0, 0)


def test_a_line_on_the_users_motion_is_not_enough(built):
    folder, _ = built
    scale = read_metadata(folder).normalizer.motion_std
    weights = linear_baseline.fit(read_split(folder, "train"), scale)
    clips = list(read_split(folder, "eval"))

    def mean_response(motions):
        table = []
        for kind in EVENT_KINDS:
            pairs = zip(motions, clips, strict=True)
            counts = [metric.event_counts(motion, clip.event_frames()[kind], kind) for motion, clip in pairs]
            table.append(metric.event_response({kind: np.array(counts)}))
        return np.nanmean(table)

    oracle = mean_response([clip.avatar_oracle for clip in clips])
    line = mean_response([linear_baseline.predict(clip.user_motion, weights, scale) for clip in clips])
    assert oracle > 0.3
    assert line <= 0.8 * oracle


def test_the_linear_fit_finds_a_linear_listener(clip):
    from dataclasses import replace

    lag = 7

    def follow(source):
        return replace(source, avatar_motion=0.5 * np.pad(source.user_motion, ((lag, 0), (0, 0)), mode="edge")[:-lag])

    scale = np.ones(15, np.float32)
    weights = linear_baseline.fit([follow(clip(seed)) for seed in range(20)], scale, ridge=1e-3)
    held_out = follow(clip(99))
    guess = linear_baseline.predict(held_out.user_motion, weights, scale)
    np.testing.assert_allclose(guess, held_out.avatar_motion, atol=1e-3)
