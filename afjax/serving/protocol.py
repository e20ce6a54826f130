"""Messages of `afjax.live.1` (docs/live.md): packed, unpacked and checked, without any I/O.

A binary message is a head of 16 bytes, little endian, and a payload:

    u8 kind | u8 flags (0) | u16 generation | u32 number | f64 seconds

Whatever a page sends becomes one of the dataclasses below or a `ProtocolError`; nothing else is raised.
"""

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from afjax.audio.framing import FPS, FRAME

__all__ = [
    "LIMITS", "PROTOCOL", "Camera", "Command", "Mic", "Portrait", "ProtocolError", "command", "limits", "message",
    "picture", "sound", "unpack",
]  # fmt: skip

PROTOCOL = "afjax.live.1"
HEAD = struct.Struct("<BBHId")
MIC, CAMERA, PORTRAIT, SOUND, PICTURE = 1, 2, 3, 17, 18


@dataclass(frozen=True)
class _Limits:
    """Limits of a page: bytes of payloads and of JSON, and others."""

    camera: int = 300_000
    mic: int = 20_000
    portrait: int = 8 << 20
    json: int = 8_000
    text: int = 1_000  # characters of a line to say
    pictures: float = 30.0  # per second; newer ones replace older ones
    chunk: tuple[float, float] = (0.01, 0.1)  # seconds of sound
    rates: tuple[int, int] = (8_000, 96_000)
    seconds: float = 1e7  # time stamps


LIMITS = _Limits()
_SLACK = 0.0011  # seconds by which a chunk may be shorter or longer: pages count in blocks of 128 samples


class ProtocolError(ValueError):
    """A message that can't be taken. `code` is one word, `str()` one line; `close`: status that closes the socket."""

    def __init__(self, code: str, text: str, close: int | None = None):
        super().__init__(text)
        self.code, self.close = code, close


@dataclass(frozen=True)
class Mic:
    """The user's voice: int16 `[n]`, mono; `seconds`: time of its first sample."""

    number: int
    seconds: float
    samples: np.ndarray


@dataclass(frozen=True)
class Camera:
    """One picture of the user's camera as JPEG, taken at `seconds`."""

    number: int
    seconds: float
    data: bytes


@dataclass(frozen=True)
class Portrait:
    """A picture of a face as JPEG, PNG or WebP."""

    data: bytes


@dataclass(frozen=True)
class Command:
    """A JSON message: its type, and the fields that docs/live.md lists for it, all of the right type."""

    type: str
    fields: dict[str, Any]


def unpack(data: bytes, mic_rate: int = 0) -> Mic | Camera | Portrait:
    """A binary message of a page; `mic_rate`: samples per second that it announced, 0 without a microphone."""
    if len(data) < HEAD.size:
        raise ProtocolError("head", f"a message of {len(data)} bytes is shorter than its head of {HEAD.size}")
    kind, flags, _, number, seconds = HEAD.unpack_from(data)
    payload = data[HEAD.size :]
    if flags:
        raise ProtocolError("head", f"flags {flags}: this version has none")
    if kind not in (MIC, CAMERA, PORTRAIT):
        raise ProtocolError("kind", f"messages of kind {kind} do not exist or only go to the page")
    name, limit = {
        MIC: ("mic", LIMITS.mic), CAMERA: ("camera", LIMITS.camera), PORTRAIT: ("portrait", LIMITS.portrait),
    }[kind]  # fmt: skip
    if len(payload) > limit:
        raise ProtocolError("size", f"{name}: {len(payload)} bytes are over the limit of {limit}", 1009)
    if not payload:
        raise ProtocolError("size", f"{name}: it is empty")
    if kind == PORTRAIT:
        return Portrait(payload)
    if not math.isfinite(seconds) or abs(seconds) > LIMITS.seconds:
        raise ProtocolError("time", f"{name}: the time stamp is no number of seconds")
    if kind == CAMERA:
        return Camera(number, seconds, payload)
    return Mic(number, seconds, _samples(payload, mic_rate))


def _samples(payload: bytes, rate: int) -> np.ndarray:
    if not rate:
        raise ProtocolError("mic", "mic: `begin` announced no microphone")
    if len(payload) % 2:
        raise ProtocolError("size", f"mic: {len(payload)} bytes are no whole number of 16-bit samples")
    low, high = LIMITS.chunk
    if not low - _SLACK <= len(payload) / 2 / rate <= high + _SLACK:
        raise ProtocolError("size", f"mic: a chunk holds {1000 * low:.0f} to {1000 * high:.0f} ms")
    return np.frombuffer(payload, "<i2").astype(np.int16)


def _name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 64 and value.isprintable()


def _line(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= LIMITS.text and " ".join(value.split()).isprintable()


def _number(low: float, high: float):
    def check(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    return check


def _whole(low: int, high: int):
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _rate(value: Any) -> bool:
    return _whole(0, 0)(value) or _whole(*LIMITS.rates)(value)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


_COUNT = _whole(0, 1 << 32)
_FIELDS: dict[str, dict[str, Any]] = {
    "begin": {"portrait": _name, "voice": _name, "mic_rate": _rate, "camera": _flag},
    "say": {"text": _line},
    "gesture": {"name": _name},
    "expressiveness": {"value": _number(0.0, 2.0)},
    "voice": {"name": _name},
    "look": {"portrait": _name},
    "interrupt": {},
    "ping": {"sent": _number(-1e15, 1e15)},
    "shown": {"frames": _COUNT, "late": _COUNT, "lag": _number(-1e7, 1e7)},
    "end": {},
}


def command(text: str) -> Command:
    """A JSON message of a page. Fields that are not listed are left out."""
    if len(text) > LIMITS.json:
        raise ProtocolError("size", f"a JSON message is over the limit of {LIMITS.json} bytes", 1009)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("json", "a text message is not JSON") from None
    kind = found.get("type") if isinstance(found, dict) else None
    fields = _FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None:
        raise ProtocolError("type", f"no JSON message has this `type`; there are {', '.join(_FIELDS)}")
    for name, check in fields.items():
        if name not in found or not check(found[name]):
            raise ProtocolError("field", f"{kind}: `{name}` is missing or not what docs/live.md says")
    return Command(kind, {name: found[name] for name in fields})


def message(type: str, **fields: Any) -> str:
    """A JSON message to a page."""
    return json.dumps({"type": type, **fields}, separators=(",", ":"), allow_nan=False)


def sound(generation: int, first: int, samples: np.ndarray) -> bytes:
    """The voice of frames from `first` on: float32 `[n * 640]` in -1..1 at 16 kHz."""
    pcm = np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2")
    return HEAD.pack(SOUND, 0, generation & 0xFFFF, first & 0xFFFFFFFF, 0.0) + pcm.tobytes()


def picture(generation: int, frame: int, jpeg: bytes) -> bytes:
    """The picture of a frame."""
    return HEAD.pack(PICTURE, 0, generation & 0xFFFF, frame & 0xFFFFFFFF, 0.0) + jpeg


def limits() -> dict[str, Any]:
    """The limits that `hello` tells a page."""
    return {
        "camera_bytes": LIMITS.camera, "mic_bytes": LIMITS.mic, "portrait_bytes": LIMITS.portrait,
        "json_bytes": LIMITS.json, "text": LIMITS.text, "pictures": LIMITS.pictures,
    }  # fmt: skip


def parts(data: bytes) -> tuple[int, int, int, float, bytes]:
    """(kind, generation, number, seconds, payload) of a binary message that the server sent."""
    kind, _, generation, number, seconds = HEAD.unpack_from(data)
    return kind, generation, number, seconds, data[HEAD.size :]


def frames_of(payload: bytes | Sequence[int]) -> float:
    """Frames that a payload of `sound` lasts."""
    return len(payload) / 2 / FRAME


def seconds_of(frame: int) -> float:
    """Seconds of a frame from frame 0 on."""
    return frame / FPS
