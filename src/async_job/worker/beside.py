"""The supervisor as a child of a user's own application: started with it, ended with it, started anew if it dies.

As a program (``python -m async_job.worker.beside``) it is that child.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from msgspec.structs import replace

from async_job import logs
from async_job.errors import AsyncJobError, UsageError
from async_job.jobs import Jobs
from async_job.loading import find_target, folder_of
from async_job.worker.keeper import Keeper
from async_job.worker.launch import EX_CONFIG, Launch, receive_launch
from async_job.worker.parent import end_with_parent
from async_job.worker.signs import Signs
from async_job.worker.supervisor import Supervisor, check_shared, nothing
from async_job.worker.verdict import End, Killed

START: Final = 10.0
"""Seconds that an application waits for its workers before it serves without them: the store may be away."""
OVERSTAY: Final = 5.0
"""Seconds after the grace in which the supervisor hands back what is left."""

log = logs.get_logger()


@asynccontextmanager
async def supervised(jobs: Jobs, target: str | None, processes: int) -> AsyncIterator[None]:
    """Runs the jobs in ``processes`` worker processes of a supervisor, until the context is left.

    Raises:
        SettingsError: the store lives in one process.
        UsageError: the workers cannot import the jobs.
    """
    if processes < 1:
        raise UsageError(f"processes must be at least 1, not {processes}; leave it out to run jobs in this process")
    settings = replace(jobs.settings, workers=processes)
    check_shared(settings)
    target = target or find_target(jobs)
    # Nobody writes to this pipe: it ends with this process, and the supervisor reads that.
    life_fd, life = os.pipe()
    launch = Launch(target=target, settings=settings, life_fd=life_fd, folder=folder_of(target))

    async def prepare() -> Launch:
        return launch

    ready = asyncio.Event()
    keeper = Keeper("supervisor", "async_job.worker.beside", prepare, _forget, ready.set)
    keeping = asyncio.create_task(keeper.run())
    try:
        await _started(keeping, ready)
        yield
    finally:
        await _end(keeper, keeping, settings.grace)
        os.close(life_fd)
        os.close(life)


def _forget(launch: Launch, end: End) -> None:
    """The next supervisor takes over, when the leases are over, what this one's workers held."""


async def _started(keeping: asyncio.Task[None], ready: asyncio.Event) -> None:
    starting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait({keeping, starting}, timeout=START, return_when=asyncio.FIRST_COMPLETED)
    finally:
        starting.cancel()
    if keeping.done():
        keeping.result()
    if not ready.is_set():
        log.warning("the workers have not come to work yet; jobs wait until they do")


async def _end(keeper: Keeper, keeping: asyncio.Task[None], grace: float) -> None:
    keeper.stop()
    await asyncio.wait({keeping}, timeout=grace + OVERSTAY)
    if keeper.process is not None:
        keeper.process.kill(Killed.OVERSTAYED)
        await asyncio.wait({keeping})


def main() -> int:
    """Supervises until SIGTERM; the exit code is for the application."""
    launch = receive_launch()
    end_with_parent(launch.life_fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure(launch.settings)
    signs = Signs(launch.signs_fd)
    try:
        asyncio.run(Supervisor(launch.target, launch.settings, None, False, signs.start, nothing).run())
    except AsyncJobError as error:
        signs.refuse(str(error))
        return EX_CONFIG
    return 0


if __name__ == "__main__":
    sys.exit(main())
