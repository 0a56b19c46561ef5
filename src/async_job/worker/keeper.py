"""Keeps one child process running: starts it, says how it ended, starts it anew."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import Final

from async_job.errors import UsageError
from async_job.logs import get_logger
from async_job.worker.launch import EX_CONFIG, Launch
from async_job.worker.verdict import End, Killed
from async_job.worker.watched import WatchedProcess

FREE_RESTARTS: Final = 2
"""So many starts in a row may fail before there is a pause."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
PATIENCE: Final = 2.0
"""Seconds that a process has to end when it is to be replaced."""
LAST_MOMENT: Final = 1.0

log = get_logger()


class Keeper:
    """``prepare`` makes the launch of the next process (``None``: there is to be none), and ``bury`` is told how the
    last one ended, before the next is prepared. ``on_ready`` is called whenever a process has come to work."""

    def __init__(
        self,
        name: str,
        module: str,
        prepare: Callable[[], Awaitable[Launch | None]],
        bury: Callable[[Launch, End], None],
        on_ready: Callable[[], None],
    ) -> None:
        self.name = name
        self.process: WatchedProcess | None = None
        self.worker = ""
        self.has_been_ready = False
        self._module = module
        self._prepare = prepare
        self._bury = bury
        self._on_ready = on_ready
        self._stopping = False
        self._failed_starts = 0
        self._hurry = asyncio.Event()

    async def run(self) -> None:
        """Until ``stop``.

        Raises:
            UsageError: the first process says that it can never work.
        """
        while not self._stopping:
            launch = await self._prepare()
            if launch is None:
                return
            self.worker = launch.worker
            end = await self._run_process(launch)
            self._bury(launch, end)
            self._report(launch, end)
            await self._pause(end)

    async def _run_process(self, launch: Launch) -> End:
        try:
            process = await WatchedProcess.start(self.name, self._module, launch, self._note_ready)
        except OSError as error:
            log.warning("a process cannot be started", name=self.name, error=str(error))
            return End(code=os.EX_OSERR)
        log.debug("started", name=self.name, pid=process.pid, worker=launch.worker)
        self.process = process
        if self._stopping:
            process.stop()
        try:
            return await process.wait()
        finally:
            self.process = None

    def stop(self) -> None:
        """Asks the process to end, for good; the second time, to end at once."""
        self._stopping = True
        self._hurry.set()
        if self.process is not None:
            self.process.stop()

    def replace(self) -> None:
        """Asks the process to end, insists, and has a new one started: of changed code, or under another id."""
        self._failed_starts = 0
        self._hurry.set()
        process = self.process
        if process is not None:
            process.stop()
            loop = asyncio.get_running_loop()
            loop.call_later(PATIENCE, process.stop)
            loop.call_later(PATIENCE + LAST_MOMENT, process.kill, Killed.OVERSTAYED)

    def _note_ready(self) -> None:
        self.has_been_ready = True
        self._on_ready()

    def _report(self, launch: Launch, end: End) -> None:
        if end.code == EX_CONFIG:
            refusal = end.refusal or f"{self.name} cannot start; what it printed says why"
            if not self.has_been_ready:
                raise UsageError(refusal)
            if not self._failed_starts:
                log.error("a process cannot start any more, trying again", name=self.name, error=refusal)
        elif end.orderly:
            log.debug("ended", name=self.name, worker=launch.worker)
        else:
            log.warning("a process died, starting another", name=self.name, worker=launch.worker, cause=end.cause)

    async def _pause(self, end: End) -> None:
        """None after a process that had come to work, or the first ones that have not."""
        if end.was_ready or end.asked:
            self._failed_starts = 0
            return
        self._failed_starts += 1
        if self._failed_starts <= FREE_RESTARTS or self._stopping:
            return
        if self._failed_starts == FREE_RESTARTS + 1:
            log.error("a process dies at each start, trying less and less often", name=self.name, cause=end.cause)
        doublings = min(self._failed_starts - FREE_RESTARTS - 1, 10)
        self._hurry.clear()
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**doublings)
        with contextlib.suppress(TimeoutError):  # the pause is over
            async with asyncio.timeout(pause):
                await self._hurry.wait()
