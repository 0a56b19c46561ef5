"""The slots of a worker: what runs in them, and the jobs that were claimed ahead of a free one.

While runs are short, a slot that is busy now will be free before a claim is back. So its next jobs are asked for now,
and wait here for a moment: fewer and larger trips, and a worker that never waits for one. If no slot becomes free soon
after all, they go back to their queue.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from async_job.core.job import Job
from async_job.core.lifecycle import Outcome
from async_job.store.protocol import BATCH
from async_job.worker.active import ActiveRun
from async_job.worker.executor import Executor

SHORT: Final = 0.002
"""Seconds: a slot whose run was shorter than this gets its next jobs ahead."""
AHEAD: Final = 7
"""So many, as long as all jobs here and on their way are no more than ``BATCH``: the outcomes and the claim of half of
them fit into one trip."""
AHEAD_TIME: Final = 0.02
"""Nor more than will have ended within so many seconds, if short runs go on to end as they just did."""
PACE_KEPT: Final = 0.01
"""Seconds after which nothing is concluded from the runs that were short."""
LONGEST_HOLD: Final = 0.1
"""Seconds for which a claimed job waits for a slot at most, before it goes back."""
LONGEST_TURN: Final = 0.005
"""Seconds for which outcomes are held back so that more go with them."""


class Slots:
    """``concurrency`` of them. ``active`` holds every run that was put here until its outcome has reached the store,
    when the owner takes it out. ``on_end`` is told each outcome (``None``: there is nobody to tell), ``on_clock`` when
    runs with a timeout have started or ended."""

    def __init__(
        self,
        executor: Executor,
        concurrency: int,
        now: Callable[[], int],
        on_end: Callable[[ActiveRun, Outcome | None], None],
        on_clock: Callable[[], None],
    ) -> None:
        self._executor = executor
        self._concurrency = concurrency
        self._now = now
        self._on_end = on_end
        self._on_clock = on_clock
        self.active: set[ActiveRun] = set()
        # A task made by a run's own task would begin with what that run has set.
        self._variables = contextvars.copy_context()
        self._stopped = False
        self._running = 0
        self._held: deque[tuple[float, ActiveRun]] = deque()
        self._overdue: asyncio.TimerHandle | None = None
        self._short = 0
        """Short runs that ended since the last look."""
        self._ahead = 0
        self._ahead_at = self._looked_at = 0.0

    @property
    def free(self) -> int:
        """How many have nothing to run."""
        return self._concurrency - self._running

    def capacity(self) -> int:
        """How many jobs to have here or on their way: one for each slot, and more for those whose runs are short. What
        has ended since it was asked last is counted once."""
        now = time.perf_counter()
        if self._short:
            soon = int(AHEAD_TIME * self._short / (now - self._looked_at))
            most = min(AHEAD * min(self._short, self._concurrency), BATCH - self._concurrency)
            self._ahead = max(0, min(soon, most))
            self._short, self._ahead_at = 0, now
        elif now - self._ahead_at > PACE_KEPT:
            self._ahead = 0
        self._looked_at = now
        return self._concurrency + self._ahead

    @property
    def taken(self) -> int:
        """How many jobs run or wait for a slot."""
        return self._running + len(self._held)

    def put(self, jobs: Sequence[Job]) -> None:
        """Runs these, each as soon as there is a slot."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for job in jobs:
            active = ActiveRun(job, self._now)
            self.active.add(active)
            if self._stopped:
                self._let_go(active)
            elif self._running < self._concurrency:
                self._start(active, loop)
            else:
                active.on_stop = partial(self._let_go, active)
                self._held.append((now, active))
        if any(job.timeout is not None for job in jobs):
            self._on_clock()
        if self._held and self._overdue is None:
            self._watch(now)

    def stop(self) -> None:
        """Stops whatever is here, and lets nothing more begin."""
        self._stopped = True
        for active in list(self.active):
            active.stop()

    async def go_on(self) -> None:
        """Lets those run that end without waiting for anything: what they leave to be told goes in one trip."""
        before, until = -1, time.perf_counter() + LONGEST_TURN
        while self.taken and self._short > before and time.perf_counter() < until:
            before = self._short
            await asyncio.sleep(0)

    def _start(self, active: ActiveRun, loop: asyncio.AbstractEventLoop) -> None:
        """``on_clock`` is the caller's to call."""
        self._running += 1
        active.start_clock()
        active.on_clock = self._on_clock
        active.task = loop.create_task(self._run(active, loop), context=self._variables.copy())

    async def _run(self, active: ActiveRun, loop: asyncio.AbstractEventLoop) -> None:
        began = time.perf_counter()
        # Who stopped it since it has its slot found nothing that could be stopped yet.
        outcome = self._executor.not_started(active) if active.cancelled else await self._executor.run(active)
        if time.perf_counter() - began < SHORT:
            self._short += 1
        active.ended = True
        self._running -= 1
        if self._held:
            _, following = self._held.popleft()
            following.on_stop = None
            self._start(following, loop)
            if following.job.timeout is not None and active.hard_deadline is None:
                # Or else it is called when this one's clock stops.
                self._on_clock()
        active.stop_clock()
        self._on_end(active, outcome)

    def _let_go(self, active: ActiveRun) -> None:
        self._held = deque(held for held in self._held if held[1] is not active)
        active.ended = True
        self._on_end(active, self._executor.not_started(active))

    def _watch(self, since: float) -> None:
        """``since``: when the one began to wait that has waited longest."""
        self._overdue = asyncio.get_running_loop().call_at(since + LONGEST_HOLD, self._look)

    def _look(self) -> None:
        self._overdue = None
        late = asyncio.get_running_loop().time() - LONGEST_HOLD
        for since, active in list(self._held):
            if since <= late:
                # Runs have become longer.
                self._ahead = self._short = 0
                active.stop()
        if self._held:
            self._watch(self._held[0][0])
