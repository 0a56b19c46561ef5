"""The lookout: asks the store once a second what there is to do, for all who keep house in it."""

from __future__ import annotations

import asyncio
from typing import Final

from async_job.store.protocol import Due, Store
from async_job.worker.contact import Contact

EVERY: Final = 1.0


class Lookout:
    """One question for several loops, so that an idle store is asked little. It looks each ``every`` seconds, or each
    third of the lease if that is shorter."""

    def __init__(self, store: Store, contact: Contact, every: float = EVERY) -> None:
        self._store = store
        self._contact = contact
        self._every = min(every, contact.lease / 3)
        self._waiting: list[asyncio.Future[Due]] = []

    async def run(self) -> None:
        """The loop; ends only by cancellation."""
        while True:
            due = Due()
            with self._contact:
                due = await self._store.due()
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                if not one.done():
                    one.set_result(due)
            await asyncio.sleep(self._every)

    async def next(self) -> Due:
        """What the next look finds; nothing, if the store does not answer it."""
        look: asyncio.Future[Due] = asyncio.get_running_loop().create_future()
        self._waiting.append(look)
        return await look
