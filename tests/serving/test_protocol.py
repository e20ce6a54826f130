"""Messages: what goes out comes back, and nothing that a page sends gets past the checks."""

import json

import numpy as np
import pytest

from afjax.serving import protocol
from afjax.serving.protocol import HEAD, LIMITS, ProtocolError

RATE = 48_000


def mic(samples=960, seconds=1.5, number=7) -> bytes:
    return HEAD.pack(protocol.MIC, 0, 0, number, seconds) + np.arange(samples, dtype="<i2").tobytes()


def test_what_a_page_sends_comes_back():
    found = protocol.unpack(mic(), RATE)
    assert (found.number, found.seconds) == (7, 1.5) and found.samples.dtype == np.int16
    np.testing.assert_array_equal(found.samples, np.arange(960))
    found = protocol.unpack(HEAD.pack(protocol.CAMERA, 0, 3, 9, 0.25) + b"jpeg")
    assert found == protocol.Camera(9, 0.25, b"jpeg")
    assert protocol.unpack(HEAD.pack(protocol.PORTRAIT, 0, 0, 0, 0.0) + b"png") == protocol.Portrait(b"png")


def test_what_a_page_receives():
    wave = np.array([0.0, 1.0, -1.0, 2.0] * 160, np.float32)
    kind, generation, number, _, payload = protocol.parts(protocol.sound(5, 70, wave))
    assert (kind, generation, number) == (protocol.SOUND, 5, 70) and protocol.frames_of(payload) == 1
    assert np.frombuffer(payload, "<i2")[:4].tolist() == [0, 32767, -32767, 32767]
    assert protocol.parts(protocol.picture(5, 71, b"x"))[:3] == (protocol.PICTURE, 5, 71)
    assert json.loads(protocol.message("cut", generation=2)) == {"type": "cut", "generation": 2}


@pytest.mark.parametrize(
    ("data", "code", "close"),
    [
        (b"", "head", None),
        (b"\1" * 15, "head", None),
        (HEAD.pack(1, 1, 0, 0, 0.0) + b"ab", "head", None),
        (HEAD.pack(17, 0, 0, 0, 0.0) + b"ab", "kind", None),
        (HEAD.pack(1, 0, 0, 0, 0.0), "size", None),
        (HEAD.pack(1, 0, 0, 0, 0.0) + bytes(1921), "size", None),
        (HEAD.pack(1, 0, 0, 0, 0.0) + bytes(100), "size", None),
        (HEAD.pack(1, 0, 0, 0, 0.0) + bytes(LIMITS.mic + 2), "size", 1009),
        (HEAD.pack(2, 0, 0, 0, 0.0) + bytes(LIMITS.camera + 1), "size", 1009),
        (HEAD.pack(3, 0, 0, 0, 0.0) + bytes(LIMITS.portrait + 1), "size", 1009),
        (HEAD.pack(2, 0, 0, 0, float("nan")) + b"ab", "time", None),
        (HEAD.pack(1, 0, 0, 0, float("inf")) + bytes(1920), "time", None),
        (HEAD.pack(2, 0, 0, 0, 1e300) + b"ab", "time", None),
    ],
)
def test_bytes_that_are_no_message(data, code, close):
    with pytest.raises(ProtocolError) as error:
        protocol.unpack(data, RATE)
    assert (error.value.code, error.value.close) == (code, close) and "\n" not in str(error.value)


def test_without_a_microphone_there_is_no_sound():
    with pytest.raises(ProtocolError, match="no microphone"):
        protocol.unpack(mic(), 0)


BEGIN = {"type": "begin", "portrait": "drawn", "voice": "", "mic_rate": 48000, "camera": True}


def test_commands_hold_their_fields_only():
    found = protocol.command(json.dumps({**BEGIN, "more": 1}))
    assert found.type == "begin" and found.fields == {k: v for k, v in BEGIN.items() if k != "type"}
    assert protocol.command('{"type": "end"}').fields == {}
    assert protocol.command(json.dumps({**BEGIN, "mic_rate": 0})).fields["mic_rate"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "3", "null", "{", '{"type": 3}', '{"type": "no"}', '{"type": ["say"]}', '{"type": "say"}', "[" * 5000,
        '{"type": "say", "text": ""}', '{"type": "say", "text": 3}', '{"type": "expressiveness", "value": NaN}',
        '{"type": "expressiveness", "value": true}', '{"type": "expressiveness", "value": 2.01}',
        '{"type": "gesture", "name": "a\\nb"}', '{"type": "shown", "frames": -1, "late": 0, "lag": 0}',
        '{"type": "ping", "sent": 1e400}', '{"type": "ping", "sent": "1"}',
        *(json.dumps({**BEGIN, **wrong}) for wrong in (
            {"mic_rate": 7999}, {"mic_rate": 1e4}, {"mic_rate": True}, {"camera": 1}, {"portrait": None},
            {"voice": "x" * 65})),
    ],
)  # fmt: skip
def test_text_that_is_no_command(text):
    with pytest.raises(ProtocolError):
        protocol.command(text)


def test_too_much_text_ends_the_socket():
    with pytest.raises(ProtocolError) as error:
        protocol.command('{"type": "end"}' + " " * LIMITS.json)
    assert error.value.close == 1009


def test_mutated_messages_are_taken_or_refused():
    """2,000 of them: changed, cut and longer bytes, of heads above all; never another exception or value."""
    rng = np.random.default_rng(0)
    seeds = [mic(), HEAD.pack(2, 0, 1, 3, 2.0) + bytes(50), HEAD.pack(3, 0, 0, 0, 0.0) + bytes(9)]
    shown = {"type": "shown", "frames": 1, "late": 0, "lag": 0}
    texts = [json.dumps(BEGIN), '{"type": "say", "text": "hello"}', json.dumps(shown)]
    taken = refused = 0
    for n in range(2000):
        as_text = n % 2
        seed = texts[n // 2 % 3].encode() if as_text else seeds[n // 2 % 3]
        data = bytearray(seed)
        for _ in range(rng.integers(0, 4)):
            place = rng.integers(len(data) if as_text else min(len(data), 20))
            data[place] = rng.integers(256)
        if rng.random() < 0.3:
            data = data[: rng.integers(len(data) + 1)] + bytes(rng.integers(0, 256, rng.integers(0, 9), np.uint8))
        try:
            if as_text:
                found = protocol.command(data.decode("utf-8", "replace"))
                assert isinstance(found, protocol.Command)
            else:
                found = protocol.unpack(bytes(data), RATE)
                assert isinstance(found, protocol.Portrait) or np.isfinite(found.seconds)
            taken += 1
        except ProtocolError as error:
            refused += 1
            assert error.code.isalpha() and len(str(error)) < 200
    assert taken > 400 and refused > 400
