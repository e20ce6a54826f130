"""A double of servers that speak like OpenAI's: chat, speech, transcriptions and realtime, scripted, without any model.

    with Double() as double:        double.url, double.realtime, double.asked, double.told

It stays in tests/ and proves our use of the protocols as they are documented, not any server's behaviour. Its voice is
a tone of 0.1 s a letter, its recognition whatever `words` holds, its answers the pieces in `answer`.

`fault` breaks it: "status" (500 with a message), "hang" (no answer), "break" (ends in the middle), "garbage", "slow"
(a pause before each piece), "stall" (closes after its
answer, which does not go on after a piece), "redirect".
"""

import asyncio
import base64
import json

import numpy as np
from aiohttp import WSMsgType, web

from tests.serving.loop_thread import LoopThread

RATE = 24_000
KEY = "sk-double"


def tone(text: str) -> np.ndarray:
    return 0.4 * np.sin(np.arange(round(0.1 * len(text) * RATE)) * 0.1).astype(np.float32)


def pcm(wave: np.ndarray) -> bytes:
    return (wave * 32767).astype("<i2").tobytes()


class Double:
    """Attributes: `asked`: (path, fields) of requests; `told`: events of realtime clients; `heads`: of the last one;
    `peers`: addresses of connections. `tls`: a context for https.
    """

    def __init__(self, key: str = "", beta: bool = False, tls=None):
        self._tls, self.peers = tls, set()
        self.key, self.beta, self.fault = key, beta, ""
        self.words, self.answer = "what is new", ["Not ", "much. And", " with you?"]
        self.asked, self.told, self.heads = [], [], {}
        self.sound = np.zeros(0, np.float32)
        self._sockets: list[web.WebSocketResponse] = []
        self._thread, self._leaving = LoopThread(), asyncio.Event()

    def __enter__(self):
        self._thread.start()
        self._thread.run(self._start())
        return self

    def __exit__(self, *_):
        self._thread.loop.call_soon_threadsafe(self._leaving.set)
        self._thread.run(self._runner.cleanup())
        self._thread.close()

    async def _start(self, port: int = 0):
        app = web.Application(middlewares=[self._gate], client_max_size=1 << 25)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/audio/speech", self._speech)
        app.router.add_post("/v1/audio/transcriptions", self._transcriptions)
        app.router.add_get("/v1/realtime", self._realtime)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        kinds = ("https", "wss") if self._tls else ("http", "ws")
        self.url, self.realtime = (f"{kind}://127.0.0.1:{self.port}/v1" for kind in kinds)
        self.realtime += "/realtime"

    def go_away(self):
        """Ends, with all connections."""
        self._thread.run(self._hang_up())
        self._thread.run(self._runner.cleanup())

    def come_back(self):
        """Is there again, at the same port."""
        self._thread.run(self._start(self.port))

    @web.middleware
    async def _gate(self, request, handler):
        self.heads = dict(request.headers)
        self.peers.add(request.transport.get_extra_info("peername"))
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            said = f"Incorrect API key provided: {request.headers.get('Authorization', '')[7:]}"
            return web.json_response({"error": {"message": said}}, status=401)
        if self.fault == "status":
            return web.json_response({"error": {"message": "the model is\noverloaded"}}, status=503)
        if self.fault == "hang":
            await self._leaving.wait()
        if self.fault == "garbage":
            return web.Response(text="<html>hello</html>")
        if self.fault == "redirect":
            raise web.HTTPTemporaryRedirect("http://127.0.0.1:9/elsewhere")
        return await handler(request)

    async def _chat(self, request):
        self.asked.append(("chat", await request.json()))
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if self.fault == "stall":
            answer.force_close()
        await answer.prepare(request)
        for n, piece in enumerate(self.answer):
            if self.fault == "slow":
                await asyncio.sleep(0.15)
            if self.fault == "stall" and n == 1:
                await self._leaving.wait()
                return answer
            if self.fault == "break" and n == 1:
                request.transport.abort()
                return answer
            event = {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
            await answer.write(b": a comment\n\ndata: " + json.dumps(event).encode() + b"\n\n")
        await answer.write(b'data: {"choices": [], "usage": {"total_tokens": 9}}\n\ndata: [DONE]\n\n')
        return answer

    async def _speech(self, request):
        fields = await request.json()
        self.asked.append(("speech", fields))
        if self.fault == "slow":
            await asyncio.sleep(0.4)
        return web.Response(body=pcm(tone(fields["input"])), content_type="audio/pcm")

    async def _transcriptions(self, request):
        fields = {}
        async for part in await request.multipart():
            fields[part.name] = await part.read() if part.filename else await part.text()
        self.asked.append(("transcriptions", fields))
        return web.json_response({"text": f" {self.words} "})

    # realtime

    async def _realtime(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.append(socket)
        session = {"modalities": ["audio", "text"]} if self.beta else {"type": "realtime", "object": "realtime.session"}
        await socket.send_json({"type": "session.created", "session": session})
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                event = json.loads(message.data)
                if event["type"] == "input_audio_buffer.append":
                    heard = np.frombuffer(base64.b64decode(event["audio"]), "<i2").astype(np.float32) / 32767
                    self.sound = np.concatenate([self.sound, heard])
                else:
                    self.told.append({"model": request.query.get("model"), **event})
        return socket

    def tell(self, *events: dict):
        """Sends events to the newest realtime client."""
        for event in events:
            self._thread.run(self._sockets[-1].send_json(event))

    async def _hang_up(self):
        for socket in self._sockets:
            await socket.close()

    def hang_up(self):
        """Closes the realtime connections."""
        self._thread.run(self._hang_up())

    def speaks(self, item: str, words: str, seconds: float, response: str = "resp_1", ends: bool = True):
        """An answer: its events in the order and under the names of the version, sound in pieces of 0.2 s."""
        name = "response.audio" if self.beta else "response.output_audio"
        common = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        self.tell({"type": "response.created", "response": {"id": response, "status": "in_progress"}})
        wave = 0.4 * np.sin(np.arange(round(seconds * RATE)) * 0.1).astype(np.float32)
        for n in range(0, len(words), 4):
            self.tell({"type": f"{name}_transcript.delta", "delta": words[n : n + 4], **common})
        for n in range(0, len(wave), RATE // 5):
            sound = base64.b64encode(pcm(wave[n : n + RATE // 5])).decode()
            self.tell({"type": f"{name}.delta", "delta": sound, **common})
        if ends:
            self.tell({"type": f"{name}.done", **common}, {"type": "response.done", "response": {"id": response}})
