import numpy as np
from scipy.ndimage import gaussian_filter1d

from afjax.metrics.table.dependence import FEW, of_dependence

CLIPS, FRAMES, DELAY = 64, 300, 10


def smooth(seed, channels):
    signal = gaussian_filter1d(np.random.default_rng(seed).normal(size=(CLIPS, FRAMES, channels)), 3.0, axis=1)
    return signal / signal.std()


def conversation(speaks):
    voice, face = smooth(1, 6), smooth(0, 4)
    heard = {"avatar_features": smooth(3, 3), "user_features": voice}
    heard |= {"avatar_speaking": np.zeros((CLIPS, FRAMES), bool), "user_speaking": np.full((CLIPS, FRAMES), speaks)}
    speech = [{name: track[n] for name, track in heard.items()} for n in range(CLIPS)]
    own = smooth(2, 4)
    listening = own + np.roll(voice, DELAY, axis=1)[..., :4]
    return list(face), {"recorded": list(listening), "deaf": list(smooth(5, 4))}, speech


PEOPLE = np.array([(f"a{n}", f"u{n}") for n in range(CLIPS)])


def test_a_listener_depends_on_the_user_and_a_deaf_row_and_another_user_do_not():
    user, rows, speech = conversation(True)
    rows["recorded"][0] = rows["recorded"][0][:-20]  # pieces are as long as the shortest clip
    table, missing = of_dependence(user, rows, speech, PEOPLE, shifts=8)
    gain = {row: found["R-DGG"]["mean"] for row, found in table.items()}
    assert not missing and gain["recorded"] > 0.05
    assert abs(gain["deaf"]) < 0.1 * gain["recorded"] and abs(gain["shuffled"]) < 0.1 * gain["recorded"]


def test_a_listener_whose_voice_is_silence():
    user, rows, speech = conversation(True)
    for one in speech:
        one["avatar_features"] = np.full((FRAMES, 3), -4.0)
    table, _ = of_dependence(user, {"recorded": rows["recorded"]}, speech, PEOPLE, shifts=4)
    assert table["recorded"]["R-DGG"]["mean"] > 0.05


def test_users_who_never_speak_leave_nothing_to_measure():
    assert of_dependence(*conversation(False), PEOPLE) == ({}, {"R-DGG": FEW})
