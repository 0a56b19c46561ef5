"""Turns submits away while a queue is too long, or its jobs have waited too long, before anything is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import ceil
from typing import Final

from async_job.jobs import Jobs
from async_job.rates import Look, Rates
from async_job.store.protocol import Store
from async_job.web.problems import Problem, retry_after

USUAL_PAUSE: Final = 5
LONGEST_PAUSE: Final = 600
SECOND_LOOK: Final = 100
"""Milliseconds: a look this old is not enough to turn somebody away because of what was taken in since."""


class Admission:
    """Looks at the queues once a second, and counts what this process has let in since."""

    def __init__(self, jobs: Jobs, rates: Rates) -> None:
        self._jobs = jobs
        self._rates = rates
        self._look: Look | None = None
        self._since: Counter[str] = Counter()

    async def admit(self, wanted: Mapping[str, int]) -> None:
        """Raises a problem unless so many more jobs may come to each queue."""
        settings = self._jobs.settings
        if not settings.max_queued and not settings.max_oldest:
            return
        store = await self._jobs.store()
        look = await self._fresh(store)
        if self._excess(look, wanted) and self._since:
            look = await self._fresh(store, SECOND_LOOK)
        excess = self._excess(look, wanted)
        if excess:
            queue, over = excess
            detail = f"queue {queue} has {self._queued(look, queue)} jobs, and takes {settings.max_queued} at most"
            raise Problem(503, "queue_full", detail, [retry_after(self._pause(queue, over))], queue=queue)
        self._check_age(look, wanted, store.now())
        self._since.update(wanted)

    async def _fresh(self, store: Store, fresh: int | None = None) -> Look:
        look = await (self._rates.look(store) if fresh is None else self._rates.look(store, fresh))
        if look is not self._look:
            self._look, self._since = look, Counter()
        return look

    def _queued(self, look: Look, queue: str) -> int:
        known = look.queues.get(queue)
        return self._since[queue] + (known.queued if known else 0)

    def _excess(self, look: Look, wanted: Mapping[str, int]) -> tuple[str, int] | None:
        """The first queue that would be too long, and by how many jobs."""
        most = self._jobs.settings.max_queued
        for queue, n in wanted.items() if most else ():
            over = self._queued(look, queue) + n - most
            if over > 0:
                return queue, over
        return None

    def _check_age(self, look: Look, wanted: Mapping[str, int], now: int) -> None:
        most = self._jobs.settings.max_oldest
        for queue in wanted if most else ():
            known = look.queues.get(queue)
            if known is not None and known.ready_since is not None and now - known.ready_since > most * 1000:
                age = (now - known.ready_since) / 1000
                detail = f"the first job of queue {queue} has waited {age:.0f} s, and {most:g} s are too long"
                raise Problem(503, "queue_full", detail, [retry_after(USUAL_PAUSE)], queue=queue)

    def _pause(self, queue: str, over: int) -> int:
        """After how many seconds there will be room."""
        wait = self._rates.wait(queue, over - 1)
        return USUAL_PAUSE if wait is None else min(max(1, ceil(wait)), LONGEST_PAUSE)
