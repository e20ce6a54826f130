"""Figures of how a generated mouth agrees with its speech."""

import numpy as np

from afjax.audio.envelope import envelope, speaking
from afjax.audio.framing import FPS
from afjax.metrics import lipsync


def mouth_figures(motion: np.ndarray, channels: tuple[str, ...], avatar_wave) -> dict[str, float | None]:
    """How the generated mouth agrees with the avatar's speech.

    `lip_envelope_corr` is the correlation of `jaw_open` with the speech envelope over frames of speech, at lag 0;
    `lip_envelope_lag_ms` is the lag of its peak. `mouth_motion_*` is the mean change of `jaw_open` per frame; silence
    keeps 0.2 s of distance to speech, since a mouth opens early and closes late. A figure is None where there is too
    little speech or silence or motion has no `jaw_open`; a mouth that never moves has no lag.
    """
    names = ("lip_envelope_corr", "lip_envelope_lag_ms", "mouth_motion_speech", "mouth_motion_silence", "mouth_ratio")
    figures: dict[str, float | None] = dict.fromkeys(names)
    if avatar_wave is None or "jaw_open" not in channels:
        return figures
    jaw, frames = motion[:, channels.index("jaw_open")], len(motion)
    voiced = speaking(avatar_wave, frames)
    loudness = envelope(avatar_wave, frames)
    curve = lipsync.curve(jaw[None], loudness[None], voiced[None])
    if np.isfinite(curve).all():
        figures["lip_envelope_corr"] = float(lipsync.corr(curve)[0])
        lag = float(lipsync.lag(curve)[0])
        figures["lip_envelope_lag_ms"] = lag * 1000 / FPS if np.isfinite(lag) else None
    change = np.abs(np.diff(jaw, prepend=jaw[:1]))
    near = np.convolve(voiced, np.ones(11), "same") > 0
    for name, where in (("mouth_motion_speech", voiced), ("mouth_motion_silence", ~near)):
        if where.sum() >= FPS:
            figures[name] = float(change[where].mean())
    speech, silence = figures["mouth_motion_speech"], figures["mouth_motion_silence"]
    if speech is not None and silence:
        figures["mouth_ratio"] = speech / silence
    return figures
