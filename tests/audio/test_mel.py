import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.audio import framing, mel
from afjax.errors import InputError


def voice(seconds, hz=140.0, end_hz=None, seed=0):
    """A voice-like sound: harmonics of a gliding pitch under four syllables a second, over faint noise."""
    time = np.arange(int(seconds * framing.RATE)) / framing.RATE
    pitch = hz + ((end_hz or hz) - hz) * time / seconds
    phase = 2 * np.pi * np.cumsum(pitch) / framing.RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 20))
    syllables = np.clip(0.2 + np.sin(2 * np.pi * 4 * time), 0, None)
    noise = np.random.default_rng(seed).normal(0, 1e-4, len(time))
    return (0.1 * tone * syllables + noise).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 639, 640, 641, 16_000, 40_321])
def test_one_row_a_frame(samples):
    rows = mel.features(voice(3)[:samples])
    assert rows.shape == (-(-samples // 640), mel.DIM) and rows.dtype == np.float32 and np.isfinite(rows).all()


def test_no_row_reads_past_its_frame():
    wave = voice(12)
    base = mel.features(wave)
    for frame in (0, 1, 7, 150, 299):
        changed = wave.copy()
        changed[frame * 640 :] = np.random.default_rng(frame).uniform(-1, 1, len(wave) - frame * 640)
        rows = mel.features(changed)
        assert np.array_equal(rows[:frame], base[:frame])
        assert not np.allclose(rows[frame], base[frame])


@pytest.mark.parametrize("rows", [1, 10, 25])
def test_stream_equals_whole_clip(rows):
    wave = np.concatenate([voice(11), np.zeros(16_000, np.float32), 0.3 * voice(9, 210.0, seed=1)])
    whole = mel.features(wave)
    for end in range(rows, len(whole), 37):
        buffer = wave[max(end - rows - mel.WINDOW, 0) * 640 : end * 640]
        np.testing.assert_allclose(mel.latest(buffer, rows), whole[end - rows : end], atol=1e-5)


def test_window_is_not_longer_than_needed():
    """The oldest frames that WINDOW keeps do reach the row: a loud one lowers everything after it."""
    wave = voice(12)
    loud = wave.copy()
    first = len(wave) // 640 - mel.LEVEL_FRAMES
    loud[first * 640 : (first + 1) * 640] *= 8
    assert np.abs(mel.features(loud)[-1] - mel.features(wave)[-1]).max() > 0.05


@pytest.mark.parametrize("gain", [0.25, 4.0])
def test_gain_changes_nothing_in_speech(gain):
    wave = voice(6)
    np.testing.assert_allclose(mel.features(gain * wave), mel.features(wave), atol=0.02)


def test_constant_offset_changes_nothing():
    wave = voice(4)[:-100]
    np.testing.assert_allclose(mel.features(wave + 0.2), mel.features(wave), atol=1e-3)


def test_silence_and_room_noise_stay_low():
    assert not mel.features(np.zeros(32_000)).any()
    room = np.random.default_rng(0).normal(0, 10 ** (-75 / 20), 64_000)
    np.testing.assert_allclose(mel.features(room)[:, 96].mean(), 1.0 - 25.0 / mel.RANGE_DB, atol=0.01)
    alone, after = mel.features(10 * room)[-25:, 96], mel.features(np.concatenate([voice(4), 10 * room]))[-25:, 96]
    assert after.mean() < alone.mean() - 0.2


def test_bands_follow_frequency_and_hops_follow_time():
    time = np.arange(16_000) / 16_000
    bands = [mel.features(np.sin(2 * np.pi * hz * time))[20, 72:96].argmax() for hz in (200, 800, 2500, 6000)]
    assert bands == sorted(set(bands))
    click = np.zeros(6_400)
    click[5 * 640 + 250] = 1.0
    hops = mel.features(click)[5, :96].reshape(4, 24).mean(axis=1)
    assert hops[0] == 0 and hops[1] > 0.2


@pytest.mark.parametrize("hz", [90.0, 140.0, 220.0, 330.0])
def test_pitch_is_the_tone(hz):
    wave = voice(2, hz)
    voiced = mel.features(wave)[:, 97] > 0.6
    assert voiced.mean() > 0.4
    error = np.abs(mel._pitch(wave)[1][voiced] - np.log2(hz / 160.0))
    assert (error < 0.03).mean() > 0.9


def test_rise_has_the_sign_and_size_of_the_glide():
    for end, octaves in ((300.0, 1.0), (150.0, 0.0), (75.0, -1.0)):
        rows = mel.features(voice(2.0, 150.0, end))[10:]
        voiced = rows[:, 97] > 0.7
        rise = rows[voiced, 99] / rows[voiced, 97]
        np.testing.assert_allclose(np.median(rise), octaves / 2.0 * 0.2, atol=0.03)


def test_noise_is_not_voiced():
    noise = np.random.default_rng(0).normal(0, 0.1, 48_000)
    assert mel.features(noise)[:, 97].mean() < 0.1 < mel.features(voice(3))[:, 97].mean()


@pytest.mark.parametrize(
    "wave, word",
    [(np.zeros(0), "no samples"), (np.array([0.0, np.nan]), "finite"), (np.zeros((10, 2)), "one channel")],
)
def test_bad_sound_is_named(wave, word):
    with pytest.raises(InputError, match=word):
        mel.features(wave)


def test_jax_gives_the_rows_of_numpy():
    wave = voice(2)
    many = jax.jit(jax.vmap(lambda w: mel.rows(w, 25)))(jnp.asarray(np.stack([wave, voice(2, 200, seed=1), 0 * wave])))
    np.testing.assert_allclose(many[0], mel.features(wave)[-25:], atol=1e-5)
    np.testing.assert_allclose(many[1], mel.features(voice(2, 200, seed=1))[-25:], atol=1e-5)
    assert not np.asarray(many[2]).any()
