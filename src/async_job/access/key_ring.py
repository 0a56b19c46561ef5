"""The keys as a server knows them: read every few seconds, so that requests need not ask the store."""

from __future__ import annotations

import asyncio
from typing import Final

from async_job.access.keys import ApiKey, Keys, id_of
from async_job.errors import StoreError
from async_job.logs import get_logger, traceback_of
from async_job.store.protocol import Store

FRESH: Final = 2_000
STALE: Final = 4_000
"""Milliseconds. Keys read longer than ``FRESH`` ago are read anew on the side; nobody is let in by keys that are older
than ``STALE``. So a revocation takes effect within 5 s."""

log = get_logger()


class KeyRing:
    """The keys of one store, also when several event loops ask."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}
        self._read_at: int | None = None
        self._reading: asyncio.Task[None] | None = None
        self.in_use = False
        """Whether there is a key that is not revoked."""
        self.was_used = False
        """Whether there ever was a key."""

    async def refresh(self, store: Store) -> None:
        """Sees to it that the keys are as they were a few seconds ago, or are now.

        Raises:
            StoreError: they cannot be read, so that nobody can be told from anybody.
        """
        age = None if self._read_at is None else store.now() - self._read_at
        if age is not None and 0 <= age < STALE:
            if age >= FRESH:
                self._start_reading(store)
            return
        await asyncio.shield(self._start_reading(store))

    def find(self, text: str) -> ApiKey | None:
        """The key that this text is, unless it is revoked. ``None``: there is none."""
        key = self.live(id_of(text) or "")
        return key if key is not None and key.fits(text) else None

    def live(self, id: str) -> ApiKey | None:
        """The key of this id, unless it is revoked."""
        key = self._keys.get(id)
        return None if key is None or key.revoked_at is not None else key

    def _start_reading(self, store: Store) -> asyncio.Task[None]:
        """The reading that is under way in this event loop, or a new one."""
        loop = asyncio.get_running_loop()
        if self._reading is None or self._reading.done() or self._reading.get_loop() is not loop:
            self._reading = loop.create_task(self._read(store))
            self._reading.add_done_callback(_report)
        return self._reading

    async def _read(self, store: Store) -> None:
        # What is written while we read may be missing in what we get.
        asked_at = store.now()
        keys = {key.id: key for key in await Keys(store).all()}
        self._keys, self._read_at = keys, asked_at
        self.in_use = any(key.revoked_at is None for key in keys.values())
        self.was_used = bool(keys)


def _report(reading: asyncio.Task[None]) -> None:
    """Perhaps nobody waits for a reading; after one that failed, the next request tries again."""
    if reading.cancelled():
        return
    error = reading.exception()
    if isinstance(error, StoreError):
        log.warning("cannot read the API keys, trying again", error=str(error))
    elif error is not None:
        log.error("cannot read the API keys", exception=traceback_of(error))
