"""The studio that all calls share: engine, threads, portraits, and the loop that makes blocks.

    event loop   sockets, buffers, play-out clocks: nothing that takes more than a millisecond
    device       one thread: steps of the model, and rendering
    tracker      one thread: decodes the pictures of cameras and reads faces
    encoder      one thread: JPEG
    faces        one thread: portraits and trackers of new calls, brains

The device next does the work that is due on a screen first: a part of a block to render, or a step.
"""

import asyncio
import contextlib
import logging
import secrets
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from afjax.codec.base import Codec
from afjax.errors import InputError, InputWarning
from afjax.serving import pictures
from afjax.serving.brain import Brain, Silent
from afjax.serving.call import Block
from afjax.serving.group import Group
from afjax.serving.outbox import Outbox
from afjax.serving.protocol import ProtocolError
from afjax.serving.seat import Seat
from afjax.streaming import live_step

__all__ = ["Studio"]

log = logging.getLogger("afjax.serving")
TICK, STATS = 0.02, 1.0
TRIALS = 12
"""Blocks that are made before the first call to measure their time."""


class _Part(NamedTuple):
    seat: Seat
    block: Block
    first: int
    count: int


class Studio:
    """Attributes: `portraits`: PNG by name; `voices` of the brain; `seats`: the calls under way; `on_begin`: called
    with the seat when a page's call begins."""

    def __init__(
        self, engine, codec: Codec, portraits: Mapping[str, np.ndarray],
        brain: Callable[[str], Brain] = lambda voice: Silent(), voices: Sequence[str] = (),
        headroom: float | None = None, seed: int | None = None,
    ):  # fmt: skip
        """Prepares portraits; nothing runs before `start`.

        Args:
          engine: `afjax.streaming.engine.Engine` or another object with its methods; one slot per call.
          portraits: uint8 `[h, w, 3]` RGB by name; the first is the default.
          brain: makes the brain of a call, given the name of one of `voices`, or "".
          headroom: seconds; measured at the start by default.
          seed: seed of every call's noise; by default one is drawn per call.

        Raises InputError where a portrait can't be used.
        """
        self.engine, self.codec, self.voices = engine, codec, tuple(voices)
        self.group, self.seats = Group(engine, codec.channels), []
        self.headroom, self._brain, self._seed, self._prepared = headroom, brain, seed, False
        self._identities = {name: codec.identity(picture) for name, picture in portraits.items()}
        self.on_begin: Callable[[Seat], None] = lambda seat: None
        self.portraits = {name: pictures.encode(picture, "PNG") for name, picture in portraits.items()}
        self._screen, self._parts, self._free = pictures.Screen(codec), [], engine.sessions
        self._tasks: set[asyncio.Task] = set()
        self._threads = {name: ThreadPoolExecutor(1, name) for name in ("device", "tracker", "encoder", "faces")}

    @staticmethod
    def now() -> float:
        """Seconds on the clock of all calls."""
        return time.monotonic()

    def on(self, thread: str, function: Callable, *arguments: Any):
        """Awaitable result of a function that runs in the named thread."""
        return asyncio.get_running_loop().run_in_executor(self._threads[thread], partial(function, *arguments))

    def prepare(self) -> None:
        """Compiles and measures the headroom: the slow part of `start`, which may be done before."""
        taken = self._calibrate()
        if self.headroom is None:
            self.headroom = 1.5 * taken + self.group.patience + TICK
        self._prepared = True

    async def start(self) -> None:
        """Compiles, measures the headroom and begins to make blocks, on the running event loop."""
        self._news = asyncio.Event()
        if not self._prepared:
            await self.on("device", self.prepare)
        for work in (self._make(), self._tick()):
            self._later(work)

    def _warm_up(self, identity: Any) -> np.ndarray:
        """Compiles what this portrait needs, so that no call waits for it; -> one block of motion at rest."""
        motion = np.zeros((self.engine.config.layout.block, self.engine.config.model.motion_dim), np.float32)
        for first, count in self._screen.parts(len(motion)):
            self._screen.show(identity, motion[first : first + count])
        return motion

    def _calibrate(self) -> float:
        """Seconds of the second slowest trial block: a step, and the pictures of all sessions."""
        config, times = self.engine.config, []
        motion = [self._warm_up(identity) for identity in self._identities.values()][0]
        for _ in range(TRIALS):
            start = time.perf_counter()
            np.asarray(self.engine.step(live_step.silence(config, self.engine.sessions), []))
            for identity in list(self._identities.values())[:1] * self.engine.sessions:
                for first, count in self._screen.parts(len(motion)):
                    for picture in self._screen.show(identity, motion[first : first + count]):
                        pictures.encode(picture)
            times.append(time.perf_counter() - start)
        return sorted(times[2:])[-2]

    async def close(self) -> None:
        """Ends all calls, tasks and threads."""
        for seat in list(self.seats):
            self._leave(seat)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for name, thread in self._threads.items():
            thread.shutdown(wait=True, cancel_futures=name != "faces")  # brains are closed there

    def _later(self, work) -> asyncio.Task:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Calls

    async def vacant_within(self, seconds: float) -> bool:
        """Whether there is a free slot, or will be within `seconds`."""
        until = self.now() + seconds
        while not self._free and self.now() < until:
            await asyncio.sleep(TICK)
        return self._free > 0

    @property
    def vacant(self) -> bool:
        """Whether there is a free slot."""
        return self._free > 0

    def reserve(self) -> bool:
        """Takes a slot of the engine for a call that is about to begin; False where all are taken."""
        if not self._free:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        """Frees a slot: a reserved one in which no call has begun, or that of a call that has ended."""
        self._free += 1

    async def identity(self, portrait: str | bytes) -> tuple[Any, list[str]]:
        """The codec's identity of a portrait, given by name or as bytes, and its warnings about what was decided.

        Raises ProtocolError if there is no such portrait or it can't be used.
        """
        if isinstance(portrait, bytes):
            return await self.on("faces", self._portray, portrait)
        if portrait not in self._identities:
            raise ProtocolError("portrait", f"there is no such portrait; there are {', '.join(self._identities)}")
        return self._identities[portrait], []

    def _portray(self, data: bytes) -> tuple[Any, list[str]]:
        picture = pictures.decode_portrait(data)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", InputWarning)
            try:
                identity = self.codec.identity(picture)
            except InputError as error:
                raise ProtocolError("portrait", str(error)) from None
        if np.any(self.codec.reference_motion(identity)):
            raise ProtocolError("unsupported", "this model's portraits have a motion of their own; use a named one")
        self._warm_up(identity)
        return identity, [str(one.message) for one in said if issubclass(one.category, InputWarning)]

    async def begin(
        self, begun: float, identity: Any, voice: str, outbox: Outbox, make: Callable[..., Seat] = Seat, lead=0.0
    ) -> Seat:
        """A page's call in the slot that was reserved for it; `begun`: `now` at its page's 0; others as in `seat`."""
        brain = await self.on("faces", self._brain, voice)
        seat = await self.seat(begun, identity, partial(make, brain=brain, outbox=outbox), lead)
        self.on_begin(seat)
        seat.send("ready", offset=seat.call.offset, generation=seat.call.generation)
        seat.send("state", state="listening")
        return seat

    async def seat(self, begun: float, identity: Any, make: Callable[..., Seat], lead: float = 0.0) -> Seat:
        """A call in the slot that was reserved for it.

        Args:
          begun: `now` at 0 of the clock that stamps what is seen and heard.
          make: makes the seat, given `call`, `identity`, `track` and `wake` (see `Seat`).
          lead: seconds before their time at which pictures are wanted.
        """
        tracker = await self.on("faces", self.codec.tracker)
        seed = secrets.randbelow(2**31) if self._seed is None else self._seed
        rest = self.codec.reference_motion(identity)  # a user whose face is not seen rests like the portrait
        slot = await self.on("device", self.engine.join, seed, rest)
        call = self.group.begin(slot, self.now(), self.headroom + lead, begun, rest)
        call.lead = lead
        seat = make(call=call, identity=identity, track=partial(self._track, tracker), wake=self._wake)
        self.seats.append(seat)
        self._wake()
        return seat

    async def _track(self, tracker, data: bytes | np.ndarray):
        decode = pictures.decode_camera if isinstance(data, bytes) else pictures.camera
        return await self.on("tracker", lambda: tracker.step(decode(data)))

    async def end(self, seat: Seat) -> None:
        """Ends a call and frees its slot; a second time does nothing."""
        if seat in self.seats:
            self._leave(seat)
            await self.on("device", self.engine.leave, seat.call.slot)
            self.give_back()

    def _leave(self, seat: Seat):
        self.seats.remove(seat)
        self.group.end(seat.call)
        self._threads["faces"].submit(seat.close())
        seat.outbox.close()

    # Blocks

    def _wake(self, seat: Seat | None = None, rest: Block | None = None) -> None:
        if rest is not None:
            self._queue(seat, rest)
        self._news.set()

    def _queue(self, seat: Seat, block: Block):
        self._parts += [_Part(seat, block, *part) for part in self._screen.parts(len(block.motion))]

    async def _make(self):
        while True:
            try:
                await self._make_next()
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("a block failed")
                for seat in list(self.seats):
                    seat.error("failed", "the server failed to make a block; begin again")
                    await self.end(seat)

    async def _make_next(self):
        """Has the device do the piece of work that is due first, or waits until there is one."""
        now = self.now()
        self._parts = [p for p in self._parts if p.seat.open and p.block.generation == p.seat.call.generation]
        part = min(self._parts, key=lambda p: p.seat.call.due_at(p.block.first + p.first), default=None)
        ready = self.group.ready(now)
        if ready and (part is None or min(call.shown_at() for call in ready) < self._due(part)):
            plan = self.group.plan(ready, now)
            for seat in self.seats:
                seat.tell_offset()
            motion = await self.on("device", self.group.compute, plan)
            seats = {seat.call: seat for seat in self.seats}
            for call, block in self.group.made(plan, motion):
                block.taken = now
                seats[call].play(block)
                self._queue(seats[call], block)
        elif part is not None:
            self._parts.remove(part)
            rows = part.block.motion[part.first : part.first + part.count]
            shown = await self.on("device", self._screen.show, part.seat.identity, rows)
            self._later(self._deliver(part, shown))
        else:
            self._news.clear()
            # asyncio.wait_for would swallow a cancellation that comes together with news
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.001, self.group.next_due(now) - now)):
                    await self._news.wait()

    @staticmethod
    def _due(part: _Part) -> float:
        return part.seat.call.due_at(part.block.first + part.first)

    async def _deliver(self, part: _Part, shown: np.ndarray):
        """Encodes and shows a part. The encoder is one thread, so that parts come out in order."""
        encoded = await self.on("encoder", lambda: [part.seat.encode(picture) for picture in shown])
        part.seat.show(part.block, part.first, encoded, self.now(), shown)

    async def _tick(self):
        told = self.now()
        while True:
            now = self.now()
            for seat in list(self.seats):
                seat.tick(now)
                if now - told >= STATS:
                    seat.stats()
            told = now if now - told >= STATS else told
            await asyncio.sleep(TICK)
