"""Wakes whoever waits, in whichever event loop of the process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from threading import Lock


class Bell:
    """Listen first, then look whether there is anything to wait for: a ring in between is not lost."""

    def __init__(self) -> None:
        self._listening: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}
        self._lock = Lock()

    def ring(self) -> None:
        with self._lock:
            rung, self._listening = self._listening, {}
        for future, loop in rung.items():
            # A loop may have been closed by its own thread with a listener left in it: nobody waits there any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_wake, future)

    @contextlib.contextmanager
    def listening(self) -> Iterator[asyncio.Future[None]]:
        """A future that the next ring completes."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._listening[future] = loop
        try:
            yield future
        finally:
            with self._lock:
                self._listening.pop(future, None)
            future.cancel()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
