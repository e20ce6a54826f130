"""An event loop in a thread, for servers that tests talk to; when it is closed, nothing of it is left under way."""

import asyncio
import threading


class LoopThread:
    """`start`, `run`, `close`, in this order."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def start(self):
        self._thread.start()

    def run(self, work, seconds: float = 20):
        """The result of a coroutine that runs over there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def close(self):
        """Cancels what still runs: tasks that a closed loop leaves are reported in whatever test comes next."""
        self.run(self._cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    @staticmethod
    async def _cancel():
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
