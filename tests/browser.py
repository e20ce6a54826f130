"""A headless Chromium for tests, driven through the DevTools protocol over a pair of pipes.

Messages are JSON, each ended by a zero byte: commands go to the browser's descriptor 3, answers and events come from 4.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_LAUNCH = """
import os, sys
os.dup2({0}, 13)
os.dup2({1}, 14)
os.dup2(13, 3)
os.dup2(14, 4)
os.execv({2!r}, [{2!r}, *sys.argv[1:]])
"""
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio", "--no-first-run")
FAKE_MEDIA = (
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


def find() -> str | None:
    """The program, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """One page in a browser with a fresh profile in `folder`; downloads are saved to `folder/downloads`.

    `flags` are more of Chromium's own (FAKE_MEDIA: a camera and a microphone without asking). `errors` collects
    exceptions, `console` what the page or the browser itself reports as an error, breaches of its policy too.

    with Browser(folder) as browser:
        browser.open("file:///...")
        browser.run("document.title")

    Entering raises OSError if the program does not start.
    """

    def __init__(self, folder: Path, width: int = 1200, height: int = 800, flags: tuple[str, ...] = ()):
        self.folder, self.flags = folder, flags
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.console: list[str] = []
        self._size, self._count, self._rest, self._session = (width, height), 0, b"", ""

    def __enter__(self):
        program = find()
        read, self._out = os.pipe()
        self._in, write = os.pipe()
        flags = [
            *_FLAGS,
            *self.flags,
            f"--user-data-dir={self.folder / 'profile'}",
            "--remote-debugging-pipe",
            "about:blank",
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH.format(read, write, program), *flags],
            pass_fds=(read, write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(read)
        os.close(write)
        try:
            self._attach()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _attach(self):
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self.resize(*self._size)
        downloads = str(self.folder / "downloads")
        self.send("Page.setDownloadBehavior", behavior="allow", downloadPath=downloads)

    def __exit__(self, *_):
        self._session = ""
        try:
            self.send("Browser.close")
            self._process.wait(10)
        except (OSError, TimeoutError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def send(self, method: str, **params) -> dict:
        """Sends a command; -> its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._count:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _next(self, seconds: float = 20) -> dict:
        until = time.monotonic() + seconds
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser does not answer")
            if not (data := os.read(self._in, 1 << 20)):
                raise OSError("the browser has ended")
            self._rest += data
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event: dict):
        params = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        if event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"]["exception"].get("description", "?"))
        if event.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.console.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        if event.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.console.append(" ".join(str(arg.get("value", arg.get("description"))) for arg in params["args"]))

    def open(self, url: str):
        """Goes to an address and waits until the page is loaded."""
        self.send("Page.navigate", url=url)
        self.wait(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def reload(self):
        """Loads the page again, as a participant would."""
        self.run("window.before = true")
        self.send("Page.reload")
        self.wait("!window.before && document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """Value of a JavaScript expression, which counts as a participant's own act."""
        found = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(f"{script}: {found['exceptionDetails']['exception'].get('description')}")
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = 20):
        """Until a JavaScript expression is true; TimeoutError if it isn't in time."""
        until = time.monotonic() + seconds
        while True:
            try:
                if self.run(script):
                    return
            except RuntimeError:  # the page is being replaced
                pass
            if time.monotonic() > until:
                raise TimeoutError(script)
            time.sleep(0.03)

    def press(self, key: str, code: int):
        """One stroke of a key that types `key` ("Enter", " ", "Tab", "ArrowRight") with its virtual key code."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        common = {"key": key, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def resize(self, width: int, height: int, phone: bool = False):
        """Sets the window's size in CSS pixels."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def screenshot(self, path: Path):
        """Writes what is seen as PNG."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))
