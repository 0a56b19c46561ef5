"""A worker inside the application's own process: jobs run on the loop that serves requests.

Its lease is renewed, and the house kept, by a thread with a loop and a connection of its own, so that code which blocks
the application's loop does not cost it its jobs. A C call that holds the interpreter for longer than the lease does.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from importlib.metadata import version
from typing import Any, Final, Self

from async_job.errors import NotEnrolled, StoreError
from async_job.jobs import Jobs
from async_job.logs import get_logger, traceback_of
from async_job.store.protocol import Store
from async_job.store.protocol import Worker as WorkerInfo
from async_job.worker.active import ActiveRun
from async_job.worker.children import Children
from async_job.worker.contact import Contact
from async_job.worker.deliverer import keep_delivering
from async_job.worker.expirer import keep_expiring
from async_job.worker.handback import hand_back
from async_job.worker.lookout import Lookout
from async_job.worker.purger import keep_purging
from async_job.worker.renewer import Renewer
from async_job.worker.rescuer import keep_rescuing
from async_job.worker.verdict import End
from async_job.worker.worker import Worker

PAUSES: Final = (1.0, 2.0, 5.0, 10.0)
"""Seconds between two tries to reach a store that does not do it; the last one from then on."""
LAST_HAND_BACK: Final = 1.0
"""Seconds to hand back what is left at the end."""
LONGEST_END: Final = 5.0
"""Seconds for which the end of the thread is waited for: the store may be away."""

log = get_logger()


class EmbeddedWorker:
    """``async with EmbeddedWorker(jobs):`` runs jobs on this loop until the block ends, then drains.

    ``target`` (``module:attribute``) is what child processes import for ``runner="process"``; without it such functions
    run in threads.
    """

    def __init__(self, jobs: Jobs, target: str | None = None) -> None:
        self._jobs = jobs
        self._target = target
        self._worker: Worker | None = None
        self._running: asyncio.Task[None] | None = None
        self._stopping = False

    async def __aenter__(self) -> Self:
        if self._jobs.settings.worker_memory_limit:
            log.warning("worker_memory_limit does not hold for what runs in this process, only for child processes")
        in_threads = [type for type, function in self._jobs.functions.items() if function.runner == "process"]
        if in_threads and self._target is None:
            log.warning("jobs with runner='process' run in threads: no target says what to import", types=in_threads)
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._stopping = True
        if self._running is None:
            return
        if self._worker is None:
            self._running.cancel()
            await asyncio.wait([self._running])
        else:
            self._worker.drain()
            await self._running

    async def _run(self) -> None:
        """One worker after the other: an id that somebody else has retired is replaced by a new one, and a worker that
        has ended by itself by another one, as a supervisor would."""
        failures = 0
        while not self._stopping:
            began = time.monotonic()
            try:
                await self._run_worker(await self._jobs.store())
                return
            except NotEnrolled as error:
                log.warning("the worker's id was retired, starting anew", error=str(error))
                continue
            except StoreError as error:
                log.warning("the store cannot be worked with, trying again", error=str(error))
            except Exception as error:  # noqa: BLE001 - nobody else would tell of it, and no job would run any more
                _log_death("the worker has died, starting anew", error)
            if time.monotonic() - began > PAUSES[-1]:
                failures = 0
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
            failures += 1

    async def _run_worker(self, store: Store) -> None:
        settings = self._jobs.settings
        info = WorkerInfo(
            id=secrets.token_hex(8),
            host=socket.gethostname(),
            pid=os.getpid(),
            started_at=store.now(),
            queues=settings.queues,
            concurrency=settings.concurrency,
            version=version("async-job"),
        )
        children = Children(self._target, settings, settings.processes) if self._target is not None else None
        housekeeper = Housekeeper(self._jobs, info)
        overtime = Overtime()
        try:
            await housekeeper.start()
            self._worker = Worker(self._jobs, store, info.id, children=children, on_deadline=overtime.expect)
            await self._worker.run()
        finally:
            self._worker = None
            overtime.expect(None)
            await housekeeper.stop()


class Overtime:
    """Warns of a run that has not ended in spite of its timeout. A supervisor would kill the process; here that is the
    application's, so the run keeps its slot."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, first: ActiveRun | None) -> None:
        """``first``: the run whose hard deadline comes next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if first is not None and first.hard_deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(first.hard_deadline, self._warn, first)

    @staticmethod
    def _warn(run: ActiveRun) -> None:
        if not run.ended:
            log.warning("a job does not end after its timeout, and nothing here can end it", job=run.job.id)


class Housekeeper:
    """The thread that keeps a worker's lease alive, and does what a supervisor does in the store."""

    def __init__(self, jobs: Jobs, worker: WorkerInfo) -> None:
        self._jobs = jobs
        self._worker = worker
        self._started: Future[None] = Future()
        self._stop: Callable[[], None] = lambda: None
        self._stopping = False
        # A daemon, so that an application which ends without closing us does end.
        self._thread = threading.Thread(target=self._main, name="async-job-housekeeper", daemon=True)

    async def start(self) -> None:
        """Returns when the worker is enrolled. Raises ``StoreError``."""
        self._thread.start()
        # Cancelled, the thread is not: it has the worker's enrolment to take back.
        await asyncio.shield(asyncio.wrap_future(self._started))

    async def stop(self) -> None:
        """Hands back what the worker still holds, retires it and ends the thread."""
        self._stopping = True
        self._stop()
        await asyncio.to_thread(self._thread.join, LONGEST_END)

    def _main(self) -> None:
        try:
            asyncio.run(self._keep_house())
        except BaseException as error:  # noqa: BLE001 - told to the one who waits, or to the log
            if not self._started.done():
                self._started.set_exception(error)
            else:
                _log_death("the housekeeper has died; the worker's lease will lapse", error)

    async def _keep_house(self) -> None:
        try:
            await self._keep_house_in(await self._jobs.store())
        finally:
            await self._jobs.close()

    async def _keep_house_in(self, store: Store) -> None:
        settings = self._jobs.settings
        retention = self._jobs.retention
        contact = Contact(settings.lease, store.now)
        renewer = Renewer(store, settings.lease, settings.renew, contact, _ignore_loss)
        await renewer.enroll(self._worker)
        ended = asyncio.Event()
        lookout = Lookout(store, contact)
        loop = asyncio.get_running_loop()
        self._stop = partial(_set_from_thread, loop, ended)
        if self._stopping:
            ended.set()
        self._started.set_result(None)
        loops = {
            loop.create_task(renewer.run()),
            loop.create_task(lookout.run()),
            loop.create_task(keep_rescuing(store, retention, contact, renewer, lookout)),
            loop.create_task(keep_expiring(store, retention, contact, lookout)),
            loop.create_task(keep_purging(store, contact)),
            loop.create_task(keep_delivering(store, settings, contact, lookout)),
        }
        await _until(ended, loops)
        try:
            async with asyncio.timeout(LAST_HAND_BACK):
                await hand_back(store, retention, contact, self._worker.id, End(code=0, asked=True))
        except TimeoutError:
            log.warning("some jobs could not be handed back: they are taken over when the lease ends")


def _log_death(what: str, error: BaseException) -> None:
    log.error(what, exception=traceback_of(error))


def _set_from_thread(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)


def _ignore_loss(worker: str) -> None:
    """The worker hears of it with its next claim."""


async def _until(ended: asyncio.Event, loops: set[asyncio.Task[Any]]) -> None:
    """Runs the loops until ``ended`` is set."""
    waiting = asyncio.create_task(ended.wait())
    done, _ = await asyncio.wait({waiting, *loops}, return_when=asyncio.FIRST_COMPLETED)
    for task in (waiting, *loops):
        task.cancel()
    await asyncio.wait({waiting, *loops})
    for task in done:
        task.result()
