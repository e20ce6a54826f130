"""A thread with an event loop of its own, so that the model, the calls and their pictures hold up no packets."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["Network"]


class Network:
    """The thread of all peers. Attribute `loop`: its event loop."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)
        self._thread.start()

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def run(self, work: Coroutine) -> Any:
        """Result of a coroutine that runs on this loop; called on another loop. None once this is closed."""
        if self.loop.is_closed():
            work.close()
            return None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    def call(self, function: Callable, *arguments: Any) -> None:
        """Has a function called on this loop, soon."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(function, *arguments)

    async def close(self) -> None:
        """Ends the tasks that still run, and the thread."""
        await self.run(self._cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        await asyncio.to_thread(self._thread.join)
        self.loop.close()

    @staticmethod
    async def _cancel():
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_default_executor()
