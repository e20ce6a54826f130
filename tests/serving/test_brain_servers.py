"""Parts of brains that are servers, against a double of them (`openai_double`): what is sent, and what goes wrong."""

import datetime
import io
import ipaddress
import ssl
import threading
import time
import wave

import numpy as np
import pytest

from afjax.audio.framing import RATE
from afjax.errors import InputError
from afjax.serving.brains import endpoint
from afjax.serving.brains.endpoint import Cancelled, Endpoint, checked_url, key_of
from afjax.serving.brains.endpoints import Chat, Transcription, Voice, wav
from afjax.serving.brains.parts import Turn

pytest.importorskip("aiohttp")
from tests.serving.openai_double import KEY, Double, tone  # noqa: E402

HELLO = Turn(1.0, 1.0, 0, -20.0, words=("Good", "day!"))


@pytest.fixture
def double():
    with Double() as made:
        yield made


def chat_of(server, **more) -> Chat:
    return Chat(lambda: server, "small", "Be brief.", greeting="", **more)


def test_an_answer_comes_in_pieces_and_is_remembered(double):
    chat = chat_of(Endpoint(double.url), settings={"max_tokens": 5})
    assert "".join(chat.answer(HELLO)) == "Not much. And with you?"
    assert "".join(chat.answer(HELLO))
    path, asked = double.asked[1]
    assert path == "chat" and asked["model"] == "small" and asked["stream"] is True and asked["max_tokens"] == 5
    assert [(m["role"], m["content"]) for m in asked["messages"]] == [
        ("system", "Be brief."), ("user", "Good day!"), ("assistant", "Not much. And with you?"), ("user", "Good day!"),
    ]  # fmt: skip


def test_what_was_not_heard_is_not_remembered(double):
    chat = chat_of(Endpoint(double.url))
    list(chat.answer(HELLO))
    chat.heard("Not much.")
    list(chat.answer(HELLO))
    chat.heard("")
    list(chat.answer(HELLO))
    assert [m["content"] for m in double.asked[1][1]["messages"]][2] == "Not much. —"
    assert [m["role"] for m in double.asked[2][1]["messages"]] == ["system", "user", "assistant", "user"]


def test_a_long_conversation_keeps_its_prompt(double):
    chat = chat_of(Endpoint(double.url))
    for _ in range(30):
        list(chat.answer(HELLO))
    sent = double.asked[-1][1]["messages"]
    assert sent[0]["content"] == "Be brief." and len(sent) == 41


def test_a_model_that_does_not_stop_is_stopped(double):
    double.answer = ["And so on. "] * 2000
    chat = chat_of(Endpoint(double.url))
    assert 4000 < len("".join(chat.answer(HELLO))) < 4020
    assert len(list(chat.answer(HELLO))) > 300


def test_a_voice_is_asked_for_pcm_and_its_words_have_times(double):
    voice = Voice(Endpoint(double.url), "tts", "alloy")
    said = voice.say("One two.")
    assert double.asked == [
        ("speech", {"model": "tts", "voice": "alloy", "input": "One two.", "response_format": "pcm"})
    ]
    assert said.rate == 24_000 and len(said.samples) == len(tone("One two."))
    assert [word for word, _, _ in said.words] == ["One", "two."]
    assert said.words[0][2] == said.words[1][1] == pytest.approx(0.4, abs=0.02)
    assert np.sqrt(np.mean(said.samples**2)) == pytest.approx(0.1, rel=0.01)


def test_a_voice_that_sends_a_wav_file_has_its_rate(double, monkeypatch):
    monkeypatch.setattr(Endpoint, "post", lambda *_: (wav(tone("abc")[:3000], 8000), "audio/wav"))
    said = Voice(Endpoint(double.url), "tts", "alloy").say("abc")
    assert said.rate == 8000 and len(said.samples) == 3000


def test_a_turn_is_sent_as_a_file(double):
    sound = (0.3 * np.sin(np.arange(RATE))).astype(np.float32)
    assert Transcription(Endpoint(double.url), "whisper", "en").words(sound) == ["what", "is", "new"]
    fields = double.asked[0][1]
    with wave.open(io.BytesIO(fields.pop("file"))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (RATE, 1, RATE)
        sent = np.frombuffer(file.readframes(RATE), "<i2") / 32767
    np.testing.assert_allclose(sent, sound, atol=1e-4)
    assert fields == {"model": "whisper", "response_format": "json", "language": "en"}


# What goes wrong

PARTS = {
    "chat": lambda server: list(chat_of(server).answer(HELLO)),
    "speech": lambda server: Voice(server, "tts", "alloy").say("One."),
    "transcriptions": lambda server: Transcription(server, "whisper").words(np.zeros(RATE, np.float32)),
}
FAULTS = {
    "status": "503 Service Unavailable: the model is overloaded",
    "hang": "no answer in time",
    "garbage": "",
    "redirect": "answers 307",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("part", PARTS)
def test_a_fault_is_one_line_that_names_the_server(double, part, fault):
    double.fault = fault
    with pytest.raises(InputError) as error:
        PARTS[part](Endpoint(double.url, patience=0.3))
    text = str(error.value)
    assert text.startswith(double.url) and FAULTS[fault] in text and "\n" not in text


def test_an_answer_that_ends_in_the_middle_is_a_fault(double):
    double.fault, chat, got = "break", chat_of(Endpoint(double.url)), []
    with pytest.raises(InputError, match="ended in the middle"):
        for piece in chat.answer(HELLO):
            got.append(piece)
    assert got == ["Not "] and chat.messages[-1]["content"] == "Not "


def test_nobody_there():
    for part in PARTS.values():
        with pytest.raises(InputError, match="nothing listens there"):
            part(Endpoint("http://127.0.0.1:9/v1"))


def test_a_key_goes_to_its_server_and_into_no_message(monkeypatch):
    monkeypatch.setenv("AFJAX_TEST_KEY", f" {KEY}\n")
    with Double(key=KEY) as double:
        assert PARTS["chat"](Endpoint(double.url, key_of("AFJAX_TEST_KEY")))
        with pytest.raises(InputError, match="401.*is the key right") as error:
            PARTS["chat"](Endpoint(double.url, "sk-other"))
    assert "sk-other" not in str(error.value) and "..." in str(error.value)


@pytest.mark.parametrize(
    ("url", "key", "what"),
    [
        ("http://example.com/v1", "sk", "in the clear"),
        ("https://me:secret@example.com/v1", "", "no secrets"),
        ("https://example.com/v1?key=secret", "", "no secrets"),
        ("ftp://example.com", "", "no address"),
        ("example.com/v1", "", "no address"),
        ("http://example.com:99999", "", "no address"),
    ],
)
def test_addresses_that_are_refused(url, key, what):
    with pytest.raises(InputError, match=what) as error:
        checked_url(url, key)
    assert "secret@" not in str(error.value) and "=secret" not in str(error.value)


def test_addresses_that_are_taken(monkeypatch):
    for url, key in (
        ("http://10.0.0.7:8000/v1", ""),
        ("https://example.com/v1", "sk"),
        ("http://localhost:1/v1", "sk"),
    ):
        checked_url(url, key)
    monkeypatch.setenv("AFJAX_TEST_KEY", "two words")
    with pytest.raises(InputError, match="AFJAX_TEST_KEY: holds no key"):
        key_of("AFJAX_TEST_KEY")


@pytest.fixture
def certificate(tmp_path):
    """A key and a certificate of 127.0.0.1 that vouches for itself."""
    pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "double")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = made.add_extension(address, False).sign(key, hashes.SHA256())
    plain = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    file = tmp_path / "double.pem"
    file.write_bytes(key.private_bytes(plain[2], plain[1], plain[0]) + made.public_bytes(plain[2]))
    return file


def test_over_tls_only_a_server_that_somebody_vouches_for_is_asked(certificate, monkeypatch):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with Double(key=KEY, tls=tls) as double:
        with pytest.raises(InputError, match="no secure connection"):
            PARTS["chat"](Endpoint(double.url, KEY))
        assert not double.asked and not double.heads
        monkeypatch.setattr(endpoint, "_trust", lambda: ssl.create_default_context(cafile=certificate))
        server = Endpoint(double.url, KEY)
        assert PARTS["chat"](server) and PARTS["speech"](server) and PARTS["transcriptions"](server)


def test_a_request_is_ended_from_another_thread(double):
    double.fault = "hang"
    server, begun = Endpoint(double.url), time.monotonic()
    threading.Timer(0.2, server.cancel).start()
    with pytest.raises(Cancelled):
        server.post("/chat/completions", b"{}")
    assert time.monotonic() - begun < 2.0
    double.fault = ""
    assert PARTS["chat"](server) and PARTS["speech"](server)


def test_an_answer_that_stalls_is_ended_where_the_server_keeps_no_connection(double):
    double.fault, server, got = "stall", Endpoint(double.url), []
    begun = time.monotonic()
    for piece in (chat := chat_of(server)).answer(HELLO):
        got.append(piece)
        threading.Timer(0.2, chat.heard, ("Not",)).start()
    assert got == ["Not "] and time.monotonic() - begun < 2.0
    assert chat.messages[-1]["content"] == "Not —"


def test_one_connection_is_kept_for_many_requests(double):
    server = Endpoint(double.url)
    for _ in range(3):
        PARTS["chat"](server), PARTS["speech"](server)
    assert len(double.peers) == 1


def test_a_kept_connection_that_the_server_has_closed_is_made_anew(double):
    server = Endpoint(double.url)
    PARTS["speech"](server)
    double.go_away()
    with pytest.raises(InputError, match="nothing listens there"):
        PARTS["speech"](server)
    double.come_back()
    PARTS["speech"](server)
    PARTS["speech"](server)
