"""The stores that a program has open: one for each event loop, opened when it is first needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from async_job.store.protocol import Store
from async_job.watch import Watcher


class Connection:
    """A store as one event loop has opened it, with its reader of the change log."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.watcher = Watcher(store)

    async def close(self) -> None:
        await self.watcher.close()
        await self.store.close()


class Connections:
    """Knows what each loop of this process has opened. ``make`` gives a store that is not open yet."""

    def __init__(self, make: Callable[[], Store]) -> None:
        self._make = make
        self._opening: dict[asyncio.AbstractEventLoop, asyncio.Task[Connection]] = {}
        self._left_behind: dict[asyncio.AbstractEventLoop, asyncio.Task[Connection]] = {}
        self._pid = os.getpid()

    def of_running_loop(self) -> asyncio.Future[Connection]:
        """The running loop's own; whoever comes first opens it, and a failed opening is tried again.

        The future raises ``StoreUnavailable`` or ``StoreRefused`` if it cannot be opened.
        """
        if self._pid != os.getpid():
            self._forked()
        loop = asyncio.get_running_loop()
        opening = self._opening.get(loop)
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception())):
            for other in [other for other in self._opening if other.is_closed()]:
                del self._opening[other]
            opening = self._opening[loop] = loop.create_task(self._open())
        return opening if opening.done() else asyncio.shield(opening)

    async def _open(self) -> Connection:
        store = self._make()
        await store.open()
        return Connection(store)

    def _forked(self) -> None:
        """What the parent opened is the parent's; the child opens its own."""
        self._pid = os.getpid()
        # Kept, because collecting them would close files that are the parent's as well.
        self._left_behind, self._opening = self._opening, {}

    async def close(self) -> None:
        """Closes what the running event loop has opened."""
        opening = self._opening.pop(asyncio.get_running_loop(), None)
        if opening is None or self._pid != os.getpid():
            return
        await asyncio.wait([opening])
        # What could not be opened has nothing to close.
        if not opening.cancelled() and opening.exception() is None:
            await opening.result().close()
