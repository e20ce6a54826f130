"""The calls of one engine: those that are due together go through one step, the others stay where they are.

Blocks of all calls end at the same times, modulo a block: a call that joins others shifts its session by less than a
block. So a full engine does one step per block, however many calls it has. A call waits no longer than it would alone,
but for the `patience` with which a neighbour's sound is waited for.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from afjax.audio.framing import FPS
from afjax.serving.call import Block, Call, Entry
from afjax.streaming import live_step

__all__ = ["Group", "Plan"]


class Plan(NamedTuple):
    """One step: inputs of all slots, and the entry that is computed for each call."""

    inputs: live_step.Inputs
    entries: list[tuple[Call, Entry]]


class Group:
    """Calls that share an engine. `plan` and `made` belong to one thread, `compute` to the device's thread."""

    def __init__(self, engine, channels: Sequence[str] = (), patience: float = 0.04):
        """`channels` as for `Call`."""
        self.engine, self.calls = engine, []
        self._channels, self.patience = channels, patience

    def begin(self, slot: int, now: float, headroom: float, begun: float | None = None, rest=0.0) -> Call:
        """A call in a slot that the engine has given to it. Its frames begin at `now`.

        `begun`: when its page's clock was at 0, by default `now`. `rest` as for `Call`.
        """
        begun, length = now if begun is None else begun, self.engine.config.layout.block / FPS
        shift = begun - now
        if self.calls:
            # how much earlier than a session that begins at `now` the others end their blocks
            probe = Call(slot, self.engine.config, begun=begun, shift=shift)
            shift += (probe.next_due() - self.calls[0].next_due()) % length
        call = Call(slot, self.engine.config, self._channels, rest, headroom, begun, shift, self.patience)
        self.calls.append(call)
        return call

    def end(self, call: Call) -> None:
        """Forgets a call; the caller empties its slot."""
        if call in self.calls:
            self.calls.remove(call)

    def ready(self, now: float) -> list[Call]:
        """Calls that go through the next step; none while a call only lacks sound that is on its way."""
        due = [call for call in self.calls if call.due(now)]
        if any(call.urgent for call in due):
            return due
        return [] if due and any(call.awaits_sound(now) for call in self.calls) else due

    def next_due(self, now: float) -> float:
        """The earliest time at which something may be due; a second from now without calls."""
        times = [call.next_due() for call in self.calls]
        return min((time if time > now else now + 0.003 for time in times), default=now + 1.0)

    def plan(self, calls: Sequence[Call], now: float) -> Plan:
        """Takes the next block of some calls."""
        inputs = live_step.silence(self.engine.config, self.engine.sessions)
        entries = [(call, call.take(now)) for call in calls]
        for call, entry in entries:
            for whole, part in zip(inputs, entry.inputs, strict=True):
                whole[call.slot] = part
        return Plan(inputs, entries)

    def compute(self, plan: Plan) -> np.ndarray:
        """Motion `[slots, t, d]` of a plan. The entries keep the model's states before it."""
        engine = self.engine
        for call, entry in plan.entries:
            if entry.back is not None:
                engine.rollback(call.slot, entry.back.state)
                entry.back = None
            if entry.guide is not None:
                engine.set_guidance_scale(call.slot, entry.guide)
            entry.state = engine.state(call.slot)
        return np.asarray(engine.step(plan.inputs, [call.slot for call, _ in plan.entries]))

    def made(self, plan: Plan, motion: np.ndarray) -> list[tuple[Call, Block]]:
        """Blocks to show of a computed plan, without those that a cut has made void."""
        blocks = [(call, call.made(entry, motion[call.slot])) for call, entry in plan.entries]
        return [(call, block) for call, block in blocks if block is not None and call in self.calls]

    def step(self, now: float) -> list[tuple[Call, Block]]:
        """All blocks that are due at `now`, computed at once in this thread."""
        blocks = []
        while calls := self.ready(now):
            plan = self.plan(calls, now)
            blocks += self.made(plan, self.compute(plan))
        return blocks
