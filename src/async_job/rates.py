"""How fast queues move, measured by looking at them now and then, and what that says about waiting."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from msgspec import Struct

from async_job.store.administration import QueueInfo
from async_job.store.protocol import Store

FRESH: Final = 1_000
"""Milliseconds for which a look is good enough."""
WINDOW: Final = 60_000
"""Milliseconds over which a rate is measured."""


class Look(Struct, frozen=True):
    """All queues by name, as they were ``at`` a time (milliseconds)."""

    at: int
    queues: dict[str, QueueInfo]


class Rates:
    """Looks at the queues of a store, at most once a second, whenever somebody asks."""

    def __init__(self) -> None:
        self._looks: deque[Look] = deque()
        self._looking = asyncio.Lock()

    async def look(self, store: Store, fresh: int = FRESH) -> Look:
        """The queues as they are, or were less than ``fresh`` milliseconds ago."""
        async with self._looking:
            now = store.now()
            if not self._looks or not 0 <= now - self._looks[-1].at < fresh:
                queues = {queue.name: queue for queue in await store.administration.queues()}
                self._looks.append(Look(now, queues))
                # A clock that was set back makes the older ones useless.
                while not 0 <= now - self._looks[0].at <= WINDOW:
                    self._looks.popleft()
            return self._looks[-1]

    def rate(self, queue: str) -> float | None:
        """Jobs started a second while others waited behind them; ``None``: that was not seen yet."""
        spans = list(self._backlogged(queue))
        elapsed = sum(seconds for seconds, _ in spans)
        started = sum(jobs for _, jobs in spans)
        return started / elapsed if elapsed and started else None

    def _backlogged(self, queue: str) -> Iterator[tuple[float, int]]:
        """The times between two looks that both found the queue filled, in seconds, and how many jobs started. An
        empty queue says how fast jobs come, not how fast they go."""
        for before, after in pairwise(self._looks):
            first, second = before.queues.get(queue), after.queues.get(queue)
            if first and second and first.queued and second.queued and second.started >= first.started:
                yield (after.at - before.at) / 1000, second.started - first.started

    def wait(self, queue: str, ahead: int) -> float | None:
        """Seconds until a job that has ``ahead`` others before it starts; ``None``: nobody can say, or it is paused."""
        known = self._looks[-1].queues.get(queue) if self._looks else None
        rate = self.rate(queue)
        if rate is None or (known is not None and known.paused):
            return None
        return (ahead + 1) / rate
