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
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from importlib.metadata import version
from typing import Any, Final, Self

from async_job.errors import NotEnrolled, StoreUnavailable
from async_job.jobs import Jobs
from async_job.logs import get_logger
from async_job.store.protocol import Store
from async_job.store.protocol import Worker as WorkerInfo
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

PAUSE: Final = 1.0
"""Seconds between two tries to reach a store that is away."""

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
        """One worker after the other: an id that somebody else has retired is replaced by a new one."""
        while not self._stopping:
            try:
                await self._run_worker(await self._jobs.store())
            except StoreUnavailable as error:
                log.warning("the store does not answer, trying again", error=str(error))
                await asyncio.sleep(PAUSE)
            except NotEnrolled as error:
                log.warning("the worker's id was retired, starting anew", error=str(error))

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
        await housekeeper.start()
        try:
            self._worker = Worker(self._jobs, store, info.id, children=children)
            await self._worker.run()
        finally:
            self._worker = None
            await housekeeper.stop()


class Housekeeper:
    """The thread that keeps a worker's lease alive, and does what a supervisor does in the store."""

    def __init__(self, jobs: Jobs, worker: WorkerInfo) -> None:
        self._jobs = jobs
        self._worker = worker
        self._started: Future[None] = Future()
        self._stop: Callable[[], None] = lambda: None
        # A daemon, so that an application which ends without closing us does end.
        self._thread = threading.Thread(target=self._main, name="async-job-housekeeper", daemon=True)

    async def start(self) -> None:
        """Returns when the worker is enrolled. Raises ``StoreUnavailable``."""
        self._thread.start()
        await asyncio.wrap_future(self._started)

    async def stop(self) -> None:
        """Hands back what the worker still holds, retires it and ends the thread."""
        self._stop()
        await asyncio.to_thread(self._thread.join)

    def _main(self) -> None:
        try:
            asyncio.run(self._keep_house())
        except BaseException as error:
            if not self._started.done():
                self._started.set_exception(error)
            else:
                log.exception("the housekeeper has died; the worker's lease will lapse")

    async def _keep_house(self) -> None:
        settings = self._jobs.settings
        retention = self._jobs.retention
        store = await self._jobs.store()
        contact = Contact(settings.lease, store.now)
        renewer = Renewer(store, settings.lease, settings.renew, contact, _ignore_loss)
        await renewer.enroll(self._worker)
        ended = asyncio.Event()
        lookout = Lookout(store, contact)
        loop = asyncio.get_running_loop()
        self._stop = partial(_set_from_thread, loop, ended)
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
            async with asyncio.timeout(PAUSE):
                await hand_back(store, retention, contact, self._worker.id, End(code=0, asked=True))
        except TimeoutError:
            log.warning("some jobs could not be handed back: they are taken over when the lease ends")
        await self._jobs.close()


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
