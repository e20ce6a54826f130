"""A headless Firefox for tests, driven through WebDriver BiDi, with the methods of `Browser` but `reload`.

Its camera and microphone are Firefox's own false ones: a changing colour and a tone.
"""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.browser import Browser
from tests.serving.loop_thread import LoopThread

_PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.volume_scale": "0.0",
    "media.peerconnection.ice.loopback": True,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
}
MEDIA = {
    "fake": {"media.navigator.permission.disabled": True},
    "none": {"media.navigator.streams.fake": False},
    "denied": {"permissions.default.camera": 2, "permissions.default.microphone": 2},
}
"""Preferences by what the page may have: a camera and a microphone without asking, none, or no leave."""
SOUNDS = """(async () => {
  const context = new AudioContext();
  await Promise.race([context.resume(), new Promise((done) => setTimeout(done, 5000))]);
  return context.state === 'running';
})()"""
"""Whether sound can be played. Firefox needs a device for it, if only a null sink of PulseAudio."""
_KEYS = {"Escape": "\ue00c", "Enter": "\ue007", "Tab": "\ue004", " ": " "}


def find() -> str | None:
    """The program, or None."""
    return next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)


class Firefox:
    """One page in a Firefox with a fresh profile in `folder`, as `tests.browser.Browser`; `media` is one of MEDIA.

    `console` has what the page itself reports as an error; breaches of its policy are not told. Entering raises OSError
    if the program does not start.
    """

    def __init__(self, folder: Path, width: int = 1200, height: int = 800, media: str = "fake"):
        self.folder, self._size, self._media = folder, (width, height), media
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.console: list[str] = []
        self._count = 0

    def __enter__(self):
        profile, log = self.folder / "profile", self.folder / "firefox.log"
        profile.mkdir(parents=True)
        downloads = {"browser.download.folderList": 2, "browser.download.dir": str(self.folder / "downloads")}
        lines = (
            f"user_pref({json.dumps(name)}, {json.dumps(value)});"
            for name, value in (_PREFERENCES | MEDIA[self._media] | downloads).items()
        )
        (profile / "user.js").write_text("\n".join(lines))
        command = [find(), "--headless", f"--width={self._size[0]}", f"--height={self._size[1]}"]
        command += ["--remote-debugging-port=0", "--profile", str(profile), "about:blank"]
        self._thread = LoopThread()
        self._thread.start()
        with log.open("wb") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        try:
            self._thread.run(self._attach(self._address(log)), 60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _address(self, log: Path, seconds: float = 60) -> str:
        until = time.monotonic() + seconds
        while not (found := re.search(r"BiDi listening on (ws://\S+)", log.read_text(errors="replace"))):
            if time.monotonic() > until or self._process.poll() is not None:
                raise OSError(f"Firefox does not start: {log.read_text(errors='replace')[-500:]}")
            time.sleep(0.1)
        return f"{found[1]}/session"

    async def _attach(self, address: str):
        import aiohttp

        self._client = aiohttp.ClientSession()
        self._socket = await self._client.ws_connect(address, max_msg_size=1 << 26)
        await self._send("session.new", capabilities={})
        await self._send("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        tree = await self._send("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]

    def __exit__(self, *_):
        try:
            self._thread.run(self._detach())
        finally:
            try:
                self._thread.close()
            finally:
                self._end()

    def _end(self):
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    async def _detach(self):
        for part in ("_socket", "_client"):
            if hasattr(self, part):
                await getattr(self, part).close()

    def send(self, method: str, **params) -> dict:
        """Sends a command for this page; -> its result."""
        return self._thread.run(self._send(method, **params), 60)

    async def _send(self, method: str, **params) -> dict:
        self._count += 1
        await self._socket.send_json({"id": self._count, "method": method, "params": params})
        while (answer := await self._socket.receive_json(timeout=60)).get("id") != self._count:
            self._note(answer)
        if answer["type"] == "error":
            raise RuntimeError(f"{method}: {answer['message']}")
        return answer["result"]

    def _note(self, event: dict):
        entry = event.get("params", {})
        if event.get("method") == "network.beforeRequestSent":
            self.requests.append(entry["request"]["url"])
        if event.get("method") == "log.entryAdded" and entry["level"] == "error":
            (self.errors if entry["type"] == "javascript" else self.console).append(entry["text"])

    def open(self, url: str):
        """Goes to an address and waits until the page is loaded."""
        self.send("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def run(self, script: str) -> Any:
        """Value of a JavaScript expression, which counts as a participant's own act."""
        found = self.send(
            "script.evaluate", expression=f"(async () => JSON.stringify(await ({script})))()",
            target={"context": self._context}, awaitPromise=True, userActivation=True,
        )  # fmt: skip
        if found["type"] == "exception":
            raise RuntimeError(f"{script}: {found['exceptionDetails']['text']}")
        value = found["result"].get("value")
        return None if value is None else json.loads(value)

    wait = Browser.wait

    def press(self, key: str, code: int = 0):
        """One stroke of a key; `code` is Chromium's."""
        strokes = [{"type": kind, "value": _KEYS.get(key, key)} for kind in ("keyDown", "keyUp")]
        actions = [{"type": "key", "id": "keys", "actions": strokes}]
        self.send("input.performActions", context=self._context, actions=actions)

    def resize(self, width: int, height: int, phone: bool = False):
        """Sets the window's size in CSS pixels; whether it is a phone's makes no difference here."""
        viewport = {"width": width, "height": height}
        self.send("browsingContext.setViewport", context=self._context, viewport=viewport)

    def screenshot(self, path: Path):
        """Writes what is seen as PNG."""
        shot = self.send("browsingContext.captureScreenshot", context=self._context)
        path.write_bytes(base64.b64decode(shot["data"]))
