"""A worker: the loops that claim and run jobs in one process, and its orderly end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from async_job.jobs import Jobs
from async_job.logs import get_logger
from async_job.settings import Settings, cores
from async_job.store.protocol import Store
from async_job.worker.active import ActiveRun
from async_job.worker.beat import Heart
from async_job.worker.board import Board
from async_job.worker.children import Children
from async_job.worker.claimer import Claimer
from async_job.worker.executor import Executor
from async_job.worker.reconciler import keep_reconciling
from async_job.worker.runners import Runners

LAST_WORDS: Final = 0.7
"""Seconds for runs that were told to stop to do so, and for their outcomes to reach the store. Then child processes are
killed with all that they have started, before the supervisor kills this process (``OVERSTAY``), which leaves that."""

log = get_logger()


class Worker:
    """Runs jobs under a worker id that somebody else enrolls and keeps alive."""

    def __init__(
        self,
        jobs: Jobs,
        store: Store,
        id: str,
        *,
        children: Children | None,
        on_deadline: Callable[[ActiveRun | None], None] = lambda first: None,
        board: Board | None = None,
    ) -> None:
        settings = jobs.settings
        self._grace = settings.grace
        self._on_deadline = on_deadline
        self._told_deadline: tuple[str, str, float | None] | None = None
        self._runners = Runners(settings.concurrency, settings.max_result, children, board)
        self._claimer = Claimer(
            store,
            Executor(jobs.functions, self._runners.run, store.now),
            id,
            settings.queues,
            settings.strict,
            settings.concurrency,
            jobs.retention,
            self._tell_deadline,
            trips=_trips(store, settings),
        )
        self._keep_reconciling = partial(keep_reconciling, store, self._claimer, jobs.retention, settings.lease)
        self._heart = Heart(store, self._claimer.active, settings.progress_interval)
        self._draining: asyncio.TimerHandle | None = None
        self._released = asyncio.Event()

    @property
    def busy(self) -> int:
        """How many jobs it holds."""
        return len(self._claimer.active)

    async def run(self) -> None:
        """Runs until it is drained. What cannot be stopped (a thread, a function that swallows its cancellation) may
        still run then; ``busy`` says so.

        Raises:
            NotEnrolled: the worker's id was retired.
        """
        loops = (self._heart.run(), self._claimer.run(), self._keep_reconciling())
        tasks = {asyncio.create_task(loop) for loop in loops}
        last_words = asyncio.create_task(self._last_words())
        try:
            done, _ = await asyncio.wait({*tasks, last_words}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*tasks, last_words):
                task.cancel()
            await asyncio.wait({*tasks, last_words})
            await self._runners.close()

    def drain(self) -> None:
        """Takes nothing new, and gives running jobs ``grace`` seconds. Called again: it ends at once."""
        self._claimer.stop_claiming()
        if self._draining is None:
            log.info("draining", jobs=self.busy, grace=self._grace)
            self._draining = asyncio.get_running_loop().call_later(self._grace, self._release)
        else:
            self._release()

    def _release(self) -> None:
        """Stops what still runs; it goes back to the queue, uncharged."""
        if self.busy:
            log.info("giving jobs back", jobs=self.busy)
        self._claimer.release()
        self._released.set()

    async def _last_words(self) -> None:
        await self._released.wait()
        await asyncio.sleep(LAST_WORDS)

    def _tell_deadline(self) -> None:
        with_deadline = [run for run in self._claimer.active if run.hard_deadline is not None]
        first = min(with_deadline, key=lambda run: run.hard_deadline or 0.0, default=None)
        told = None if first is None else (first.token, first.job.id, first.hard_deadline)
        if told != self._told_deadline:
            self._told_deadline = told
            self._on_deadline(first)


def _trips(store: Store, settings: Settings) -> int:
    """Two small groups cost more than a large one. They pay where the store works on one on a core of its own, while
    this process does on the other."""
    return store.trips if settings.workers < cores() else 1
