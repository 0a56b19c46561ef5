"""The renewer: keeps the leases of this program's workers alive, all in one call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from async_job.errors import StoreUnavailable
from async_job.logs import get_logger
from async_job.store.protocol import Store, Worker
from async_job.worker.contact import Contact, elapsed

log = get_logger()

LONGEST_RETRY: Final = 1.0


class Renewer:
    """Extends every enrolled worker's lease each ``every`` seconds to ``lease`` seconds. ``on_lost`` is told an id that
    somebody else has retired; it is then no longer extended."""

    def __init__(
        self, store: Store, lease: float, every: float, contact: Contact, on_lost: Callable[[str], None]
    ) -> None:
        self._store = store
        self._lease = lease
        self._every = every
        self._contact = contact
        self._on_lost = on_lost
        self._workers: set[str] = set()
        self._renewed_at = elapsed()

    async def enroll(self, worker: Worker) -> None:
        """Makes the worker known with its first lease, and renews it from now on."""
        await self._store.enroll(worker, round(self._lease * 1000))
        self._workers.add(worker.id)

    def forget(self, worker: str) -> None:
        """Renews it no more."""
        self._workers.discard(worker)

    async def run(self) -> None:
        """The loop; ends only by cancellation."""
        while True:
            renewed = await self.renew()
            await asyncio.sleep(self._every if renewed else min(self._every / 4, LONGEST_RETRY))

    async def renew(self) -> bool:
        """Renews all leases now; whether that went well."""
        answers: dict[str, bool] | None = None
        with self._contact:
            answers = await self._extend(sorted(self._workers))
        if answers is None:
            return False
        moment = elapsed()
        if moment - self._renewed_at > self._lease:
            # We could not renew in time, so others may not have been able to either.
            self._contact.doubt()
        self._renewed_at = moment
        for worker, held in answers.items():
            if not held and worker in self._workers:
                log.warning("a worker was retired by somebody else", worker=worker)
                self.forget(worker)
                self._on_lost(worker)
        return True

    async def _extend(self, workers: list[str]) -> dict[str, bool]:
        try:
            async with asyncio.timeout(self._lease):
                answers = await self._store.extend(workers, round(self._lease * 1000))
        except TimeoutError as error:
            raise StoreUnavailable(f"the store took longer than {self._lease:g} s to renew the leases") from error
        return dict(zip(workers, answers, strict=True))
