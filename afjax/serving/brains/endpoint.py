"""HTTP to a server that speaks like OpenAI's, by the standard library, for threads that may wait.

A key comes from an environment variable and is sent to its own server alone, over TLS or to this machine. No message
has it. Redirections are not followed. Whatever goes wrong is an `InputError` of one line that names the server.
"""

import contextlib
import functools
import http.client
import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from afjax.errors import InputError

__all__ = ["Cancelled", "Endpoint", "checked_url", "key_of"]

LOCAL = ("localhost", "127.0.0.1", "::1")
MAX_ANSWER = 1 << 25
MAX_LINE = 1 << 20


_TAIL = 0.5
"""Seconds within which a stream of events ends after its last event."""


class Cancelled(Exception):
    """The request under way was ended by `Endpoint.cancel`."""


def key_of(variable: str) -> str:
    """The key in an environment variable; "" without one. Raises InputError if it can't be a key."""
    key = os.environ.get(variable, "").strip()
    if not all("!" <= letter <= "~" for letter in key):
        raise InputError("holds no key: a letter in it can't be sent", variable)
    return key


def checked_url(url: str, key: str = "", schemes: tuple[str, str] = ("http", "https")):
    """The parts of a URL.

    Raises InputError if it is no URL or holds a secret, and if a key would go over a network in the clear.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InputError(f"{url.split('@')[-1]!r} is no address", do=f"give {schemes[1]}://NAME/v1") from None
    shown = f"{parts.scheme}://{parts.hostname}"
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        raise InputError(f"{shown if parts.hostname else url!r} is no address", do=f"give {schemes[1]}://NAME/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError("an address holds no secrets and no ?", shown, "keys come from environment variables")
    if key and parts.scheme == schemes[0] and parts.hostname not in LOCAL:
        raise InputError("a key would be sent in the clear", shown, f"use {schemes[1]}, or no key")
    return parts


class Endpoint:
    """One server's `url` (up to `/v1`), one request at a time; the connection is kept.

    Attribute `name`: its name in errors, without a key.
    """

    def __init__(self, url: str, key: str = "", connect: float = 5.0, patience: float = 20.0):
        """`connect`: seconds to reach the server; `patience`: seconds without a byte of an answer."""
        self._parts = checked_url(url.rstrip("/"), key)
        self.name = f"{self._parts.scheme}://{self._parts.netloc}{self._parts.path}"
        self._key, self._connect, self._patience = key, connect, patience
        self._lock, self._state = threading.Lock(), threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None  # the connection forgets it where the server wants to close it
        self._cancelled = self._busy = False

    def post(self, path: str, body: bytes, kind: str = "application/json") -> tuple[bytes, str]:
        """Posts `body` of the media type `kind`; -> the answer and its media type."""
        with self._asked(path, body, kind) as answer:
            data = answer.read(MAX_ANSWER + 1)
            if len(data) > MAX_ANSWER:
                raise InputError("the answer is too long", self.name)
            return data, answer.headers.get_content_type()

    def stream(self, path: str, query: dict) -> Iterator[str]:
        """Posts JSON; -> the data of the server-sent events of the answer, as they come."""
        with self._asked(path, json.dumps(query).encode(), "application/json") as answer:
            count = 0
            while line := answer.readline(MAX_LINE):
                if line.startswith(b"data:"):
                    count += 1
                    data = line[5:].strip().decode(errors="replace")
                    yield data
                    if data == "[DONE]":  # the connection is kept if the answer ends here
                        self._socket.settimeout(_TAIL)
                        with contextlib.suppress(OSError):
                            answer.read()
                        self._socket.settimeout(self._patience)
                        return
            if self._cancelled:  # a socket that is shut looks like an end
                raise Cancelled
            if not count:
                raise InputError("the answer is no stream of events", self.name, "is it a server of this kind?")

    def cancel(self) -> None:
        """Ends the request under way, from another thread: it raises `Cancelled` there. Returns at once."""
        with self._state:
            if self._busy:
                self._cancelled = True
                self._hang_up()

    def close(self) -> None:
        """Ends the request under way, and the connection."""
        self.cancel()
        with self._state:
            if not self._busy:
                self._drop()

    @contextlib.contextmanager
    def _asked(self, path: str, body: bytes, kind: str) -> Iterator[http.client.HTTPResponse]:
        with self._lock:
            with self._state:
                self._busy, self._cancelled = True, False
            complete = False
            try:
                answer = self._send(path, body, kind)
                self._check(answer)
                yield answer
                complete = answer.isclosed()
            except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
                # a socket that another thread shuts fails in ways of its own
                if self._cancelled:
                    raise Cancelled from None
                if isinstance(error, InputError):
                    raise
                raise InputError(self._what(error), self.name, "is the server there?") from None
            finally:
                with self._state:
                    self._busy = False
                    if not complete:
                        self._drop()

    def _send(self, path: str, body: bytes, kind: str) -> http.client.HTTPResponse:
        heads = {"Content-Type": kind, "Accept": "*/*", "User-Agent": "afjax"}
        if self._key:
            heads["Authorization"] = f"Bearer {self._key}"
        while True:
            kept = self._connection is not None
            try:
                if not kept:
                    self._open()
                self._connection.request("POST", self._parts.path + path, body, heads)
                return self._connection.getresponse()
            except (ConnectionError, http.client.BadStatusLine):
                with self._state:
                    self._drop()
                if not kept or self._cancelled:  # a kept connection may have been closed meanwhile
                    raise

    def _open(self):
        host, port = self._parts.hostname, self._parts.port
        if self._parts.scheme == "https":
            made = http.client.HTTPSConnection(host, port, timeout=self._connect, context=_trust())
        else:
            made = http.client.HTTPConnection(host, port, timeout=self._connect)
        made.connect()
        made.sock.settimeout(self._patience)
        made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._state:
            self._connection, self._socket = made, made.sock
            if self._cancelled:
                self._hang_up()

    def _hang_up(self):
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _drop(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = self._socket = None

    def _check(self, answer: http.client.HTTPResponse):
        if answer.status == 200:
            return
        said = answer.read(4096)
        do = {401: "is the key right?", 403: "is the key right?", 404: "are address and model right?"}
        do |= {429: "it wants fewer requests, or money"}
        text = f"answers {answer.status} {answer.reason}: {_message(said)}".rstrip(": ")
        if self._key:
            text = text.replace(self._key, "...")
        raise InputError(text, self.name, do.get(answer.status, ""))

    def _what(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return "no answer in time"
        if isinstance(error, ssl.SSLError):
            return f"no secure connection ({error.reason or 'TLS'})"
        if isinstance(error, socket.gaierror):
            return "no such host"
        if isinstance(error, ConnectionRefusedError):
            return "nothing listens there"
        return f"the connection failed ({type(error).__name__})"


@functools.cache
def _trust() -> ssl.SSLContext:
    """The certificates of this machine, read once."""
    return ssl.create_default_context()


def _message(said: bytes) -> str:
    """The text of a server's error, at most 200 letters."""
    try:
        found = json.loads(said)
        found = found.get("error", found.get("detail", found.get("message", "")))
        found = found.get("message", "") if isinstance(found, dict) else found
    except (ValueError, AttributeError):
        return ""
    return " ".join(str(found).split())[:200]
