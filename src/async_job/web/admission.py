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

    async def refusals(self, wanted: Mapping[str, int]) -> dict[str, Problem]:
        """Why a queue does not take so many more jobs, for each that does not; for the others they are counted."""
        settings = self._jobs.settings
        if not settings.max_queued and not settings.max_oldest:
            return {}
        store = await self._jobs.store()
        look = await self._fresh(store)
        if self._since and any(self._excess(look, queue, n) > 0 for queue, n in wanted.items()):
            look = await self._fresh(store, SECOND_LOOK)
        refused = {}
        for queue, n in wanted.items():
            problem = self._too_long(look, queue, n) or self._too_old(look, queue, store.now())
            if problem:
                refused[queue] = problem
            else:
                self._since[queue] += n
        return refused

    async def _fresh(self, store: Store, fresh: int | None = None) -> Look:
        look = await (self._rates.look(store) if fresh is None else self._rates.look(store, fresh))
        if look is not self._look:
            self._look, self._since = look, Counter()
        return look

    def _queued(self, look: Look, queue: str) -> int:
        known = look.queues.get(queue)
        return self._since[queue] + (known.queued if known else 0)

    def _excess(self, look: Look, queue: str, n: int) -> int:
        """By how many jobs the queue would be too long with ``n`` more."""
        most = self._jobs.settings.max_queued
        return self._queued(look, queue) + n - most if most else 0

    def _too_long(self, look: Look, queue: str, n: int) -> Problem | None:
        over = self._excess(look, queue, n)
        if over <= 0:
            return None
        most = self._jobs.settings.max_queued
        detail = f"queue {queue} has {self._queued(look, queue)} jobs, and takes {most} at most"
        return Problem(503, "queue_full", detail, [retry_after(self._pause(queue, over))], queue=queue)

    def _too_old(self, look: Look, queue: str, now: int) -> Problem | None:
        most, known = self._jobs.settings.max_oldest, look.queues.get(queue)
        if not most or known is None or known.ready_since is None or now - known.ready_since <= most * 1000:
            return None
        age = (now - known.ready_since) / 1000
        detail = f"the first job of queue {queue} has waited {age:.0f} s, and {most:g} s are too long"
        return Problem(503, "queue_full", detail, [retry_after(USUAL_PAUSE)], queue=queue)

    def _pause(self, queue: str, over: int) -> int:
        """After how many seconds there will be room."""
        wait = self._rates.wait(queue, over - 1)
        return USUAL_PAUSE if wait is None else min(max(1, ceil(wait)), LONGEST_PAUSE)
